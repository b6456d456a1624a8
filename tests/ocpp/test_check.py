"""What a charger may send: the ten messages, their tolerances, and the codes of table 7."""

from decimal import Decimal

import pytest

from charger_mgmt.ocpp import errors
from charger_mgmt.ocpp.actions import FROM_CENTRAL_SYSTEM, FROM_CHARGER, NEVER_REFUSED
from charger_mgmt.ocpp.schemas import check

BOOT = {"chargePointVendor": "ChargerCo", "chargePointModel": "EVChargerX"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
START = {"connectorId": 1, "idTag": "CARD-9", "meterStart": 0, "timestamp": "2025-03-30T12:00:00Z"}
STOP = {"transactionId": 7, "meterStop": 1500, "timestamp": "2025-03-30T13:00:00Z"}
SAMPLE = {"value": "1500", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
METER = {"connectorId": 1, "meterValue": [{"timestamp": "2025-03-30T12:30:00Z", "sampledValue": [SAMPLE]}]}

VALID = [
    ("Authorize", {"idTag": "CARD-9"}),
    ("Authorize", {"idTag": "x" * 20}),
    ("Authorize", {"idTag": ";;"}),
    ("BootNotification", BOOT),
    (
        "BootNotification",
        BOOT
        | {
            "chargePointSerialNumber": "x" * 25,
            "chargeBoxSerialNumber": "1",
            "firmwareVersion": "1.2",
            "iccid": "8931",
            "imsi": "262",
            "meterType": "M",
            "meterSerialNumber": "9",
        },
    ),
    ("DataTransfer", {"vendorId": "com.example"}),
    ("DataTransfer", {"vendorId": "com.example", "messageId": "m", "data": "{}"}),
    ("DiagnosticsStatusNotification", {"status": "Uploading"}),
    ("FirmwareStatusNotification", {"status": "InstallationFailed"}),
    ("Heartbeat", {}),
    ("MeterValues", METER),
    ("MeterValues", METER | {"transactionId": 7}),
    ("StartTransaction", START),
    ("StartTransaction", START | {"reservationId": 3}),
    ("StatusNotification", STATUS),
    (
        "StatusNotification",
        {
            "connectorId": 0,
            "errorCode": "WeakSignal",
            "status": "Faulted",
            "info": "x" * 50,
            "timestamp": "2025-03-30T12:00:00Z",
            "vendorId": "v",
            "vendorErrorCode": "E1",
        },
    ),
    ("StopTransaction", STOP),
    (
        "StopTransaction",
        STOP | {"idTag": "CARD-9", "reason": "Remote", "transactionData": METER["meterValue"]},
    ),
]


@pytest.mark.parametrize(("action", "payload"), VALID)
def test_a_valid_payload_passes_unchanged(action, payload):
    checked = check(action, payload)
    assert (checked.payload, checked.oddities, checked.violation) == (payload, (), None)


def test_every_message_of_a_charger_has_a_valid_example():
    assert {action for action, _ in VALID} == FROM_CHARGER


OCCURENCE, TYPE, FORMATION, PROPERTY = (
    errors.OCCURENCE_CONSTRAINT_VIOLATION,
    errors.TYPE_CONSTRAINT_VIOLATION,
    errors.FORMATION_VIOLATION,
    errors.PROPERTY_CONSTRAINT_VIOLATION,
)


def _without(payload, name):
    return {key: value for key, value in payload.items() if key != name}


REFUSED = [
    ("Authorize", {}, OCCURENCE),
    ("Authorize", {"idTag": None}, OCCURENCE),
    ("Authorize", {"idTag": 17}, TYPE),
    ("Authorize", {"idTag": "x" * 21}, PROPERTY),
    ("Authorize", {"idTag": "A", "tag": "B"}, FORMATION),
    ("Authorize", [], FORMATION),
    ("Authorize", "A", FORMATION),
    ("BootNotification", _without(BOOT, "chargePointVendor"), OCCURENCE),
    ("BootNotification", _without(BOOT, "chargePointModel"), OCCURENCE),
    ("BootNotification", BOOT | {"chargePointModel": 5}, TYPE),
    ("BootNotification", BOOT | {"chargePointVendor": "x" * 21}, PROPERTY),
    ("BootNotification", BOOT | {"meterType": "x" * 256}, PROPERTY),
    ("BootNotification", BOOT | {"serial": "1"}, FORMATION),
    ("DataTransfer", {}, OCCURENCE),
    ("DataTransfer", {"vendorId": "x" * 256}, PROPERTY),
    ("DataTransfer", {"vendorId": "v", "messageId": "x" * 51}, PROPERTY),
    ("DataTransfer", {"vendorId": "v", "data": {}}, TYPE),
    ("DataTransfer", {"vendorId": "v", "more": 1}, FORMATION),
    ("DiagnosticsStatusNotification", {}, OCCURENCE),
    ("DiagnosticsStatusNotification", {"status": "uploading"}, PROPERTY),
    ("DiagnosticsStatusNotification", {"status": 1}, TYPE),
    ("FirmwareStatusNotification", {}, OCCURENCE),
    ("FirmwareStatusNotification", {"status": "Uploading"}, PROPERTY),
    ("FirmwareStatusNotification", {"status": "Idle", "info": ""}, FORMATION),
    ("Heartbeat", {"now": 1}, FORMATION),
    ("Heartbeat", [], FORMATION),
    ("StatusNotification", _without(STATUS, "connectorId"), OCCURENCE),
    ("StatusNotification", _without(STATUS, "errorCode"), OCCURENCE),
    ("StatusNotification", STATUS | {"connectorId": "1"}, TYPE),
    ("StatusNotification", STATUS | {"connectorId": Decimal("1.5")}, TYPE),
    ("StatusNotification", STATUS | {"connectorId": True}, TYPE),
    ("StatusNotification", STATUS | {"connectorId": -1}, PROPERTY),
    ("StatusNotification", STATUS | {"connectorId": 2**31}, PROPERTY),
    ("StatusNotification", STATUS | {"connectorId": 1001}, PROPERTY),  # each would be a row
    ("StatusNotification", STATUS | {"status": "Occupied"}, PROPERTY),
    ("StatusNotification", STATUS | {"errorCode": "Broken"}, PROPERTY),
    ("StatusNotification", STATUS | {"vendorId": "x" * 256}, PROPERTY),
    ("StatusNotification", STATUS | {"info": "x" * 256}, PROPERTY),
    ("StatusNotification", STATUS | {"timestamp": "yesterday"}, PROPERTY),
    ("StatusNotification", STATUS | {"timestamp": 1743336000}, TYPE),
    ("StatusNotification", STATUS | {"transactionId": 1}, FORMATION),
]


@pytest.mark.parametrize(("action", "payload", "code"), REFUSED)
def test_a_fault_of_form_gets_the_code_that_is_due(action, payload, code):
    violation = check(action, payload).violation
    assert violation is not None
    assert violation.code == code


def test_every_message_that_may_be_refused_has_an_example_of_it():
    assert {action for action, _, _ in REFUSED} == FROM_CHARGER - NEVER_REFUSED


def test_a_refusal_names_the_field_but_not_its_value():
    violation = check("Authorize", {"idTag": "secret-" * 9}).violation
    assert violation is not None
    assert "idTag" in violation.description
    assert "secret" not in violation.description


@pytest.mark.parametrize("action", ["Foo", "heartbeat", "/Heartbeat", "", "x" * 10_000])
def test_an_unknown_action_is_not_implemented(action):
    violation = check(action, {}).violation
    assert violation is not None
    assert violation.code == "NotImplemented"


@pytest.mark.parametrize(
    "action", [*sorted(FROM_CENTRAL_SYSTEM - FROM_CHARGER), "SecurityEventNotification", "SignCertificate"]
)
def test_a_known_action_that_we_do_not_serve_is_not_supported(action):
    violation = check(action, {}).violation
    assert violation is not None
    assert violation.code == "NotSupported"


TOLERATED = [
    ("Heartbeat", None, {}, ()),
    ("Authorize", {"idTag": "A", "x": None}, {"idTag": "A"}, ("null-dropped",)),
    (
        "BootNotification",
        BOOT | {"chargePointVendor": "", "iccid": None},
        BOOT | {"chargePointVendor": ""},
        ("empty-text", "null-dropped"),
    ),
    (
        "BootNotification",
        BOOT | {"chargePointVendor": None, "chargePointModel": None},
        {"chargePointVendor": "", "chargePointModel": ""},
        ("empty-text", "null-dropped"),
    ),
    ("BootNotification", BOOT | {"chargePointModel": " EVChargerX\n"}, BOOT, ("padded-text",)),
    (
        "BootNotification",
        BOOT | {"chargePointSerialNumber": "x" * 26, "firmwareVersion": "f" * 255},
        BOOT | {"chargePointSerialNumber": "x" * 26, "firmwareVersion": "f" * 255},
        ("overlong-text",),
    ),
    ("StatusNotification", STATUS | {"info": None}, STATUS, ("null-dropped",)),
    ("StatusNotification", STATUS | {"info": "x" * 51}, STATUS | {"info": "x" * 51}, ("overlong-text",)),
    ("StatusNotification", STATUS | {"connectorId": Decimal("1.0")}, STATUS, ()),
    (
        "StatusNotification",
        STATUS | {"connectorId": 0, "status": "Charging"},
        STATUS | {"connectorId": 0, "status": "Charging"},
        (),
    ),
    ("StatusNotification", STATUS | {"timestamp": "0000-00-00T00:00:00Z"}, STATUS, ("unreadable-timestamp",)),
    ("StatusNotification", STATUS | {"timestamp": ""}, STATUS, ("unreadable-timestamp",)),
    (
        "StatusNotification",
        STATUS | {"timestamp": "2025-03-30 14:00:00+02"},
        STATUS | {"timestamp": "2025-03-30 14:00:00+02"},
        (),
    ),
]


@pytest.mark.parametrize(("action", "payload", "read", "oddities"), TOLERATED)
def test_a_known_quirk_is_accepted_and_noted(action, payload, read, oddities):
    checked = check(action, payload)
    assert (checked.payload, checked.oddities, checked.violation) == (read, oddities, None)


def test_a_whole_number_with_a_fraction_of_zero_arrives_as_an_int():
    assert (
        type(check("StatusNotification", STATUS | {"connectorId": Decimal("1.0")}).payload["connectorId"])
        is int
    )
