"""What we send, to the letter; what a charger answers, with every tolerance."""

from decimal import Decimal

import pytest

from charger_mgmt.dialects.ocpp16.form import check_request, check_response, response_errors
from tests.support.messages import FROM_CENTRAL_SYSTEM

NOW = "2025-03-30T12:00:00Z"


def schedule(limit):
    return {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}


def profile(limit=16.1, **fields):
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule(limit),
    } | fields


REQUESTS = [
    ("CancelReservation", {"reservationId": 1}),
    ("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "300"}),
    ("ClearCache", {}),
    ("ClearChargingProfile", {}),
    ("DataTransfer", {"vendorId": "com.example", "data": "x"}),
    ("GetCompositeSchedule", {"connectorId": 1, "duration": 3600}),
    ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
    ("GetDiagnostics", {"location": "ftp://127.0.0.1/diagnostics"}),
    ("GetLocalListVersion", {}),
    ("RemoteStartTransaction", {"idTag": "CARD-9", "connectorId": 1}),
    ("RemoteStopTransaction", {"transactionId": 7}),
    ("ReserveNow", {"connectorId": 1, "expiryDate": NOW, "idTag": "CARD-9", "reservationId": 1}),
    ("Reset", {"type": "Soft"}),
    ("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [{"idTag": "A"}]}),
    ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile()}),
    ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
    ("UnlockConnector", {"connectorId": 1}),
    ("UpdateFirmware", {"location": "https://127.0.0.1/fw", "retrieveDate": NOW}),
]


@pytest.mark.parametrize(("action", "payload"), REQUESTS)
def test_a_valid_call_may_be_sent(action, payload):
    assert check_request(action, payload) == []


def test_every_call_of_the_central_system_has_an_example():
    assert {action for action, _ in REQUESTS} == FROM_CENTRAL_SYSTEM


@pytest.mark.parametrize("limit", [8.1, 16.1, 0.3, 6, 32.0, Decimal("8.1"), 1000000.7])
def test_a_limit_with_one_decimal_may_be_sent(limit):
    assert check_request("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile(limit)}) == []


def test_a_limit_with_two_decimals_may_not():
    payload = {"connectorId": 1, "csChargingProfiles": profile(8.15)}
    assert check_request("SetChargingProfile", payload) == [
        (
            "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit",
            "must be a multiple of 0.1",
        )
    ]


@pytest.mark.parametrize(
    ("action", "payload", "pointer", "word"),
    [
        ("Reset", {}, "/type", "required"),
        ("Reset", {"type": "soft"}, "/type", "Hard, Soft"),
        ("Reset", {"type": 1}, "/type", "text"),
        ("Reset", {"type": "Soft", "a/b~c": 1}, "/a~1b~0c", "not a field"),
        ("Reset", [], "", "object"),
        ("Reset", None, "", "object"),
        ("ChangeConfiguration", {"key": "K", "value": 300}, "/value", "text"),
        ("ChangeConfiguration", {"key": "x" * 51, "value": ""}, "/key", "50"),
        ("RemoteStartTransaction", {"idTag": "x" * 21}, "/idTag", "20"),
        ("UnlockConnector", {"connectorId": "1"}, "/connectorId", "whole number"),
        ("UnlockConnector", {"connectorId": None}, "/connectorId", "whole number"),
        (
            "UpdateFirmware",
            {"location": "https://h/f", "retrieveDate": "soon"},
            "/retrieveDate",
            "date and time",
        ),
        (
            "UpdateFirmware",
            {"location": "https://h/f", "retrieveDate": NOW[:-1]},
            "/retrieveDate",
            "date and time",
        ),
        ("GetDiagnostics", {"location": "no uri"}, "/location", "URI"),
        ("DataTransfer", {"vendorId": "v", 5: "x"}, "", "JSON"),
    ],
)
def test_a_call_that_is_wrong_is_told_where_and_why(action, payload, pointer, word):
    found = check_request(action, payload)
    assert [where for where, _ in found] == [pointer]
    assert word in found[0][1]


def test_a_secret_is_not_repeated_in_the_message():
    found = check_request("ChangeConfiguration", {"key": "AuthorizationKey", "value": "secret" * 100})
    assert found
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Authorize", {"idTagInfo": {"status": "Accepted", "expiryDate": NOW, "parentIdTag": "P"}}),
        ("BootNotification", {"status": "Accepted", "currentTime": NOW, "interval": 300}),
        ("DataTransfer", {"status": "UnknownVendorId"}),
        ("DiagnosticsStatusNotification", {}),
        ("FirmwareStatusNotification", {}),
        ("Heartbeat", {"currentTime": NOW}),
        ("MeterValues", {}),
        ("StartTransaction", {"transactionId": 1, "idTagInfo": {"status": "Invalid"}}),
        ("StatusNotification", {}),
        ("StopTransaction", {}),
    ],
)
def test_our_own_answers_are_valid(action, payload):
    assert response_errors(action, payload) == []


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Heartbeat", {}),
        ("Heartbeat", {"currentTime": "2025-03-30T12:00:00"}),
        ("BootNotification", {"status": "Accepted", "currentTime": NOW, "interval": 300.5}),
        ("BootNotification", {"status": "Accepted", "currentTime": NOW, "heartbeatInterval": 300}),
        ("StartTransaction", {"idTagInfo": {"status": "Accepted"}}),
        ("StopTransaction", {"idTagInfo": None}),
        ("MeterValues", {"status": "Accepted"}),
    ],
)
def test_an_answer_of_ours_that_is_wrong_is_found(action, payload):
    assert response_errors(action, payload)


