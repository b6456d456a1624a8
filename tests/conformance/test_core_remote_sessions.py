"""OCTT, Core profile: sessions that the operator starts and stops from afar."""

from __future__ import annotations

from tests.support.processes import wait_until

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0", "UNKNOWN_TAGS": "invalid"}


def only_session(operator, charger, status):
    """The charger's one session, as soon as it has this status."""

    def found():
        rows = operator.history(charger)
        return rows[0] if [row["status"] for row in rows] == [status] else None

    return wait_until(found, seconds=10, what=f"one session is {status}")


def test_TC_010_remote_start_cable_first(charger, operator, card):
    charger.reports(1, "Preparing")
    answer = operator.starts(charger, "TC-010", connectorId=1, idTag=card)
    assert (answer.status, answer.json["message"]) == (201, "Transaction started")
    assert charger.rests()
    (call,) = charger.calls
    assert (call.action, call.payload) == ("RemoteStartTransaction", {"idTag": card, "connectorId": 1})
    assert [message.status for message in charger.ledger.of("Authorize")] == ["Accepted"]
    session = charger.sessions[1]
    assert (session.status, session.transaction_id) == ("Accepted", answer.json["transactionId"])
    assert operator.sees(charger)["status"] == "Charging"


def test_TC_011_1_remote_start_first(charger, operator, card):
    answer = operator.commands(charger, "RemoteStartTransaction", idTag=card, connectorId=1)
    assert (answer.status, answer.json["state"]) == (200, "accepted")
    assert answer.json["response"] == {"status": "Accepted"}
    assert charger.rests()
    assert charger.sessions[1].status == "Accepted"
    row = only_session(operator, charger, "In Progress")
    assert (row["idTag"], row["transactionId"]) == (card, charger.sessions[1].transaction_id)
    command = operator.command(charger, answer.json["commandId"])
    assert command["transactionId"] == row["transactionId"]


def test_TC_011_2_remote_start_time_out(charger, operator, card):
    charger.answers("RemoteStartTransaction", {"status": "Accepted"})
    answer = operator.commands(charger, "RemoteStartTransaction", idTag=card, connectorId=1)
    assert answer.json["response"] == {"status": "Accepted"}
    assert charger.authorizes(card).status == "Accepted"
    assert charger.reports(1, "Preparing").answer == {}
    assert charger.reports(1, "Available").answer == {}
    assert operator.history(charger) == []
    assert operator.command(charger, answer.json["commandId"])["transactionId"] is None


def test_TC_012_remote_stop(charger, session, operator):
    answer = operator.ends(session.transaction_id)
    assert (answer.status, answer.json["message"]) == (200, "Transaction ended")
    assert charger.rests()
    (call,) = charger.calls
    assert (call.action, call.payload) == (
        "RemoteStopTransaction",
        {"transactionId": session.transaction_id},
    )
    assert session.stop.answer == {}
    row = only_session(operator, charger, "Completed")
    assert row["reason"] == "Remote"
    assert operator.sees(charger)["status"] == "Available"


def test_TC_026_remote_start_rejected(charger, operator, card):
    charger.refuses("RemoteStartTransaction")
    answer = operator.starts(charger, "TC-026", connectorId=1, idTag=card)
    assert (answer.status, answer.json["code"]) == (409, "command-refused")
    command = operator.command(charger, answer.json["command"]["commandId"])
    assert (command["state"], command["response"]) == ("rejected", {"status": "Rejected"})
    assert operator.history(charger) == []


def test_TC_028_remote_stop_rejected(charger, session, operator):
    unknown = session.transaction_id + 100_000
    answer = operator.commands(charger, "RemoteStopTransaction", transactionId=unknown)
    assert (answer.status, answer.json["state"]) == (200, "rejected")
    assert answer.json["response"] == {"status": "Rejected"}
    assert [call.payload for call in charger.calls] == [{"transactionId": unknown}]
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]
