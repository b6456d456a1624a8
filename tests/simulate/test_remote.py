"""How the fake charger answers the central system's calls (section 5)."""

import pytest


def start(central_system, **payload):
    return central_system.calls("RemoteStartTransaction", {"idTag": "APP-1"} | payload)


def test_a_remote_start_is_answered_before_anything_follows(fake, central_system):
    fake.boots()
    assert start(central_system, connectorId=2) == {"status": "Accepted"}
    assert central_system.actions[1:] == [
        "Authorize",
        "StatusNotification",
        "StartTransaction",
        "StatusNotification",
    ]
    assert central_system.payloads("StartTransaction")[0]["connectorId"] == 2


def test_without_authorisation_of_remote_starts_it_starts_at_once(fake, central_system):
    fake.configuration["AuthorizeRemoteTxRequests"] = "false"
    fake.boots()
    start(central_system)
    assert "Authorize" not in central_system.actions
    assert "StartTransaction" in central_system.actions


def test_a_tag_that_is_refused_does_not_start(fake, central_system):
    central_system.rules["Authorize"] = {"idTagInfo": {"status": "Blocked"}}
    fake.boots()
    start(central_system)
    assert "StartTransaction" not in central_system.actions


def test_a_start_answered_with_another_status_is_stopped(fake, central_system):
    central_system.rules["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Invalid"}}
    fake.boots()
    start(central_system)
    assert central_system.payloads("StopTransaction")[0]["reason"] == "DeAuthorized"


def test_an_occupied_connector_refuses_a_remote_start(fake, central_system):
    fake.boots()
    fake.starts(connector=1)
    assert start(central_system, connectorId=1) == {"status": "Rejected"}


def test_a_broken_connector_refuses_a_remote_start(fake, central_system):
    fake.boots()
    fake.reports(1, "Faulted", "GroundFailure")
    assert start(central_system, connectorId=1) == {"status": "Rejected"}


def test_a_remote_start_without_connector_takes_the_first_free_one(fake, central_system):
    fake.boots()
    fake.starts(connector=1)
    start(central_system)
    assert central_system.payloads("StartTransaction")[-1]["connectorId"] == 2


def test_a_remote_stop_ends_the_session_with_the_reason_remote(fake, central_system):
    fake.boots()
    session = fake.starts(meter=100)
    fake.registers[1] = 600
    assert central_system.calls("RemoteStopTransaction", {"transactionId": session.transaction_id}) == {
        "status": "Accepted"
    }
    stop = central_system.payloads("StopTransaction")[0]
    assert (stop["reason"], stop["meterStop"]) == ("Remote", 600)


def test_a_remote_stop_of_an_unknown_transaction_is_rejected(fake, central_system):
    fake.boots()
    assert central_system.calls("RemoteStopTransaction", {"transactionId": 9}) == {"status": "Rejected"}


def test_a_soft_reset_stops_first_and_boots_afterwards(fake, central_system):
    fake.boots()
    fake.starts()
    central_system.calls("Reset", {"type": "Soft"})
    after = central_system.actions[2:]
    assert after[:2] == ["StopTransaction", "BootNotification"]
    assert central_system.payloads("StopTransaction")[0]["reason"] == "SoftReset"


def test_a_hard_reset_boots_first_and_stops_afterwards(fake, central_system):
    fake.boots()
    fake.starts()
    central_system.calls("Reset", {"type": "Hard"})
    after = central_system.actions[2:]
    assert after.index("BootNotification") < after.index("StopTransaction")


def test_unavailability_waits_for_the_session(fake, central_system):
    fake.boots()
    fake.starts(connector=1)
    request = {"connectorId": 1, "type": "Inoperative"}
    assert central_system.calls("ChangeAvailability", request) == {"status": "Scheduled"}
    fake.stops()
    fake.reports(1, "Available")
    assert central_system.payloads("StatusNotification")[-1]["status"] == "Unavailable"


