"""OCTT, Core profile: the cases that only the charger drives."""

from __future__ import annotations

from datetime import timedelta

import pytest

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0", "UNKNOWN_TAGS": "invalid"}


def test_nothing_is_sent_that_nobody_has_asked_for(cold_charger, operator, card):
    """The general condition of every case (a tool fails on any other message)."""
    early = cold_charger.starts(1, card)  # before any boot
    cold_charger.stops(early)
    cold_charger.boots()
    cold_charger.reports(0, "Available")
    session = cold_charger.starts(1, card)
    cold_charger.goes_offline()
    cold_charger.comes_back()
    cold_charger.boots()
    cold_charger.stops(session)
    assert operator.commands(cold_charger, "ClearCache").status == 200
    assert cold_charger.actions() == ["ClearCache"]
    recorded = operator.get(f"/api/chargers/{cold_charger.identity}/commands").json
    assert [command["action"] for command in recorded] == ["ClearCache"]


def test_TC_001_cold_boot(cold_charger, operator):
    boot = cold_charger.boots()
    assert (boot.status, boot["interval"]) == ("Accepted", 300)
    for connector in (0, 1, 2):
        assert cold_charger.reports(connector, "Available").answer == {}
    assert cold_charger.heartbeats()["currentTime"]
    seen = operator.sees(cold_charger)
    assert (seen["registration"], seen["status"], seen["connected"]) == ("Accepted", "Available", True)
    assert [(one["connectorId"], one["status"]) for one in seen["connectors"]] == [
        (0, "Available"),
        (1, "Available"),
        (2, "Available"),
    ]


def test_TC_003_regular_session_plug_in_first(charger, operator, card):
    charger.reports(1, "Preparing")
    assert charger.authorizes(card).status == "Accepted"
    session = charger.starts(1, card, meter=100)
    assert session.status == "Accepted"
    assert charger.reports(1, "Charging").answer == {}
    (row,) = operator.history(charger)
    assert (row["transactionId"], row["status"]) == (session.transaction_id, "In Progress")
    assert (row["idTag"], row["connectorId"], row["meterStartWh"]) == (card, 1, 100)
    assert operator.sees(charger)["status"] == "Charging"


def test_TC_004_1_regular_session_identification_first(charger, operator, card):
    assert charger.authorizes(card).status == "Accepted"
    charger.reports(1, "Preparing")
    # The last two may come in either order.
    assert charger.reports(1, "Charging").answer == {}
    assert charger.starts(1, card).status == "Accepted"
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]


def test_TC_004_2_identification_first_connection_time_out(charger, operator, card):
    assert charger.authorizes(card).status == "Accepted"
    assert charger.reports(1, "Preparing").answer == {}
    assert charger.reports(1, "Available").answer == {}
    assert operator.history(charger) == []
    assert operator.sees(charger)["status"] == "Available"


def test_TC_005_1_ev_side_disconnect(charger, session, operator):
    assert charger.reports(1, "SuspendedEV").answer == {}
    stop = charger.stops(session, meter=1500, reason="EVDisconnected")
    assert stop.answer == {}
    assert charger.reports(1, "Finishing").answer == {}
    assert charger.reports(1, "Available").answer == {}
    (row,) = operator.history(charger)
    assert (row["status"], row["reason"], row["energyWh"]) == ("Completed", "EVDisconnected", 500)


def test_TC_007_start_with_a_cached_id(charger, operator, card):
    charger.reports(1, "Preparing")
    assert charger.starts(1, card).status == "Accepted"
    assert charger.reports(1, "Charging").answer == {}
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]


def test_TC_023_1_authorize_invalid(charger):
    assert charger.authorizes("NOBODY-KNOWS-IT").answer == {"idTagInfo": {"status": "Invalid"}}


def test_TC_023_2_authorize_expired(charger, new_tag):
    yesterday = charger.clock.now() - timedelta(days=1)
    assert charger.authorizes(new_tag(expires=yesterday)).status == "Expired"


def test_TC_023_3_authorize_blocked(charger, new_tag):
    assert charger.authorizes(new_tag("Blocked")).status == "Blocked"


def test_TC_024_lock_failure(charger, operator, card):
    assert charger.authorizes(card).status == "Accepted"
    charger.reports(1, "Preparing")
    assert charger.reports(1, "Faulted", "ConnectorLockFailure").answer == {}
    seen = operator.sees(charger)
    assert seen["hasFault"] is True
    assert (seen["connectors"][1]["status"], seen["connectors"][1]["errorCode"]) == (
        "Faulted",
        "ConnectorLockFailure",
    )
    assert operator.history(charger) == []


def test_TC_032_1_power_failure_stops_transactions(charger, session, operator):
    charger.loses_power()
    charger.dials_in()
    assert charger.boots().status == "Accepted"
    for connector, status in ((0, "Available"), (1, "Finishing"), (2, "Available")):
        assert charger.reports(connector, status).answer == {}
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]
    assert charger.stops(session, meter=4000, reason="PowerLoss").answer == {}
    charger.reports(1, "Available")
    (row,) = operator.history(charger)
    assert (row["status"], row["reason"], row["energyWh"]) == ("Completed", "PowerLoss", 3000)


def test_TC_037_1_offline_start_with_a_valid_tag(charger, operator, card):
    charger.goes_offline()
    begun = charger.clock.now() - timedelta(minutes=20)
    session = charger.starts(1, card, at=begun)
    charger.reports(1, "Charging")
    assert session.status is None
    charger.comes_back()
    assert session.status == "Accepted"
    (row,) = operator.history(charger)
    assert (row["transactionId"], row["status"]) == (session.transaction_id, "In Progress")
    assert row["startTime"] == begun.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert operator.sees(charger)["status"] == "Charging"


def test_TC_037_3_offline_start_with_an_invalid_tag(charger, operator):
    charger.goes_offline()
    session = charger.starts(1, "NOBODY-KNOWS-IT")
    charger.reports(1, "Charging")
    charger.comes_back()
    assert session.status == "Invalid"
    assert session.transaction_id > 0
    assert charger.stops(session, reason="DeAuthorized").answer == {}
    charger.reports(1, "Finishing")
    (row,) = operator.history(charger)
    assert (row["transactionId"], row["status"]) == (session.transaction_id, "Completed")
    assert (row["idTagStatus"], row["reason"]) == ("Invalid", "DeAuthorized")


def test_TC_039_offline_transaction(charger, operator, card):
    charger.goes_offline()
    begun = charger.clock.now() - timedelta(hours=2)
    session = charger.starts(1, card, meter=100, at=begun)
    stop = charger.stops(session, meter=7100, at=begun + timedelta(hours=1), tag=card)
    charger.comes_back()
    assert session.status == "Accepted"
    assert stop.answer == {"idTagInfo": {"status": "Accepted"}}
    (row,) = operator.history(charger)
    assert (row["status"], row["reason"], row["energyWh"]) == ("Completed", "Local", 7000)
    ended = (begun + timedelta(hours=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert row["endTime"] == ended


@pytest.mark.parametrize("message_id", [None, "WhateverMessage"])
def test_TC_064_data_transfer_to_the_central_system(charger, message_id):
    answer = charger.transfers("com.example.unknown", message_id, "opaque").answer
    assert answer == {"status": "UnknownVendorId"}
