"""Lines that fail half-way: the network takes what is said and gives nothing back."""

from __future__ import annotations

import time

import pytest

from tests.support.mariadb import MariaDB

from .conftest import Scenario, must_be_quiet, started
from .proxy import DOWN, UP, Proxy, loses_the_answer

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_half_open(scenario: Scenario, mariadb: MariaDB, direction: str) -> None:
    """Bytes in one direction go nowhere; both ends believe that the other is there."""
    url = mariadb.create_database()
    with started(url) as server, Proxy(server.host, server.port) as proxy:
        fleet = scenario.fleet(proxy.ocpp_url, chargers=100, call_timeout=3.0)
        fleet.is_at_work()
        end = time.monotonic() + scenario.seconds
        dead = 0
        while time.monotonic() < end:
            scenario.load(0.1, 0.4)
            if lines := proxy.living():
                scenario.chance.choice(lines).swallows.add(direction)
                dead += 1
        scenario.note(f"{dead} lines went half-open ({direction})")
        ledger = fleet.comes_home()
        scenario.settle(url, ledger, within=10)
        must_be_quiet(server)


def test_the_answer_is_lost_after_the_commit(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url) as server, Proxy(server.host, server.port) as proxy:
        fleet = scenario.fleet(proxy.ocpp_url, chargers=100, call_timeout=3.0)
        fleet.is_at_work()
        end = time.monotonic() + scenario.seconds
        lost = 0
        while time.monotonic() < end:
            scenario.load(0.0, 0.05)
            if lines := proxy.living():
                scenario.chance.choice(lines).after_up = loses_the_answer(
                    scenario.chance.choice((0.0, 0.05, 0.3))
                )
                lost += 1
        fleet.is_at_work()
        account = scenario.settle(url, fleet.comes_home(), within=10)
        scenario.note(f"{lost} answers lost, {account.attempts - account.sent} repeats")
        assert account.attempts - account.sent > lost / 4, "hardly anything had to be repeated"
        must_be_quiet(server)
