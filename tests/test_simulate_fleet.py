"""The reckoning of bench.simulate_fleet, with costs whose results can be reckoned by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.simulate_fleet import Assumed, Costs, costs_of, database_cores, death, rates, sized, worker_cores

COSTS = Costs(
    heartbeat_us=30,
    meter_values_us=100,
    session_us=200,
    batch_us=1000,
    commit_s=0.01,
    connect_us=1000,
    socket_kb=30,
    database_meter_values_us=50,
    database_session_us=100,
    database_connect_us=400,
    sample_bytes=200,
)
PLAIN = Assumed(peak=1.0, heartbeat_s=100, sessions_a_day=24, session_hours=0.5, meter_values_s=10)


def test_what_chargers_say() -> None:
    rate = rates(1000, PLAIN)
    assert rate["heartbeats"] == 10
    assert rate["meter values"] == pytest.approx(50)  # half of them charge
    assert rate["starts and stops"] == pytest.approx(2 * 1000 * 24 / 86_400)
    assert rates(2000, PLAIN)["dials"] == pytest.approx(2 * rate["dials"])


def test_what_it_costs() -> None:
    rate = {"heartbeats": 1000, "meter values": 1000, "starts and stops": 100, "statuses": 0, "dials": 10}
    # 0.03 + 0.1 + 0.02 + 200 batches of two committers + 0.01
    assert worker_cores(rate, COSTS, 1) == pytest.approx(0.03 + 0.1 + 0.02 + 0.2 + 0.01)
    # With many workers each message is a batch of its own.
    assert worker_cores(rate, COSTS, 1000) == pytest.approx(0.16 + 1100 * 0.001)
    assert database_cores(rate, COSTS) == pytest.approx(0.05 + 0.01 + 0.004)


def test_as_many_workers_as_sockets_or_time_ask_for_and_a_host_to_spare() -> None:
    idle = replace(PLAIN, sessions_a_day=0, heartbeat_s=1000)
    size = sized(100_000, COSTS, idle)
    assert (size.why, size.hosts) == ("sockets", 4)  # nine workers, and a fourth host
    busy = sized(100_000, COSTS, replace(PLAIN, meter_values_s=1))
    assert busy.why == "processor time"
    assert busy.worker_share <= PLAIN.busy


def test_a_death_takes_as_long_as_the_dials_do_or_the_work() -> None:
    few = death(10, COSTS, busy=0.5, redial_s=(1.0, 2.0), at_once=50)
    assert 1.0 < few[0] < few[-1] < 2.1
    many = death(1400, COSTS, busy=0.5, redial_s=(1.0, 1.0), at_once=1000)
    assert len(many) == 1400
    assert many[-1] == pytest.approx(1.0 + 1400 * 0.002)  # one after the other
    turned_away = death(2000, COSTS, busy=0.5, redial_s=(1.0, 1.0), at_once=50)
    assert len(turned_away) == 2000
    assert turned_away[-1] >= many[-1]


def test_the_measured_costs_are_there() -> None:
    costs = costs_of()
    assert min(costs.heartbeat_us, costs.meter_values_us, costs.session_us, costs.connect_us) > 0
