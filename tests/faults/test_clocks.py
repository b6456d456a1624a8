"""Chargers whose clocks jump or restart in 1970, at a central system that keeps its head."""

from __future__ import annotations

import pytest

from tests.support.mariadb import MariaDB

from .conftest import Scenario, must_be_quiet, started

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]


@pytest.mark.parametrize("clock", ["jumping", "1970"])
def test_chargers_clocks(scenario: Scenario, mariadb: MariaDB, clock: str) -> None:
    url = mariadb.create_database()
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url, chargers=100, clock=clock)
        fleet.is_at_work()
        scenario.load(scenario.seconds / 2, scenario.seconds / 2)
        server.kill_worker()
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)
