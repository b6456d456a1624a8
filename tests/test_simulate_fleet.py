"""The arithmetic of bench.simulate_fleet."""

from __future__ import annotations

import itertools
import random

import pytest

from bench.simulate_fleet import PLACES, Costs, Curve, Habits, Redial, facts, load, sized, traffic, wave

#: Dials when its socket ends, not later.
SOON = Redial("at once", 0.0, 0.0)
POINT = {
    "per_second": 100,
    "worker_us": 1000.0,
    "mariadb_us": 200.0,
    "redis_us": 10.0,
    "another process_us": 20.0,
    "commits": 0.5,
    "fsyncs": 0.5,
    "redo_bytes": 1000,
}
KINDS = ("Heartbeat", "MeterValues", "Start/StopTransaction", "StatusNotification", "Authorize")
MEASURED = {"process_ms": 20.0, "database_ms": 10.0}
COSTS = Costs(
    {
        "messages": {kind: [POINT, POINT | {"per_second": 1000, "worker_us": 200.0}] for kind in KINDS},
        "full": {kind: POINT | {"per_second": 5000, "worker_us": 100.0} for kind in KINDS},
        "mixed": [],
        "dials": {"known again": POINT, "known again, its end": POINT},
        "follow_ups": {"calls": POINT},
        "refused_dial": POINT,
        "socket": {"sockets": 1000, "worker_us_per_second": 5.0},
        "an idle process_us_per_second": {"worker": 5000, "mariadb": 2000},
        "bytes_per_row": {"meter_values": {"bytes": 300}},
        "yardstick_seconds": [0.3],
    },
    {
        "held_by_a_process": 10_000,
        "1,000 chargers": {
            "a turn: which rows are ours": MEASURED,
            "the leader's turn: what the dead have left": MEASURED,
        },
    },
    {"idle": {"kilobytes_per_socket": 30.0}},
)


@pytest.mark.parametrize(
    ("rate", "cost"), [(1, 1000.0), (100, 1000.0), (316.2278, 600.0), (1000, 200.0), (9000, 200.0)]
)
def test_a_cost_between_two_rates_lies_between_their_costs(rate: float, cost: float) -> None:
    points = [{"per_second": 100, "us": 1000.0}, {"per_second": 1000, "us": 200.0}]
    assert Curve(points, "us").at(rate) == pytest.approx(cost, rel=1e-4)


def test_ten_times_the_chargers_say_ten_times_as_much() -> None:
    few, many = traffic(1000, Habits()), traffic(10_000, Habits())
    assert many == pytest.approx({kind: 10 * rate for kind, rate in few.items()})


def test_a_heartbeat_comes_each_interval_and_two_messages_make_a_session() -> None:
    said = traffic(3000, Habits(sessions_a_day=1.0))
    assert said["Heartbeat"] == pytest.approx(10.0)
    assert said["Start/StopTransaction"] == pytest.approx(2 * said["Authorize"])


def test_with_more_workers_each_has_less_to_do_but_for_what_all_are_told() -> None:
    two, four = (load(10_000, workers, COSTS, Habits()) for workers in (2, 4))
    assert four.worker < two.worker
    assert four.parts["facts of the others"] == two.parts["facts of the others"]
    assert two.parts["facts of the others"] == pytest.approx(facts(10_000, Habits()) * 20e-6)


def test_a_fleet_fits_on_its_hosts_when_one_is_missing() -> None:
    at = sized(100_000, 4, 0.6, COSTS, Habits())
    assert at.load.worker <= 0.6
    assert at.after.worker <= 0.85
    assert 100_000 / (at.hosts - 1) / 4 <= PLACES


def test_a_small_fleet_has_two_hosts() -> None:
    assert sized(100, 1, 0.6, COSTS, Habits()).hosts == 2


def test_everybody_comes_back_and_the_work_is_done_once() -> None:
    found = wave(
        gone=[0.0] * 100, held=[0.0], workers=1, redial=SOON, chargers=200, dial=0.01, admissions=0xFFFF
    )
    assert found.last == pytest.approx(1.0)  # 100 dials of 10 ms, one after the other
    assert found.least_connected == 0.5
    assert found.refused == 0


def test_two_hosts_take_half_each() -> None:
    found = wave(gone=[0.0] * 100, held=[50.0, 50.0], workers=1, redial=SOON, chargers=200, dial=0.01)
    assert found.last == pytest.approx(0.5)


def test_a_host_that_is_empty_takes_all() -> None:
    found = wave(gone=[0.0] * 100, held=[0.0, 500.0], workers=1, redial=SOON, chargers=200, dial=0.01)
    assert found.last == pytest.approx(1.0)


def test_who_finds_no_room_comes_again_after_one_to_ten_seconds() -> None:
    found = wave(gone=[0.0] * 100, held=[0.0], workers=1, redial=SOON, chargers=100, dial=0.01, admissions=10)
    assert found.refused >= 40  # ten are let in, fifty wait
    assert 1.0 < found.last < 40.0


def test_a_busy_worker_takes_longer() -> None:
    found = wave(
        gone=[0.0] * 100, held=[0.0], workers=1, redial=SOON, chargers=200, dial=0.01, background=0.5
    )
    assert found.last == pytest.approx(2.0)


def test_the_database_is_shared_by_all() -> None:
    found = wave(
        gone=[0.0] * 100,
        held=[0.0] * 10,
        workers=1,
        redial=SOON,
        chargers=200,
        dial=0.001,
        database=0.02,
    )
    assert found.last == pytest.approx(2.0)


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_waiting_is_that_of_a_queue_with_one_server_and_equal_work(busy: float) -> None:
    """M/D/1: arrivals by chance, and the mean wait is known (Pollaczek and Khinchine)."""
    chance = random.Random(7)
    arrivals = list(itertools.accumulate(chance.expovariate(busy / 0.01) for _ in range(40_000)))
    found = wave(
        gone=arrivals, held=[0.0], workers=1, redial=SOON, chargers=40_000, dial=0.01, admissions=10_000
    )
    assert found.mean == pytest.approx(0.01 + 0.01 * busy / (2 * (1 - busy)), rel=0.08)
