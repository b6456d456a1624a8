"""kill -9 under load: nothing that was acknowledged is missing, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mariadb import MariaDB
from tests.support.server import GunicornServer

from .conftest import Scenario, must_be_quiet, started

pytestmark = pytest.mark.wire
CHARGERS = 50


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'chargers.sqlite3'}"
    return request.getfixturevalue("mariadb").create_database()


@pytest.fixture
def server(database_url: str) -> Iterator[GunicornServer]:
    with started(database_url) as running:
        yield running


def test_a_killed_worker_loses_nothing_that_was_acknowledged(
    scenario: Scenario, server: GunicornServer, database_url: str
) -> None:
    fleet = scenario.fleet(server.ocpp_url, chargers=CHARGERS)
    for _ in range(2):
        fleet.is_at_work()
        scenario.load(0.5, 2.0)
        server.kill_worker()
    fleet.is_at_work()
    scenario.settle(database_url, fleet.comes_home())
    must_be_quiet(server)


@pytest.mark.mariadb
def test_a_killed_database_loses_nothing_that_was_acknowledged(scenario: Scenario, mariadb: MariaDB) -> None:
    database_url = mariadb.create_database()
    with started(database_url) as server:
        fleet = scenario.fleet(server.ocpp_url, chargers=CHARGERS)
        for _ in range(2):
            fleet.is_at_work()
            scenario.load(0.5, 2.0)
            mariadb.kill()
            mariadb.start()
        fleet.is_at_work()
        scenario.settle(database_url, fleet.comes_home())
        must_be_quiet(server)