@pytest.mark.parametrize(
    ("action", "payload", "read", "oddities"),
    [
        ("Reset", {"status": "Accepted"}, {"status": "Accepted"}, ()),
        ("Reset", {"status": "accepted "}, {"status": "Accepted"}, ("respelled",)),
        ("Reset", {"status": "Accepted", "x": None}, {"status": "Accepted"}, ("null-dropped",)),
        ("Reset", {"status": "Accepted", "x": 1}, {"status": "Accepted", "x": 1}, ("extra-field",)),
        ("GetConfiguration", {}, {}, ()),
        (
            "GetConfiguration",
            {"configurationKey": [{"key": "k", "readonly": False, "value": "v" * 600}], "unknownKey": None},
            {"configurationKey": [{"key": "k", "readonly": False, "value": "v" * 600}]},
            ("null-dropped", "overlong-text"),
        ),
        (
            "GetConfiguration",
            {
                "configurationKey": [
                    {"key": "k", "readonly": "True", "value": 300},
                    {"key": "l", "value": True},
                ]
            },
            {
                "configurationKey": [
                    {"key": "k", "readonly": True, "value": "300"},
                    {"key": "l", "readonly": False, "value": "true"},
                ]
            },
            ("missing-field", "number-as-text", "text-as-number"),
        ),
        ("GetLocalListVersion", {"listVersion": "-1"}, {"listVersion": -1}, ("text-as-number",)),
        (
            "GetCompositeSchedule",
            {"status": "Accepted", "connectorId": 1, "chargingSchedule": schedule(Decimal("16.1"))},
            {"status": "Accepted", "connectorId": 1, "chargingSchedule": schedule(16.1)},
            (),
        ),
    ],
)
def test_an_odd_answer_of_a_charger_is_read(action, payload, read, oddities):
    checked = check_response(action, payload)
    assert (checked.payload, checked.oddities, checked.violation) == (read, oddities, None)


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Reset", {}, "OccurenceConstraintViolation"),
        ("Reset", {"status": "Perhaps"}, "PropertyConstraintViolation"),
        ("Reset", {"status": 5}, "PropertyConstraintViolation"),
        ("Reset", [], "FormationViolation"),
        ("GetConfiguration", {"configurationKey": "none"}, "TypeConstraintViolation"),
        ("GetLocalListVersion", {"listVersion": "many"}, "TypeConstraintViolation"),
    ],
)
def test_an_answer_that_does_not_say_what_was_asked_is_a_violation(action, payload, code):
    violation = check_response(action, payload).violation
    assert violation is not None
    assert violation.code == code
