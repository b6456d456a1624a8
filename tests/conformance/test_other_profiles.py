"""OCTT: local list, firmware, triggers, smart charging, security, by an operator's own calls.

TC_083 and TC_085 to TC_087 need TLS and stand with the chargers' own security.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from charger_mgmt import clock

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0", "UNKNOWN_TAGS": "invalid"}

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def at(**parts):
    return (clock.now() + timedelta(**parts)).isoformat().replace("+00:00", "Z")


def calls(operator, charger, action, **payload):
    """A call by the operator, which reaches the charger as it is; (state, response)."""
    before = len(charger.calls)
    answer = operator.commands(charger, action, **payload)
    assert answer.status == 200, answer
    assert [(call.action, call.payload) for call in charger.calls[before:]] == [(action, payload)]
    return answer.json["state"], answer.json["response"]


def said(charger, action):
    """What the charger has reported of its own, in order; each must have been answered."""
    messages = charger.ledger.of(action)
    assert all(message.answer == {} for message in messages)
    return [message.payload["status"] for message in messages]


# Local list


def test_TC_042_1_the_list_is_not_supported(charger, operator):
    charger.answers("GetLocalListVersion", {"listVersion": -1})
    assert calls(operator, charger, "GetLocalListVersion") == ("accepted", {"listVersion": -1})


def test_TC_042_2_the_list_is_empty(charger, operator):
    assert calls(operator, charger, "GetLocalListVersion") == ("accepted", {"listVersion": 0})


@pytest.mark.parametrize(("case", "status"), [("1", "NotSupported"), ("3", "Failed")])
def test_TC_043_the_list_is_refused(charger, operator, case, status):
    charger.answers("SendLocalList", {"status": status})
    sent = calls(
        operator, charger, "SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=[]
    )
    assert sent == ("rejected", {"status": status})


def test_TC_043_4_a_full_list(charger, card, operator):
    entries = [{"idTag": card, "idTagInfo": {"status": "Accepted"}}]
    sent = calls(
        operator, charger, "SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=entries
    )
    assert sent == ("accepted", {"status": "Accepted"})
    assert calls(operator, charger, "GetLocalListVersion")[1] == {"listVersion": 1}


def test_TC_043_5_a_differential_list(charger, card, operator):
    entries = [{"idTag": card, "idTagInfo": {"status": "Accepted"}}]
    calls(operator, charger, "SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=[])
    fields = {"updateType": "Differential", "localAuthorizationList": entries}
    assert calls(operator, charger, "SendLocalList", listVersion=2, **fields)[1] == {"status": "Accepted"}
    assert calls(operator, charger, "SendLocalList", listVersion=2, **fields)[1] == {
        "status": "VersionMismatch"
    }


# Firmware and diagnostics


def test_TC_044_1_firmware_is_downloaded_and_installed(charger, operator):
    state, _ = calls(
        operator, charger, "UpdateFirmware", location="https://files.test/v2.bin", retrieveDate=at(seconds=1)
    )
    assert state == "accepted"
    assert charger.rests()
    assert said(charger, "FirmwareStatusNotification") == [
        "Downloading",
        "Downloaded",
        "Installing",
        "Installed",
    ]
    seen = operator.sees(charger)
    assert (seen["firmwareStatus"], seen["firmwareVersion"]) == ("Installed", "v2.bin")


@pytest.mark.parametrize(("case", "end"), [("2", "DownloadFailed"), ("3", "InstallationFailed")])
def test_TC_044_firmware_that_fails(charger, operator, case, end):
    charger.answers("UpdateFirmware", {})
    calls(operator, charger, "UpdateFirmware", location="ftp://files.test/v2.bin", retrieveDate=at(seconds=1))
    words = ["Downloading", end] if case == "2" else ["Downloading", "Downloaded", "Installing", end]
    for word in words:
        assert charger.sends("FirmwareStatusNotification", {"status": word}).payload == {}
    assert operator.sees(charger)["firmwareStatus"] == end


@pytest.mark.parametrize(("case", "end"), [("1", "Uploaded"), ("2", "UploadFailed")])
def test_TC_045_diagnostics(charger, operator, case, end):
    if case == "2":
        charger.answers("GetDiagnostics", {"fileName": "x.log"})
    location = "ftp://user:a%20password@files.test/in"
    state, response = calls_masked(operator, charger, location)
    assert (state, "fileName" in response) == ("accepted", True)
    assert charger.rests()
    if case == "2":
        for word in ("Uploading", end):
            charger.sends("DiagnosticsStatusNotification", {"status": word})
    assert said(charger, "DiagnosticsStatusNotification") == ["Uploading", end]
    assert operator.sees(charger)["diagnosticsStatus"] == end


def calls_masked(operator, charger, location):
    """The charger is told the password in the address, and nobody else is."""
    answer = operator.commands(charger, "GetDiagnostics", location=location)
    assert charger.calls[-1].payload == {"location": location}
    assert answer.json["payload"] == {"location": "ftp://***@files.test/in"}
    return answer.json["state"], answer.json["response"]


# Triggers


@pytest.mark.parametrize(
    "message",
    [
        {"requestedMessage": "MeterValues", "connectorId": 1},
        {"requestedMessage": "Heartbeat"},
        {"requestedMessage": "StatusNotification", "connectorId": 1},
        {"requestedMessage": "DiagnosticsStatusNotification"},
        {"requestedMessage": "FirmwareStatusNotification"},
    ],
    ids=lambda message: message["requestedMessage"],
)
def test_TC_054_a_message_is_triggered(charger, operator, message):
    action = message["requestedMessage"]
    before = len(charger.ledger.of(action))
    assert calls(operator, charger, "TriggerMessage", **message) == ("accepted", {"status": "Accepted"})
    assert charger.rests()
    sent = charger.ledger.of(action)[before:]
    assert len(sent) == 1
    assert sent[0].answer is not None


def test_TC_055_a_trigger_is_rejected(charger, operator):
    payload = {"requestedMessage": "MeterValues", "connectorId": 3}
    assert calls(operator, charger, "TriggerMessage", **payload) == ("rejected", {"status": "Rejected"})


# Smart charging


def profile(number=1, purpose="TxDefaultProfile", level=1, kind="Absolute", limit=6.0, **fields):
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit, "numberPhases": 3}],
    }
    made = {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    }
    if kind == "Absolute":
        made |= {"validFrom": at(minutes=-1), "validTo": at(hours=1)}
        schedule |= {"startSchedule": at(minutes=-1), "duration": 3600}
    return made | fields


def installs(operator, charger, connector, made):
    return calls(operator, charger, "SetChargingProfile", connectorId=connector, csChargingProfiles=made)


def test_TC_056_a_default_profile(charger, operator):
    assert installs(operator, charger, 1, profile()) == ("accepted", {"status": "Accepted"})
    assert list(charger.holds.profiles) == [1]


@pytest.mark.parametrize("kind", ["Absolute", "Relative"])
def test_TC_057_a_profile_of_a_transaction(charger, session, operator, kind):
    made = profile(purpose="TxProfile", kind=kind, transactionId=session.transaction_id)
    assert installs(operator, charger, 1, made)[1] == {"status": "Accepted"}


def test_TC_059_a_remote_start_with_a_profile(charger, card, operator):
    made = profile(purpose="TxProfile", kind="Relative")
    state, _ = calls(
        operator, charger, "RemoteStartTransaction", idTag=card, connectorId=1, chargingProfile=made
    )
    assert state == "accepted"
    assert charger.rests()
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]


def test_TC_066_the_composite_schedule(charger, operator):
    installs(operator, charger, 0, profile(1, "ChargePointMaxProfile", limit=10.0))
    installs(operator, charger, 1, profile(2, limit=6.0))
    state, response = calls(
        operator, charger, "GetCompositeSchedule", connectorId=1, duration=300, chargingRateUnit="A"
    )
    assert (state, response["status"], response["connectorId"]) == ("accepted", "Accepted", 1)
    assert response["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6.0}]


def test_TC_067_profiles_are_cleared(charger, session, operator):
    installs(operator, charger, 0, profile(1, "ChargePointMaxProfile"))
    installs(operator, charger, 1, profile(2))
    installs(operator, charger, 1, profile(3, "TxProfile", transactionId=session.transaction_id))
    for payload, left in (
        ({"id": 1}, [2, 3]),
        ({"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}, [3]),
        ({}, []),
    ):
        assert calls(operator, charger, "ClearChargingProfile", **payload)[1] == {"status": "Accepted"}
        assert list(charger.holds.profiles) == left
    assert calls(operator, charger, "ClearChargingProfile", id=99) == ("rejected", {"status": "Unknown"})


# Security


def test_TC_075_a_root_certificate_is_installed(charger, operator):
    for kind in ("ManufacturerRootCertificate", "CentralSystemRootCertificate"):
        assert calls(operator, charger, "InstallCertificate", certificateType=kind, certificate=PEM + kind)[
            1
        ] == {"status": "Accepted"}
        _, told = calls(operator, charger, "GetInstalledCertificateIds", certificateType=kind)
        assert (told["status"], len(told["certificateHashData"])) == ("Accepted", 1)


def test_TC_076_a_certificate_is_deleted(charger, operator):
    kind = "CentralSystemRootCertificate"
    calls(operator, charger, "InstallCertificate", certificateType=kind, certificate=PEM)
    _, told = calls(operator, charger, "GetInstalledCertificateIds", certificateType=kind)
    (data,) = told["certificateHashData"]
    assert calls(operator, charger, "DeleteCertificate", certificateHashData=data)[1] == {
        "status": "Accepted"
    }
    again = calls(operator, charger, "DeleteCertificate", certificateHashData=data)
    assert again == ("rejected", {"status": "NotFound"})
    assert calls(operator, charger, "GetInstalledCertificateIds", certificateType=kind)[1] == {
        "status": "NotFound"
    }


def test_TC_078_an_invalid_central_system_certificate(charger, operator):
    payload = {"certificateType": "CentralSystemRootCertificate", "certificate": "no certificate"}
    assert calls(operator, charger, "InstallCertificate", **payload)[1] == {"status": "Rejected"}
    event = {"type": "InvalidCentralSystemCertificate", "timestamp": at()}
    assert charger.sends("SecurityEventNotification", event).payload == {}


def test_TC_079_the_security_log(charger, operator):
    log = {"remoteLocation": "https://user:secret@files.test/logs"}
    answer = operator.commands(charger, "GetLog", logType="SecurityLog", requestId=1, log=log)
    assert answer.json["payload"]["log"] == {"remoteLocation": "https://***@files.test/logs"}
    assert charger.calls[-1].payload["log"] == log
    assert answer.json["response"]["status"] == "Accepted"
    assert charger.rests()
    assert said(charger, "LogStatusNotification") == ["Uploading", "Uploaded"]


def firmware():
    return {
        "location": "https://files.test/v3.bin",
        "retrieveDateTime": at(seconds=1),
        "signingCertificate": PEM,
        "signature": "c2lnbmF0dXJl",
    }


def test_TC_080_signed_firmware(charger, operator):
    sent = calls(operator, charger, "SignedUpdateFirmware", requestId=7, firmware=firmware())
    assert sent == ("accepted", {"status": "Accepted"})
    assert charger.rests()
    assert said(charger, "SignedFirmwareStatusNotification") == [
        "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed",
    ]  # fmt: skip
    assert [each.payload["type"] for each in charger.ledger.of("SecurityEventNotification")] == [
        "FirmwareUpdated"
    ]
    assert operator.sees(charger)["firmwareVersion"] == "v3.bin"


def test_TC_081_signed_firmware_with_a_bad_signature(charger, operator):
    charger.answers("SignedUpdateFirmware", {"status": "Accepted"})
    calls(operator, charger, "SignedUpdateFirmware", requestId=8, firmware=firmware())
    for status in ("Downloading", "Downloaded", "InvalidSignature"):
        said_of_it = {"status": status, "requestId": 8}
        assert charger.sends("SignedFirmwareStatusNotification", said_of_it).payload == {}


@pytest.mark.parametrize(
    "status", ["AcceptedCanceled", "InvalidCertificate", "RevokedCertificate", "Rejected"]
)
def test_what_a_charger_says_to_signed_firmware(charger, operator, status):
    charger.answers("SignedUpdateFirmware", {"status": status})
    state, _ = calls(operator, charger, "SignedUpdateFirmware", requestId=9, firmware=firmware())
    assert state == ("accepted" if status == "AcceptedCanceled" else "rejected")
