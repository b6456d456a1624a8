"""What a charger may send: the ten messages, their tolerances, and the codes of table 7."""

from decimal import Decimal

import pytest

from charger_mgmt.dialects.ocpp16.table import check
from charger_mgmt.ocppj import errors
from tests.support.messages import FROM_CENTRAL_SYSTEM, FROM_CHARGER, NEVER_REFUSED

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
    ("LogStatusNotification", {"status": "Uploading", "requestId": 7}),
    ("SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": "2025-03-30T12:00:00Z"}),
    ("SignedFirmwareStatusNotification", {"status": "SignatureVerified", "requestId": 7}),
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
    ("LogStatusNotification", {"status": "Burning"}, PROPERTY),
    ("SecurityEventNotification", {"timestamp": "2025-03-30T12:00:00Z"}, OCCURENCE),
    ("SignedFirmwareStatusNotification", {"requestId": 7}, OCCURENCE),
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
    violation = check(action, payload, strict=True).violation
    assert violation is not None
    assert violation.code == code


def test_every_message_that_may_be_refused_has_an_example_of_it():
    assert {action for action, _, _ in REFUSED} == FROM_CHARGER - NEVER_REFUSED


def test_a_refusal_names_the_field_but_not_its_value():
    violation = check("Authorize", {"idTag": "secret-" * 9}, strict=True).violation
    assert violation is not None
    assert "idTag" in violation.description
    assert "secret" not in violation.description


@pytest.mark.parametrize("action", ["Foo", "heartbeat", "/Heartbeat", "", "x" * 10_000])
def test_an_unknown_action_is_not_implemented(action):
    violation = check(action, {}).violation
    assert violation is not None
    assert violation.code == "NotImplemented"


@pytest.mark.parametrize("action", [*sorted(FROM_CENTRAL_SYSTEM - FROM_CHARGER), "SignCertificate"])
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


