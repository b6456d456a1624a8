"""After an outage: not everybody at once, and not everybody at the same second."""

import json

import gevent
import pytest

from charger_mgmt import clock
from charger_mgmt.gateway.pacing import LINE, RECOVERY, Pacing, heartbeat_interval, retry_after
from charger_mgmt.serving.process import process_of
from charger_mgmt.simulate.transport import HandshakeRefused


@pytest.fixture(scope="module")
def backend():
    return "sqlite"


def test_an_ordinary_boot_gets_the_ordinary_interval():
    assert {heartbeat_interval(300, None) for _ in range(100)} == {300}


def test_after_an_outage_the_intervals_are_spread_downward():
    intervals = {heartbeat_interval(300, 1.0) for _ in range(1000)}
    assert min(intervals) >= 150
    assert max(intervals) <= 300
    assert len(intervals) > 100


def test_later_on_the_ordinary_interval_returns():
    assert {heartbeat_interval(300, RECOVERY + 1) for _ in range(100)} == {300}


def test_those_turned_away_are_told_different_times():
    assert len({retry_after() for _ in range(200)}) > 5


def test_the_limit_counts_those_on_their_way_in():
    pacing = Pacing(2)
    with pacing.entering():
        assert not pacing.is_full
        with pacing.entering():
            assert pacing.is_full
        assert not pacing.is_full


def test_without_a_limit_it_is_never_full():
    pacing = Pacing(0)
    with pacing.entering():
        assert not pacing.is_full


@pytest.mark.settings(admissions_at_once=1)
def test_a_charger_that_comes_while_too_many_enter_is_asked_to_come_back(app, charger):
    connections = process_of(app).gateway.connections
    with connections._pacing.entering(), pytest.raises(HandshakeRefused) as refused:
        charger.dials_in()
    assert refused.value.status == 503
    assert int(refused.value.headers["Retry-After"]) > 0
    assert "at once" in json.loads(refused.value.body)["detail"]
    assert charger.boots().status == "Accepted"


def test_boots_after_an_outage_get_shorter_intervals_in_both_dialects(app, charger, flat_charger):
    process_of(app).central.database.returned_at = clock.monotonic()
    for booting in (charger, flat_charger):
        intervals = {booting.boots()["interval"] for _ in range(20)}
        assert len(intervals) > 1
        assert max(intervals) <= 300


def test_a_newcomer_waits_for_room_and_gets_it():
    pacing = Pacing(1)
    with pacing.entering():
        waiting = [gevent.spawn(pacing.waits_for_room, 5) for _ in range(LINE)]
        crowded_out = gevent.spawn(pacing.waits_for_room, 5)
        gevent.sleep(0)
        assert not any(each.ready() for each in waiting)
        assert crowded_out.get() is False
    for each in waiting:  # one enters when another one is in
        assert each.get(timeout=1)
        with pacing.entering():
            pass


def test_a_newcomer_does_not_wait_for_ever():
    pacing = Pacing(1)
    with pacing.entering():
        assert not pacing.waits_for_room(0.01)
    assert pacing.waits_for_room(0)
