"""The flat dialect: the user's own messages and answers, and what is refused."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from charger_mgmt.dialects import flat
from charger_mgmt.dialects.flat import FlatError, FlatMessage
from charger_mgmt.domain import outcomes
from charger_mgmt.domain.authorisation import Verdict
from charger_mgmt.ocppj.frames import Ignored

NOON = "2025-03-30T12:00:00Z"
AT_NOON = datetime(2025, 3, 30, 12, tzinfo=UTC)


def read(message_type, **fields):
    message = flat.decode(json.dumps({"messageType": message_type, "chargerId": 1} | fields))
    assert isinstance(message, FlatMessage), message
    return message


def told(message):
    """What the message says, without what it does not say."""
    fields = msgspec.structs.asdict(message.said.payload.fact)
    return {name: value for name, value in fields.items() if name != "said" and value not in (None, ())}


def answered(message, outcome):
    return message.said.row.answer(message.said.payload, outcome)


def begun(status="Accepted"):
    return outcomes.Begun(101, Verdict(status))


def refused(text):
    answer = flat.decode(text if isinstance(text, str) else json.dumps(text))
    assert isinstance(answer, FlatError), answer
    return answer.body


def test_the_boot_of_the_contract():
    message = read("BootNotification", model="EVChargerX", vendor="ChargerCo")
    assert (message.identity, told(message)) == ("1", {"vendor": "ChargerCo", "model": "EVChargerX"})
    assert flat.encode(answered(message, outcomes.Booted("Accepted", AT_NOON, 300))) == (
        '{"status":"Accepted","currentTime":"2025-03-30T12:00:00Z","interval":300}'
    )


def test_the_heartbeat_of_the_contract():
    message = read("Heartbeat")
    assert told(message) == {}
    assert answered(message, outcomes.Alive(AT_NOON)) == {"currentTime": NOON}


def test_the_start_of_the_contract():
    message = read("StartTransaction", transactionId="TXN-456", timestamp=NOON)
    assert told(message) == {"connector_id": 1, "at": AT_NOON, "at_text": NOON, "name": "TXN-456"}
    assert answered(message, begun()) == {"transactionId": "TXN-456", "status": "Accepted"}


def test_a_start_with_a_bad_tag_is_told_so():
    message = read("StartTransaction", transactionId="T", timestamp=NOON, idTag="CARD-9")
    assert answered(message, begun("Blocked")) == {"transactionId": "T", "status": "Blocked"}


def test_a_stop_is_in_the_same_style():
    message = read("StopTransaction", transactionId="TXN-456", timestamp=NOON)
    assert told(message) == {"at": AT_NOON, "name": "TXN-456", "reason": "Local"}
    assert answered(message, outcomes.Ended()) == {"transactionId": "TXN-456", "status": "Accepted"}


@pytest.mark.parametrize(
    "status", ["Available", "Charging", "Faulted", "Unavailable", "SuspendedEV", "Preparing"]
)
def test_a_status_is_in_the_same_style(status):
    message = read("StatusNotification", status=status)
    assert (told(message)["status"], told(message)["connector_id"]) == (status, 1)
    assert answered(message, outcomes.KEPT) == {"status": "Accepted"}


@pytest.mark.parametrize(("status", "error_code"), [("Available", "NoError"), ("Faulted", "OtherError")])
def test_a_status_has_an_error_code_by_default(status, error_code):
    assert told(read("StatusNotification", status=status))["error_code"] == error_code


def test_a_status_may_say_more():
    message = read(
        "StatusNotification",
        status="Faulted",
        connectorId=2,
        errorCode="GroundFailure",
        info=" hot ",
        timestamp=NOON,
    )
    assert told(message) == {
        "connector_id": 2,
        "error_code": "GroundFailure",
        "status": "Faulted",
        "info": "hot",
        "at": AT_NOON,
    }


def test_a_boot_may_say_more():
    message = read("BootNotification", model="", vendor=None, firmwareVersion="1.2", serialNumber="S")
    assert told(message) == {
        "vendor": "",
        "model": "",
        "firmware_version": "1.2",
        "charge_point_serial_number": "S",
    }


def test_a_session_may_say_more():
    text = (
        '{"messageType":"StartTransaction","chargerId":"CP1","transactionId":5,"timestamp":"2025-03-30T12:00:00Z",'
        '"connectorId":2,"idTag":"CARD-9","meterStart":678901234.123456}'
    )
    message = flat.decode(text)
    assert isinstance(message, FlatMessage)
    assert message.identity == "CP1"
    assert told(message) == {
        "connector_id": 2,
        "id_tag": "CARD-9",
        "meter_wh": Decimal("678901234.123456"),
        "at": AT_NOON,
        "at_text": NOON,
        "name": "5",
    }
    assert answered(message, begun()) == {"transactionId": 5, "status": "Accepted"}


def test_a_stop_may_say_more():
    message = read("StopTransaction", transactionId="T", meterStop="1500", reason="evdisconnected", idTag="A")
    assert told(message) == {"meter_wh": 1500, "reason": "EVDisconnected", "id_tag": "A", "name": "T"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"timestamp": None},
        {"timestamp": "soon"},
        {"timestamp": 5},
        {"connectorId": "x"},
        {"meterStart": []},
    ],
)
def test_a_start_is_not_refused_for_its_form(fields):
    message = read("StartTransaction", transactionId="T", **fields)
    assert (told(message)["name"], told(message)["connector_id"]) == ("T", 1)
    assert message.said.oddities


def test_a_stop_needs_nothing_but_its_transaction():
    message = read("StopTransaction", transactionId="T")
    assert (told(message), message.said.oddities) == ({"name": "T", "reason": "Local"}, ())


@pytest.mark.parametrize(
    ("charger_id", "identity"),
    [(1, "1"), ("1", "1"), (0, "0"), ("007", "007"), ("CP 1", "CP 1"), (2**53 - 1, "9007199254740991")],
)
def test_a_charger_is_a_number_or_a_text(charger_id, identity):
    assert read("Heartbeat", chargerId=charger_id).identity == identity


@pytest.mark.parametrize(
    "charger_id",
    [None, True, 1.0, 1.5, -1, 2**53, "", " ", "a ", "a/b", "a:b", "a\n", "x" * 129, [], {"id": 1}],
)
def test_any_other_charger_is_refused(charger_id):
    body = refused({"messageType": "Heartbeat", "chargerId": charger_id})
    assert body["messageType"] == "Heartbeat"
    assert body["error"]["field"] == "chargerId"
    assert body["error"]["message"].startswith("chargerId ")


@pytest.mark.parametrize(
    ("message", "field", "code"),
    [
        ({"chargerId": 1}, "messageType", "OccurenceConstraintViolation"),
        ({"messageType": 5, "chargerId": 1}, "messageType", "TypeConstraintViolation"),
        ({"messageType": "MeterValues", "chargerId": 1}, "messageType", "NotImplemented"),
        ({"messageType": "Heartbeat"}, "chargerId", "OccurenceConstraintViolation"),
        ({"messageType": "StatusNotification", "chargerId": 1}, "status", "OccurenceConstraintViolation"),
        (
            {"messageType": "StatusNotification", "chargerId": 1, "status": "Happy"},
            "status",
            "PropertyConstraintViolation",
        ),
        (
            {"messageType": "StatusNotification", "chargerId": 1, "status": ["Available"]},
            "status",
            "TypeConstraintViolation",
        ),
        (
            {"messageType": "StatusNotification", "chargerId": 1, "status": "Available", "connectorId": -1},
            "connectorId",
            "PropertyConstraintViolation",
        ),
        (
            {"messageType": "StatusNotification", "chargerId": 1, "status": "Available", "connectorId": 1001},
            "connectorId",
            "PropertyConstraintViolation",
        ),
        (
            {"messageType": "StartTransaction", "chargerId": 1},
            "transactionId",
            "OccurenceConstraintViolation",
        ),
        (
            {"messageType": "StartTransaction", "chargerId": 1, "transactionId": True},
            "transactionId",
            "TypeConstraintViolation",
        ),
        (
            {"messageType": "StopTransaction", "chargerId": 1, "transactionId": " "},
            "transactionId",
            "PropertyConstraintViolation",
        ),
        (
            {"messageType": "StopTransaction", "chargerId": 1, "transactionId": "x" * 256},
            "transactionId",
            "PropertyConstraintViolation",
        ),
    ],
)
def test_bad_input_gets_an_error_object_that_names_the_field(message, field, code):
    error = refused(message)["error"]
    assert (error["field"], error["code"]) == (field, code)
    assert error["message"]


@pytest.mark.parametrize("text", ["nonsense", '{"messageType":"Heart', "5", "null", '"Heartbeat"', "[]"])
def test_text_that_is_no_object_gets_an_error_object(text):
    assert refused(text)["error"]["code"] == "FormationViolation"
    assert "messageType" not in refused(text)


def test_an_ocpp_frame_is_told_where_it_belongs():
    assert "/ocpp/<identity>" in refused('[2,"1","Heartbeat",{}]')["error"]["message"]


@pytest.mark.parametrize("text", ["", " \n", "pong"])
def test_text_without_meaning_is_ignored(text):
    assert isinstance(flat.decode(text), Ignored)


def test_an_error_of_the_gateway_has_the_same_shape():
    assert flat.error_body("SecurityError", "wait for approval", message_type="StartTransaction") == {
        "messageType": "StartTransaction",
        "error": {"code": "SecurityError", "message": "wait for approval"},
    }


@pytest.mark.parametrize(
    ("name", "fields", "read", "oddities"),
    [
        (
            "BootNotification",
            {"model": "x" * 300, "vendor": 5},
            {"model": "x" * 255, "vendor": "5"},
            ("number-as-text", "overlong-text"),
        ),
        (
            "BootNotification",
            {"model": "M"},
            {"model": "M", "vendor": ""},
            ("empty-text", "missing-field"),
        ),
        (
            "StatusNotification",
            {"status": "faulted", "errorCode": "E", "connectorId": "2"},
            {"connector_id": 2, "error_code": "OtherError", "status": "Faulted", "reported_error_code": "E"},
            ("respelled", "text-as-number", "unknown-error-code"),
        ),
        (
            "StatusNotification",
            {"status": "Occupied"},
            {"connector_id": 1, "error_code": "NoError", "status": "Preparing"},
            ("status-of-1.5",),
        ),
    ],
)
def test_what_the_meaning_survives_is_taken_here_too(name, fields, read, oddities):
    message = flat.decode(json.dumps({"messageType": name, "chargerId": 1} | fields))
    assert isinstance(message, FlatMessage)
    assert (told(message), message.said.oddities) == (read, oddities)
