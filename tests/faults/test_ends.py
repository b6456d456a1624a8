"""The server ends in the midst of its work: in order, or all at once as in a power cut."""

from __future__ import annotations

import pytest

from tests.support.mariadb import MariaDB

from .conftest import Scenario, must_be_quiet, started

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]


def test_sigterm_during_load(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url)
        for _ in range(2):
            fleet.is_at_work()
            scenario.load(0.2, 2)
            server.restart()
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)


def test_kill_9_of_master_and_worker(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url)
        for _ in range(2):
            fleet.is_at_work()
            scenario.load(0.2, 2)
            server.kill_master()
            server.start()
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)
