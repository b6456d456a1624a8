"""Whatever a charger sends, the pure core gives a value back and what it gives can be used."""

import json
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charger_mgmt.dialects import Checked, flat, timestamps
from charger_mgmt.dialects.ocpp16.form import check_request, check_response
from charger_mgmt.dialects.ocpp16.readings import LARGEST_CONNECTOR, LARGEST_METER
from charger_mgmt.dialects.ocpp16.table import check
from charger_mgmt.ocppj import frames
from charger_mgmt.ocppj.conversation import CallReceived, Conversation, Reply
from charger_mgmt.ocppj.errors import ALL
from tests.support.messages import FROM_CENTRAL_SYSTEM, FROM_CHARGER

bounded = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.sampled_from(
    [
        "connectorId", "idTag", "meterStart", "meterStop", "timestamp", "transactionId", "reason", "meterValue",
        "transactionData", "sampledValue", "value", "unit", "measurand", "status", "errorCode", "info",
        "chargePointVendor", "chargePointModel", "configurationKey", "key", "readonly", "messageType", "chargerId",
        "vendor", "model", "vendorId", "csChargingProfiles",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    ["Accepted", "Available", "Faulted", "NoError", "2025-03-30T12:00:00Z", "Wh", "12.5", " 7 "]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text()
    | WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=5),
    max_leaves=20,
)
PAYLOADS = st.dictionaries(NAMES | st.text(), VALUES, max_size=8)
FRAME_LIKE = (
    st.text(alphabet='[]{},:"\\ 0123456789eE.-truefalsn\x00\ufeffuA').map(lambda text: "[2," + text)
    | st.text()
)


@bounded
@given(FRAME_LIKE)
def test_reading_any_text_gives_a_frame(text):
    assert isinstance(
        frames.decode(text),
        frames.Call | frames.CallResult | frames.CallError | frames.Malformed | frames.Ignored,
    )


@bounded
@given(st.sampled_from(sorted(FROM_CHARGER)), PAYLOADS, st.integers(min_value=0, max_value=400))
def test_a_frame_that_breaks_off_anywhere_is_survived(action, payload, length):
    text = frames.encode(frames.Call("id-1", action, payload))[:length]
    frame = frames.decode(text)
    if isinstance(frame, frames.Malformed) and frame.reply is not None:
        assert frame.reply.id == "id-1"


@bounded
@given(VALUES, VALUES, VALUES)
def test_any_three_elements_after_the_type_are_survived(first, second, third):
    for kind in (2, 3, 4):
        frames.decode(frames.to_text([kind, first, second, third]))


@bounded
@given(st.lists(FRAME_LIKE | st.just('[2,"a","Heartbeat",{}]'), max_size=5))
def test_a_conversation_survives_any_text(texts):
    conversation = Conversation()
    conversation.call("ClearCache", {}, "our-1", now=0.0, timeout=30.0)
    for text in texts:
        event = conversation.receive(text, 1.0)
        if isinstance(event, CallReceived):
            json.loads(conversation.result(event, {}))
        elif isinstance(event, Reply):
            assert json.loads(event.text)[0] == 4


@bounded
@given(st.sampled_from(sorted(FROM_CHARGER)), VALUES | PAYLOADS)
def test_any_payload_can_be_checked(action, payload):
    checked = check(action, payload)
    assert isinstance(checked, Checked)
    assert checked.violation is None or checked.violation.code in ALL


def _is_whole(value, least, most):
    return type(value) is int and least <= value <= most


@bounded
@given(st.sampled_from(["StartTransaction", "StopTransaction", "MeterValues"]), PAYLOADS)
def test_what_is_read_of_a_money_message_has_the_right_types(action, payload):
    read = check(action, payload).payload
    assert _is_whole(read.get("connectorId", 0), 0, LARGEST_CONNECTOR)
    assert type(read.get("transactionId", 0)) is int
    for name in ("meterStart", "meterStop"):
        assert type(read.get(name, 0)) in (int, Decimal)
        assert abs(read.get(name, 0)) <= LARGEST_METER
    for name in ("idTag", "timestamp", "reason"):
        assert isinstance(read.get(name, ""), str)
    for meter_value in read.get("meterValue", []) + read.get("transactionData", []):
        assert isinstance(meter_value.get("timestamp", ""), str)
        for sample in meter_value["sampledValue"]:
            assert "value" in sample
            assert all(isinstance(text, str) for text in sample.values())


@bounded
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_a_reading_survives_the_wire_exactly(reading):
    text = f'[2,"1","StartTransaction",{{"meterStart":{reading:f}}}]'
    call = frames.decode(text)
    assert isinstance(call, frames.Call)
    assert check("StartTransaction", call.payload).payload["meterStart"] == reading


@bounded
@given(st.sampled_from(sorted(FROM_CENTRAL_SYSTEM)), VALUES | PAYLOADS)
def test_any_answer_can_be_read_and_stored(action, payload):
    json.dumps(check_response(action, payload).payload, allow_nan=False)


@bounded
@given(st.sampled_from(sorted(FROM_CENTRAL_SYSTEM)), VALUES | PAYLOADS)
def test_any_call_of_an_operator_can_be_checked(action, payload):
    for pointer, message in check_request(action, payload):
        assert pointer == "" or pointer.startswith("/")
        assert message


@bounded
@given(st.text() | st.text(alphabet="0123456789-+:.TtZz ,", max_size=40) | VALUES)
def test_any_text_is_a_moment_in_utc_or_none(text):
    moment = timestamps.parse(text)
    if moment is not None:
        assert moment.utcoffset() == timedelta(0)
        assert timestamps.parse(timestamps.format(moment)) == moment.replace(microsecond=0)


@bounded
@given(st.datetimes(timezones=st.timezones()))
def test_any_moment_can_be_written_and_read(moment):
    try:
        text = timestamps.format(moment)
    except OverflowError:  # the first or last day of the calendar, in another zone
        return
    assert timestamps.parse(text) is not None


@bounded
@given(FRAME_LIKE | PAYLOADS.map(frames.to_text))
def test_any_flat_text_is_a_message_or_an_error_object(text):
    message = flat.decode(text)
    if isinstance(message, flat.FlatError):
        assert json.loads(flat.encode(message.body))["error"]["code"] in ALL


@bounded
@given(
    st.sampled_from(
        ["BootNotification", "Heartbeat", "StatusNotification", "StartTransaction", "StopTransaction"]
    ),
    PAYLOADS,
)
def test_any_flat_message_can_be_read(message_type, fields):
    body = fields | {"messageType": message_type, "chargerId": 1, "transactionId": "T"}
    message = flat.decode(frames.to_text(body))
    if "Transaction" in message_type:
        assert isinstance(message, flat.FlatMessage)


def test_deep_nesting_is_survived_everywhere():
    for depth in (10, 100, 500, 900, 5_000, 200_000):
        deep = '{"meterValue":' * depth + "1" + "}" * depth
        call = frames.decode(f'[2,"1","MeterValues",{deep}]')
        if isinstance(call, frames.Call):
            check("MeterValues", call.payload)
            check("DataTransfer", call.payload)
            check_response("GetConfiguration", call.payload)
        else:
            assert isinstance(call, frames.Malformed)
            assert call.reply is not None
        flat.decode(deep)
        flat.decode("[" * depth)