def test_the_whole_charger_goes_out_of_service(fake, central_system):
    fake.boots()
    central_system.calls("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"})
    reported = {one["connectorId"]: one["status"] for one in central_system.payloads("StatusNotification")}
    assert reported == {0: "Unavailable", 1: "Unavailable", 2: "Unavailable"}


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("metervaluesampleinterval", "30", "Accepted"),
        ("MeterValueSampleInterval", "-1", "Rejected"),
        ("NumberOfConnectors", "9", "Rejected"),
        ("NoSuchKey", "1", "NotSupported"),
    ],
)
def test_configuration_can_be_changed(fake, central_system, key, value, status):
    fake.boots()
    assert central_system.calls("ChangeConfiguration", {"key": key, "value": value}) == {"status": status}


def test_configuration_can_be_read(fake, central_system):
    fake.boots()
    answer = central_system.calls("GetConfiguration", {"key": ["numberofconnectors", "Nonsense"]})
    assert answer == {
        "configurationKey": [{"key": "NumberOfConnectors", "readonly": True, "value": "2"}],
        "unknownKey": ["Nonsense"],
    }


def test_a_trigger_is_answered_and_then_obeyed(fake, central_system):
    fake.boots()
    request = {"requestedMessage": "StatusNotification", "connectorId": 2}
    assert central_system.calls("TriggerMessage", request) == {"status": "Accepted"}
    assert [one["connectorId"] for one in central_system.payloads("StatusNotification")] == [2]


def test_a_trigger_for_a_connector_that_is_not_there_is_rejected(fake, central_system):
    fake.boots()
    request = {"requestedMessage": "MeterValues", "connectorId": 3}
    assert central_system.calls("TriggerMessage", request) == {"status": "Rejected"}


def test_unlocking_ends_the_session(fake, central_system):
    fake.boots()
    fake.starts(connector=1)
    assert central_system.calls("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
    assert central_system.payloads("StopTransaction")[0]["reason"] == "UnlockCommand"


def test_what_it_does_not_support_it_says(fake, central_system):
    fake.boots()
    central_system.calls("GetVariables", {})
    assert central_system.answers[-1][:3] == [4, "cs-1", "NotSupported"]


def test_a_charger_that_refuses_does_nothing(fake, central_system):
    fake.boots()
    fake.refuses("RemoteStartTransaction")
    assert start(central_system) == {"status": "Rejected"}
    assert central_system.actions == ["BootNotification"]


def test_a_charger_that_ignores_a_call_never_answers_it(fake, central_system):
    fake.boots()
    fake.ignores("Reset")
    assert central_system.calls("Reset", {"type": "Soft"}) is None
    assert fake.calls[-1].action == "Reset"


def test_a_late_answer_is_the_proper_one(fake, central_system):
    fake.boots()
    fake.answers_late("ClearCache", after=90)
    assert central_system.calls("ClearCache", {}) is None
    central_system.jobs.pop()()
    assert central_system.answers[-1][2] == {"status": "Accepted"}


def test_a_charger_can_answer_with_an_error(fake, central_system):
    fake.boots()
    fake.errs("ClearCache", "InternalError")
    central_system.calls("ClearCache", {})
    assert central_system.answers[-1][2] == "InternalError"
    fake.obeys("ClearCache")
    assert central_system.calls("ClearCache", {}) == {"status": "Accepted"}


def test_calls_cross(fake, central_system):
    """A call that comes while the charger's own is open is answered at once; what follows waits."""
    fake.boots()
    usual = central_system._answer

    def crossing(message_id, action, payload):
        if action == "Heartbeat":
            request = {"requestedMessage": "StatusNotification", "connectorId": 1}
            assert central_system.calls("TriggerMessage", request) == {"status": "Accepted"}
            assert "StatusNotification" not in central_system.actions
        usual(message_id, action, payload)

    central_system._answer = crossing
    assert fake.heartbeats().acknowledged
    assert central_system.actions == ["BootNotification", "Heartbeat", "StatusNotification"]


def test_the_interval_of_the_boot_answer_is_the_heartbeat_interval(fake):
    fake.boots()
    assert fake.heartbeat_interval == 120
