"""What may be said before a boot is accepted: X-14 to X-16."""

from __future__ import annotations

import pytest

from charger_mgmt.ocppj.frames import CallError
from charger_mgmt.simulate.transport import HandshakeRefused
from tests.support.processes import wait_until

SERVER_ENVIRON = {"CHARGER_ONBOARDING": "approve", "FOLLOW_UP_DELAY": "0"}


@pytest.fixture
def approved(operator, identity):
    """The identity of a charger that the operator has let in."""
    assert operator.post("/api/chargers", {"chargerId": identity}).status == 201
    return identity


@pytest.fixture
def pending(cold_charger):
    """A charger whose boot was answered Pending."""
    boot = cold_charger.boots()
    assert (boot.status, boot["interval"] > 0) == ("Pending", True)
    return cold_charger


def error(charger, action, payload):
    answer = charger.sends(action, payload)
    assert isinstance(answer, CallError), answer
    return answer.code


def triggers(charger):
    """What the central system has asked the charger to send."""
    return [call.payload["requestedMessage"] for call in charger.calls if call.action == "TriggerMessage"]


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Heartbeat", {}),
        ("Authorize", {"idTag": "CARD-9"}),
        ("DataTransfer", {"vendorId": "V"}),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
    ],
)
def test_X_14_before_any_boot_there_is_a_security_error(cold_charger, action, payload):
    assert error(cold_charger, action, payload) == "SecurityError"
    assert cold_charger.online


def test_X_14_an_accepted_charger_that_reconnects_need_not_boot(wire_charger, approved, operator):
    charger = wire_charger(approved)
    charger.starts_up()
    charger.goes_offline()
    charger.comes_back()
    assert charger.heartbeats()["currentTime"]
    assert charger.reports(1, "Preparing").answer == {}
    assert len(charger.ledger.of("BootNotification")) == 1


def test_X_14_a_session_before_any_boot_is_taken_and_a_boot_is_asked_for(wire_charger, approved, operator):
    charger = wire_charger(approved)
    charger.answers("TriggerMessage", {"status": "Accepted"})
    session = charger.starts(1, "CARD-9", meter=0)
    assert session.transaction_id > 0
    assert charger.meters(1, session, 500).answer == {}
    assert charger.stops(session, meter=900).answer == {}
    (row,) = operator.history(charger)
    assert (row["transactionId"], row["status"], row["energyWh"]) == (
        session.transaction_id,
        "Completed",
        900,
    )
    wait_until(lambda: triggers(charger), seconds=5, what="a boot is asked for")
    assert charger.boots().status == "Accepted"
    assert charger.heartbeats()["currentTime"]
    assert triggers(charger) == ["BootNotification"]


@pytest.mark.parametrize("said", ["StopTransaction", "MeterValues"])
def test_X_14_a_stray_money_message_before_any_boot_is_taken_too(wire_charger, approved, said):
    charger = wire_charger(approved)
    message = charger.stops(4711, meter=5) if said == "StopTransaction" else charger.meters(1, 4711, 5)
    assert message.answer == {}
    wait_until(lambda: charger.registration == "Accepted", seconds=5, what="the charger was made to boot")
    assert triggers(charger) == ["BootNotification"]


def test_X_14_a_pending_charger_is_not_refused_its_session(pending, operator):
    session = pending.starts(1, "CARD-9", meter=0)
    assert session.transaction_id > 0
    assert pending.stops(session, meter=10).answer == {}
    assert operator.history(pending) == []  # not before the charger is approved
    operator.patch(f"/api/chargers/{pending.identity}", {"approved": True})
    assert [row["status"] for row in operator.history(pending)] == ["Completed"]


def test_X_14_a_charger_that_is_shut_out_loses_no_session(cold_charger, operator):
    cold_charger.boots()
    operator.patch(f"/api/chargers/{cold_charger.identity}", {"approved": False})
    wait_until(lambda: not cold_charger.online, seconds=10, what="it has lost its socket")
    with pytest.raises(HandshakeRefused, match="403"):
        cold_charger.boots()
    session = cold_charger.starts(1, "CARD-9", meter=0)  # it goes on charging, and keeps what it has to say
    cold_charger.stops(session, meter=10)
    assert operator.starts(cold_charger).status == 409
    assert cold_charger.actions() == []
    operator.patch(f"/api/chargers/{cold_charger.identity}", {"approved": True})
    assert cold_charger.boots().status == "Accepted"
    assert cold_charger.delivers_everything(within=30)
    assert [row["status"] for row in operator.history(cold_charger)] == ["Completed"]


def test_X_15_pending_refuses_remote_starts_and_stops_locally(pending, operator):
    answer = operator.starts(pending, "X-15")
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    answer = operator.commands(pending, "RemoteStartTransaction", idTag="CARD-9", connectorId=1)
    assert answer.status == 409
    answer = operator.commands(pending, "RemoteStopTransaction", transactionId=1)
    assert answer.status == 409
    assert operator.commands(pending, "ClearCache").status == 200  # whatever went before it has arrived
    assert pending.actions() == ["ClearCache"]


def test_X_15_pending_may_answer_what_was_asked_for_and_nothing_else(pending, operator):
    assert error(pending, "Heartbeat", {}) == "SecurityError"
    answer = operator.commands(
        pending, "TriggerMessage", requestedMessage="StatusNotification", connectorId=1
    )
    assert answer.json["response"] == {"status": "Accepted"}
    assert pending.rests()
    assert [message.answer for message in pending.ledger.of("StatusNotification")] == [{}]
    assert error(pending, "Heartbeat", {}) == "SecurityError"
    assert operator.commands(pending, "GetConfiguration").json["state"] == "accepted"
    assert pending.online


def test_X_15_approval_makes_a_pending_charger_boot_again(pending, operator):
    assert operator.approves(pending).status == 200
    wait_until(lambda: pending.registration == "Accepted", seconds=5, what="the charger is accepted")
    assert triggers(pending) == ["BootNotification"]
    assert pending.heartbeats()["currentTime"]


def test_X_16_an_accepted_charger_is_never_asked_to_boot(wire_charger, approved, operator):
    charger = wire_charger(approved)
    charger.starts_up()
    answer = operator.commands(charger, "TriggerMessage", requestedMessage="BootNotification")
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert operator.commands(charger, "ClearCache").status == 200
    assert triggers(charger) == []