TAKEN = [  # (action, payload, what is read, oddities)
    ("Authorize", {"idTag": "A", "connectorId": 1}, {"idTag": "A"}, ("extra-field",)),
    ("Authorize", {"idTag": "x" * 21}, {"idTag": "x" * 21}, ("overlong-text",)),
    ("Authorize", {"idTag": 17}, {"idTag": "17"}, ("number-as-text",)),
    ("Authorize", {"idTag": Decimal("1.50")}, {"idTag": "1.5"}, ("number-as-text",)),
    ("BootNotification", BOOT | {"chargePointModel": "x" * 23}, BOOT | {"chargePointModel": "x" * 23}, ("overlong-text",)),
    ("BootNotification", BOOT | {"chargePointVendor": "x" * 300}, BOOT | {"chargePointVendor": "x" * 255}, ("overlong-text",)),
    ("BootNotification", BOOT | {"chargePointModel": 5}, BOOT | {"chargePointModel": "5"}, ("number-as-text",)),
    ("BootNotification", BOOT | {"meterType": True}, BOOT | {"meterType": "true"}, ("number-as-text",)),
    ("BootNotification", {}, {"chargePointVendor": "", "chargePointModel": ""}, ("empty-text", "missing-field")),
    ("BootNotification", BOOT | {"imei": "1", "colour": {}}, BOOT, ("extra-field",)),
    ("DataTransfer", {"vendorId": "v", "data": {"a": [1]}}, {"vendorId": "v", "data": '{"a":[1]}'}, ("object-as-text",)),
    ("DataTransfer", {"vendorId": "v", "data": 5}, {"vendorId": "v", "data": "5"}, ("number-as-text",)),
    ("DataTransfer", {"vendorId": "v", "messageId": "m" * 60}, {"vendorId": "v", "messageId": "m" * 60}, ("overlong-text",)),
    ("DiagnosticsStatusNotification", {"status": "upload failed"}, {"status": "UploadFailed"}, ("respelled",)),
    ("FirmwareStatusNotification", {"status": "Rebooting"}, {"status": "Rebooting"}, ("unknown-status",)),
    ("FirmwareStatusNotification", {"status": "Idle", "info": ""}, {"status": "Idle"}, ("extra-field",)),
    ("Heartbeat", {"now": 1}, {}, ("extra-field",)),
    ("LogStatusNotification", {"status": "Uploaded", "requestId": "7"}, {"status": "Uploaded", "requestId": 7}, ("text-as-number",)),
    ("SecurityEventNotification", {"type": "OwnEvent", "timestamp": "x", "techInfo": {"a": 1}}, {"type": "OwnEvent", "timestamp": "x", "techInfo": '{"a":1}'}, ("object-as-text",)),
    (
        "StatusNotification",
        STATUS | {"status": "Faulted", "errorCode": "Error"},
        STATUS | {"status": "Faulted", "errorCode": "OtherError", "reportedErrorCode": "Error"},
        ("unknown-error-code",),
    ),
    ("StatusNotification", STATUS | {"info": {"hot": 1}}, STATUS | {"info": '{"hot":1}'}, ("object-as-text",)),
    ("StatusNotification", STATUS | {"vendorId": [], "timestamp": {}}, STATUS, ("unreadable-field",)),
    ("StatusNotification", STATUS | {"errorCode": []}, STATUS, ("missing-field", "unreadable-field")),
    ("StatusNotification", STATUS | {"errorCode": 0}, STATUS | {"errorCode": "OtherError", "reportedErrorCode": "0"}, ("number-as-text", "unknown-error-code")),
    ("BootNotification", BOOT | {"chargePointModel": {}, "iccid": []}, BOOT | {"chargePointModel": ""}, ("empty-text", "missing-field", "unreadable-field")),
    ("StatusNotification", STATUS | {"errorCode": "no_error"}, STATUS, ("respelled",)),
    ("StatusNotification", {"connectorId": 1, "status": "Faulted"}, STATUS | {"status": "Faulted", "errorCode": "OtherError"}, ("missing-field",)),
    ("StatusNotification", {"connectorId": 1, "status": "Available"}, STATUS, ("missing-field",)),
    ("StatusNotification", STATUS | {"status": "charging "}, STATUS | {"status": "Charging"}, ("respelled",)),
    ("StatusNotification", STATUS | {"status": "SUSPENDED_EV"}, STATUS | {"status": "SuspendedEV"}, ("respelled",)),
    ("StatusNotification", STATUS | {"status": "Occupied"}, STATUS | {"status": "Preparing"}, ("status-of-1.5",)),
    ("StatusNotification", STATUS | {"connectorId": "1"}, STATUS, ("text-as-number",)),
    ("StatusNotification", STATUS | {"timestamp": "yesterday"}, STATUS, ("unreadable-timestamp",)),
    ("StatusNotification", STATUS | {"timestamp": 1743336000}, STATUS, ("number-as-text", "unreadable-timestamp")),
    ("StatusNotification", STATUS | {"vendorErrorCode": 12, "transactionId": 1}, STATUS | {"vendorErrorCode": "12"}, ("extra-field", "number-as-text")),
]  # fmt: skip


@pytest.mark.parametrize(("action", "payload", "read", "oddities"), TAKEN)
def test_what_the_meaning_survives_is_taken_and_noted(action, payload, read, oddities):
    checked = check(action, payload)
    assert (checked.payload, checked.oddities, checked.violation) == (read, oddities, None)


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Authorize", {}, OCCURENCE),
        ("Authorize", {"idTag": None}, OCCURENCE),
        ("Authorize", {"idTag": {}}, TYPE),
        ("DataTransfer", {"vendorId": []}, TYPE),
        ("StatusNotification", STATUS | {"status": ["Available"]}, TYPE),
        ("DataTransfer", {"data": "x"}, OCCURENCE),
        ("FirmwareStatusNotification", {}, OCCURENCE),
        ("StatusNotification", _without(STATUS, "connectorId"), OCCURENCE),
        ("StatusNotification", _without(STATUS, "status"), OCCURENCE),
        ("StatusNotification", STATUS | {"status": "Happy"}, PROPERTY),
        ("StatusNotification", STATUS | {"connectorId": -1}, PROPERTY),
        ("StatusNotification", STATUS | {"connectorId": "-1"}, PROPERTY),
        ("StatusNotification", STATUS | {"connectorId": 1001}, PROPERTY),
        ("StatusNotification", STATUS | {"connectorId": True}, TYPE),
        ("StatusNotification", STATUS | {"connectorId": Decimal("1.5")}, TYPE),
        ("StatusNotification", STATUS | {"connectorId": []}, TYPE),
    ],
)
def test_what_cannot_be_understood_is_refused_all_the_same(action, payload, code):
    violation = check(action, payload).violation
    assert violation is not None
    assert violation.code == code
