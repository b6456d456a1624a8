"""What a flat charger's sessions, and an operator's word on them, make of its status."""

from datetime import timedelta

import pytest

from charger_mgmt import clock
from charger_mgmt.charging import by_operator
from charger_mgmt.database import sightings, watch
from charger_mgmt.database.models import Charger, Sighting, Transaction
from charger_mgmt.domain.dialect import FLAT
from charger_mgmt.errors import ChargerBusy
from charger_mgmt.status import silence
from tests.support.messages import ago

LIMIT = timedelta(seconds=330)


@pytest.fixture
def flat(central):
    charger = central.charger("1", flat=True)
    charger.boots()
    return charger


def begins(charger, name, **fields):
    charger.sends("StartTransaction", {"connectorId": 1, "sessionId": name} | fields)


def ends(charger, name):
    charger.sends("StopTransaction", {"sessionId": name})


def status(central):
    return central.row(Charger).status


def falls_silent(central, charger):
    with central.engine.begin() as conn:
        watch.resume(conn)
        sightings.note(conn, [charger.id], ago(hours=1))
        conn.exec_driver_sql("UPDATE watch SET resumed_at = '2026-01-01 00:00:00'")
        assert silence.sweep(conn, LIMIT) == [charger.identity]


def test_it_is_charging_while_it_has_an_open_session(central, flat):
    assert status(central) == "Available"
    begins(flat, "A")
    assert status(central) == "Charging"
    ends(flat, "A")
    assert status(central) == "Available"


def test_the_late_stop_of_a_superseded_session_does_not_hide_the_one_that_runs(central, flat):
    begins(flat, "A")
    begins(flat, "B")
    ends(flat, "A")
    assert status(central) == "Charging"
    ends(flat, "B")
    assert status(central) == "Available"


def test_a_repeated_stop_does_not_hide_the_next_session(central, flat):
    begins(flat, "A")
    ends(flat, "A")
    begins(flat, "B")
    ends(flat, "A")
    assert status(central) == "Charging"


def test_a_boot_within_a_session_leaves_it_charging(central, flat):
    begins(flat, "A")
    flat.boots()
    assert status(central) == "Charging"


@pytest.mark.parametrize("word", ["Faulted", "Unavailable"])
def test_the_end_of_a_session_does_not_overrule_what_the_charger_said(central, flat, word):
    begins(flat, "A")
    flat.reports(1, word)
    ends(flat, "A")
    assert status(central) == word
    flat.boots()
    assert status(central) == "Available"


@pytest.mark.settings(charger_onboarding="approve")
def test_a_charger_that_waits_for_approval_is_not_available(central, flat):
    assert status(central) == "Unavailable"


def test_an_operator_ends_the_session_of_a_silent_charger_and_it_stays_silent(central, flat):
    begins(flat, "A")
    falls_silent(central, flat)
    seen = central.row(Sighting).seen_at
    with central.engine.begin() as conn:
        by_operator.end_by_operator(conn, conn.scalar(Transaction.__table__.select()), now=clock.now())
    row = central.row(Charger)
    assert (row.status, row.reported_status) == ("Unavailable", "Available")
    assert central.row(Sighting).seen_at == seen
    with central.engine.begin() as conn:
        silence.note_seen(conn, [flat.id])
    assert status(central) == "Available"


def test_a_session_given_up_by_an_operator_no_longer_shows_as_charging(central, flat):
    begins(flat, "A")
    with central.engine.begin() as conn:
        transaction_id = conn.scalar(Transaction.__table__.select())
        by_operator.interrupt_by_operator(
            conn, transaction_id, spoken=FLAT, now=clock.now(), requested_by="ops"
        )
    assert (central.row(Transaction).status, status(central)) == ("Interrupted", "Available")


def test_an_operators_start_is_no_sign_of_life(central, flat):
    seen = ago(seconds=100)
    with central.engine.begin() as conn:
        sightings.note(conn, [flat.id], seen)
    with central.engine.begin() as conn:
        charger = conn.execute(Charger.__table__.select()).one()
        by_operator.start_by_operator(
            conn, charger, "ABC123", connector_id=None, id_tag=None, id_tag_status="Accepted", now=clock.now()
        )
    assert status(central) == "Charging"
    assert central.row(Sighting).seen_at == seen
    with central.engine.begin() as conn, pytest.raises(ChargerBusy):
        by_operator.start_by_operator(
            conn, charger, "ABC124", connector_id=1, id_tag=None, id_tag_status="Accepted", now=clock.now()
        )
