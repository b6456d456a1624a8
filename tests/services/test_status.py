"""What connectors report, what the charger is, and when silence counts."""

from datetime import timedelta

import pytest

from charger_mgmt import clock
from charger_mgmt.database import sightings, watch
from charger_mgmt.database.models import Charger, Connector, Sighting, StatusChange, Transaction
from charger_mgmt.status import silence
from tests.support.messages import ago

LIMIT = timedelta(seconds=330)


def history(central, connector=None):
    return [row.status for row in central.rows(StatusChange) if row.connector_id == connector]


def test_all_of_a_report_is_kept(central):
    charger = central.charger()
    at = ago(seconds=3)
    charger.reports(
        1,
        "Faulted",
        errorCode="GroundFailure",
        info="leak",
        vendorId="com.example",
        vendorErrorCode="E42",
        timestamp=at.isoformat(),
    )
    row = central.row(Connector)
    assert (row.status, row.error_code, row.info, row.vendor_id, row.vendor_error_code) == (
        "Faulted",
        "GroundFailure",
        "leak",
        "com.example",
        "E42",
    )
    assert row.timestamp == at
    assert row.received_at > at


def test_the_summary_follows_the_connectors(central):
    charger = central.charger()
    charger.reports(0, "Available")
    charger.reports(1, "Charging")
    assert central.row(Charger).status == "Charging"
    charger.reports(1, "Faulted", errorCode="HighTemperature")
    row = central.row(Charger)
    assert (row.status, row.has_fault) == ("Faulted", True)
    charger.reports(1, "Available")
    row = central.row(Charger)
    assert (row.status, row.has_fault) == ("Available", False)


def test_order_of_arrival_decides_not_the_clock(central):
    charger = central.charger()
    charger.reports(1, "Charging", timestamp="2026-11-22T12:00:00Z")
    charger.reports(1, "Available", timestamp="2026-11-22T12:00:00Z")
    charger.reports(1, "Preparing", timestamp="2026-11-22T11:00:00Z")
    assert central.row(Connector).status == "Preparing"


def test_the_same_in_one_batch(central):
    charger = central.charger()
    reports = [
        charger.says("StatusNotification", {"connectorId": 1, "status": status, "errorCode": "NoError"})
        for status in ("Preparing", "Charging", "Finishing")
    ]
    central.together(*reports)
    assert central.row(Connector).status == "Finishing"
    assert history(central, 1) == ["Preparing", "Charging", "Finishing"]


def test_the_history_holds_changes_not_repetitions(central):
    charger = central.charger()
    for status in ("Available", "Available", "Charging"):
        charger.reports(1, status)
    assert history(central, 1) == ["Available", "Charging"]
    assert history(central) == ["Available", "Charging"]


def test_an_available_connector_makes_its_open_session_suspect_but_ends_nothing(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    charger.reports(2, "Available")
    assert central.row(Transaction).flags == ""
    charger.reports(1, "Available")
    row = central.row(Transaction)
    assert (row.status, row.flags) == ("In Progress", "available-while-open")
    charger.stops(started)
    assert central.row(Transaction).flags == ""


def test_a_connector_that_charges_again_is_no_suspect(central):
    charger = central.charger()
    charger.starts(ago(hours=1))
    charger.reports(1, "Available")
    charger.reports(1, "Charging")
    assert central.row(Transaction).flags == ""


def test_the_clock_skew_is_measured(central):
    charger = central.charger()
    charger.reports(1, "Available", timestamp=(clock.now() + timedelta(minutes=7)).isoformat())
    assert 415_000 < central.row(Charger).clock_skew_ms < 425_000


# Silence


@pytest.fixture
def watched(central):
    """A central system that has been watching for long."""
    since(central, ago(days=1))
    return central


def since(central, moment):
    with central.engine.begin() as conn:
        watch.resume(conn)
        conn.exec_driver_sql(f"UPDATE watch SET resumed_at = '{moment:%Y-%m-%d %H:%M:%S.000000}'")


def last_seen(central, charger, moment):
    with central.engine.begin() as conn:
        sightings.note(conn, [charger.id], moment)


def sweep(central):
    with central.engine.begin() as conn:
        return list(silence.sweep(conn, LIMIT))


def speaks(central, charger):
    with central.engine.begin() as conn:
        silence.note_seen(conn, {charger.id})


def test_a_charger_silent_beyond_the_limit_is_unavailable(watched):
    charger = watched.charger()
    charger.reports(1, "Available")
    last_seen(watched, charger, ago(seconds=331))
    assert sweep(watched) == ["CP1"]
    assert watched.row(Charger).status == "Unavailable"
    assert history(watched) == ["Available", "Unavailable"]


def test_a_punctual_charger_never_flaps(watched):
    charger = watched.charger()
    charger.reports(1, "Available")
    last_seen(watched, charger, ago(seconds=325))
    assert sweep(watched) == []
    assert watched.row(Charger).status == "Available"


def test_a_second_sweep_finds_nothing_more(watched):
    charger = watched.charger()
    charger.reports(1, "Available")
    last_seen(watched, charger, ago(seconds=400))
    assert sweep(watched) == ["CP1"]
    assert sweep(watched) == []
    assert history(watched) == ["Available", "Unavailable"]


def test_when_it_speaks_again_its_last_reported_status_returns(watched):
    charger = watched.charger()
    charger.reports(1, "Charging")
    last_seen(watched, charger, ago(seconds=400))
    sweep(watched)
    speaks(watched, charger)
    assert watched.row(Charger).status == "Charging"
    assert history(watched) == ["Charging", "Unavailable", "Charging"]


def test_a_status_report_ends_the_silence_by_itself(watched):
    charger = watched.charger()
    charger.reports(1, "Charging")
    last_seen(watched, charger, ago(seconds=400))
    sweep(watched)
    charger.reports(1, "Finishing")
    row = watched.row(Charger)
    assert (row.status, row.silent) == ("Available", False)


def test_after_a_start_of_our_own_every_charger_gets_a_whole_limit(watched):
    charger = watched.charger()
    charger.reports(1, "Available")
    last_seen(watched, charger, ago(hours=3))
    since(watched, ago(seconds=320))
    assert sweep(watched) == []
    since(watched, ago(seconds=340))
    assert sweep(watched) == ["CP1"]


def test_what_speaks_is_written_down_on_the_databases_clock(central):
    charger = central.charger()
    before = clock.now() - timedelta(seconds=1)
    speaks(central, charger)
    assert before < central.row(Sighting).seen_at < clock.now() + timedelta(seconds=1)


def test_one_sweep_finds_all_that_are_silent(watched):
    chargers = [watched.charger(f"CP{n}") for n in range(30)]
    for charger in chargers:
        last_seen(watched, charger, ago(seconds=400))
    assert len(sweep(watched)) == 30
    assert {row.silent for row in watched.rows(Charger)} == {True}


def test_who_spoke_in_the_moment_of_being_marked_is_not_silent_for_long(watched):
    """Another process noted it, and had seen no silence yet: nothing but the next sweep would find out."""
    charger = watched.charger()
    charger.reports(1, "Available")
    last_seen(watched, charger, ago(seconds=400))
    assert sweep(watched) == ["CP1"]
    last_seen(watched, charger, ago(seconds=1))
    assert sweep(watched) == []
    assert (watched.row(Charger).status, watched.row(Charger).silent) == ("Available", False)
    assert history(watched) == ["Available", "Unavailable", "Available"]
