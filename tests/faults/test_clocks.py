"""Clocks that jump or restart in 1970, the chargers' and the server's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

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


#: Tells a process other times than the machine's (Debian's package libfaketime).
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
#: Seconds of silence after which a charger is Unavailable there.
LIMIT = 5


def test_the_servers_clock_jumps(scenario: Scenario, mariadb: MariaDB, tmp_path: Path) -> None:
    """Somebody sets the clock of the server's machine by hours, forward and back; then kill -9 as well.

    Nothing is lost and nobody is taken for silent: what is waited for is measured on a clock that does not jump.
    """
    assert FAKETIME is not None, "libfaketime is missing: run `make test-faults`, which installs it"
    url = mariadb.create_database()
    told = tmp_path / "faketime"
    told.write_text("+0")
    faked = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(told),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(Path(__file__).parent / "false_clock"),
        # Chargers that talk every second or so would be judged at once if the jump counted as silence.
        "HEARTBEAT_INTERVAL": "2",
        "HEARTBEAT_TIMEOUT": str(LIMIT),
        "SWEEP_INTERVAL": "0.5",
    }
    with started(url, **faked) as server:
        fleet = scenario.fleet(server.ocpp_url, chargers=100)
        fleet.is_at_work()
        for hours in (2, -3, scenario.chance.choice((-26, 26))):
            told.write_text(f"{hours:+d}h")
            scenario.load(LIMIT + 1, LIMIT + 2)
            fleet.is_at_work()
        assert farthest_receipt(mariadb, url) > 1, "the server never saw another time"
        server.kill_worker()
        fleet.is_at_work()
        told.write_text("+0")
        scenario.load(1.5, 2)
        assert "chargers are silent" not in server.log(), (
            "chargers that talk all the time were taken for silent"
        )
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)


def farthest_receipt(mariadb: MariaDB, url: str) -> int:
    """By how many hours a time of receipt differs from the database's clock at most."""
    query = "SELECT MAX(ABS(TIMESTAMPDIFF(HOUR, received_at, UTC_TIMESTAMP()))) FROM status_history"
    return int(mariadb.execute(query, make_url(url).database)[0][0])
