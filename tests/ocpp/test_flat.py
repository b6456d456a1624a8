"""The flat dialect: the user's own messages and answers, and what is refused."""

import json
from decimal import Decimal

import pytest

from charger_mgmt.ocpp import flat
from charger_mgmt.ocpp.flat import FlatError, FlatMessage
from charger_mgmt.ocpp.frames import Ignored

NOON = "2025-03-30T12:00:00Z"


def read(message_type, **fields):
    message = flat.decode(json.dumps({"messageType": message_type, "chargerId": 1} | fields))
    assert isinstance(message, FlatMessage), message
    return message


def refused(text):
    answer = flat.decode(text if isinstance(text, str) else json.dumps(text))
    assert isinstance(answer, FlatError), answer
    return answer.body


def test_the_boot_of_the_contract():
    message = read("BootNotification", model="EVChargerX", vendor="ChargerCo")
    assert (message.identity, message.payload) == (
        "1",
        {"chargePointVendor": "ChargerCo", "chargePointModel": "EVChargerX"},
    )
    answer = {"status": "Accepted", "currentTime": NOON, "interval": 300}
    assert flat.encode(flat.reply(message, answer)) == (
        '{"status":"Accepted","currentTime":"2025-03-30T12:00:00Z","interval":300}'
    )


def test_the_heartbeat_of_the_contract():
    message = read("Heartbeat")
    assert message.payload == {}
    assert flat.reply(message, {"currentTime": NOON}) == {"currentTime": NOON}


def test_the_start_of_the_contract():
    message = read("StartTransaction", transactionId="TXN-456", timestamp=NOON)
    assert message.payload == {"connectorId": 1, "timestamp": NOON, "sessionId": "TXN-456"}
    assert message.transaction_id == "TXN-456"
    answer = {"transactionId": 101, "idTagInfo": {"status": "Accepted"}}
    assert flat.reply(message, answer) == {"transactionId": "TXN-456", "status": "Accepted"}


def test_a_start_with_a_bad_tag_is_told_so():
    message = read("StartTransaction", transactionId="T", timestamp=NOON, idTag="CARD-9")
    answer = {"transactionId": 101, "idTagInfo": {"status": "Blocked"}}
    assert flat.reply(message, answer) == {"transactionId": "T", "status": "Blocked"}


def test_a_stop_is_in_the_same_style():
    message = read("StopTransaction", transactionId="TXN-456", timestamp=NOON)
    assert message.payload == {"timestamp": NOON, "sessionId": "TXN-456"}
    assert flat.reply(message, {}) == {"transactionId": "TXN-456", "status": "Accepted"}


@pytest.mark.parametrize(
    "status", ["Available", "Charging", "Faulted", "Unavailable", "SuspendedEV", "Preparing"]
)
def test_a_status_is_in_the_same_style(status):
    message = read("StatusNotification", status=status)
    assert message.payload["status"] == status
    assert message.payload["connectorId"] == 1
    assert flat.reply(message, {}) == {"status": "Accepted"}


@pytest.mark.parametrize(("status", "error_code"), [("Available", "NoError"), ("Faulted", "OtherError")])
def test_a_status_has_an_error_code_by_default(status, error_code):
    assert read("StatusNotification", status=status).payload["errorCode"] == error_code


def test_a_status_may_say_more():
    message = read(
        "StatusNotification",
        status="Faulted",
        connectorId=2,
        errorCode="GroundFailure",
        info=" hot ",
        timestamp=NOON,
    )
    assert message.payload == {
        "connectorId": 2,
        "errorCode": "GroundFailure",
        "status": "Faulted",
        "info": "hot",
        "timestamp": NOON,
    }


def test_a_boot_may_say_more():
    message = read("BootNotification", model="", vendor=None, firmwareVersion="1.2", serialNumber="S")
    assert message.payload == {
        "chargePointVendor": "",
        "chargePointModel": "",
        "firmwareVersion": "1.2",
        "chargePointSerialNumber": "S",
    }


def test_a_session_may_say_more():
    text = (
        '{"messageType":"StartTransaction","chargerId":"CP1","transactionId":5,"timestamp":"2025-03-30T12:00:00Z",'
        '"connectorId":2,"idTag":"CARD-9","meterStart":678901234.123456}'
    )
    message = flat.decode(text)
    assert isinstance(message, FlatMessage)
    assert (message.identity, message.transaction_id) == ("CP1", "5")
    assert message.payload == {
        "connectorId": 2,
        "idTag": "CARD-9",
        "meterStart": Decimal("678901234.123456"),
        "timestamp": NOON,
        "sessionId": "5",
    }
    assert flat.reply(message, {}) == {"transactionId": 5, "status": "Accepted"}


def test_a_stop_may_say_more():
    message = read("StopTransaction", transactionId="T", meterStop="1500", reason="evdisconnected", idTag="A")
    assert message.payload == {"meterStop": 1500, "reason": "EVDisconnected", "idTag": "A", "sessionId": "T"}


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
    assert message.payload["sessionId"] == "T"
    assert message.payload["connectorId"] == 1
    assert message.oddities


def test_a_stop_needs_nothing_but_its_transaction():
    message = read("StopTransaction", transactionId="T")
    assert (message.payload, message.oddities) == ({"sessionId": "T"}, ())


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
            {"chargePointModel": "x" * 255, "chargePointVendor": "5"},
            ("number-as-text", "overlong-text"),
        ),
        (
            "BootNotification",
            {"model": "M"},
            {"chargePointModel": "M", "chargePointVendor": ""},
            ("empty-text", "missing-field"),
        ),
        (
            "StatusNotification",
            {"status": "faulted", "errorCode": "E", "connectorId": "2"},
            {"connectorId": 2, "errorCode": "OtherError", "status": "Faulted", "reportedErrorCode": "E"},
            ("respelled", "text-as-number", "unknown-error-code"),
        ),
        (
            "StatusNotification",
            {"status": "Occupied"},
            {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"},
            ("status-of-1.5",),
        ),
    ],
)
def test_what_the_meaning_survives_is_taken_here_too(name, fields, read, oddities):
    message = flat.decode(json.dumps({"messageType": name, "chargerId": 1} | fields))
    assert isinstance(message, FlatMessage)
    assert (message.payload, message.oddities) == (read, oddities)
