"""The fake charger on the real gateway, without sockets: a whole session, steered over REST."""

import pytest

from charger_mgmt.simulate.transport import HandshakeRefused


def test_a_session_from_boot_to_history(charger, operator):
    charger.starts_up()
    session = charger.starts(connector=1, meter=1000)
    charger.reports(1, "Charging")
    assert operator.sees(charger)["status"] == "Charging"
    charger.meters(1, session, wh=1800)
    charger.stops(session, meter=2500)
    charger.reports(1, "Available")
    (row,) = operator.history(charger)
    assert (row["transactionId"], row["status"], row["energyWh"]) == (
        session.transaction_id,
        "Completed",
        1500,
    )
    assert operator.sees(charger)["status"] == "Available"


def test_an_operator_starts_and_ends_a_session(charger, operator):
    charger.starts_up()
    started = operator.starts(charger, session="S1")
    assert (started.status, started.json["message"]) == (201, "Transaction started")
    charger.rests()
    ended = operator.ends(started.json["transactionId"])
    assert (ended.status, ended.json["message"]) == (200, "Transaction ended")
    charger.rests()
    assert operator.history(charger)[0]["reason"] == "Remote"


def test_a_charger_that_refuses_is_a_conflict(charger, operator):
    charger.starts_up()
    charger.refuses("RemoteStartTransaction")
    assert operator.starts(charger).status == 409


def test_an_offline_session_arrives_afterwards(charger, operator):
    charger.starts_up()
    charger.goes_offline()
    session = charger.starts(meter=100)
    charger.stops(session, meter=700)
    assert operator.history(charger) == []
    charger.comes_back()
    assert [row["energyWh"] for row in operator.history(charger)] == [600]


def test_blocked_tag_cannot_charge(charger, tags):
    tags.block("CARD-9")
    charger.boots()
    assert charger.starts(connector=1, tag="CARD-9").status == "Blocked"


@pytest.mark.settings(charger_onboarding="closed")
def test_a_stranger_is_not_let_in(charger):
    with pytest.raises(HandshakeRefused) as refusal:
        charger.boots()
    assert refusal.value.status == 404


def test_broken_text_is_answered_as_the_specification_says(charger):
    charger.boots()
    answer = charger.sends_text('[2,"x","Heartbeat"]')
    assert (answer.id, answer.code) == ("x", "ProtocolError")


def test_a_flat_charger_lives_a_session(flat_charger, operator):
    assert flat_charger.boots().status == "Accepted"
    flat_charger.heartbeats()
    session = flat_charger.starts("TXN-456")
    assert operator.sees(flat_charger)["status"] == "Charging"
    flat_charger.stops(session)
    (row,) = operator.history(flat_charger)
    assert (row["sessionId"], row["status"]) == ("TXN-456", "Completed")
