"""The embedded default under load: its disk fills up. (Its kill test is in test_kill.py.)"""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from .conftest import Scenario, must_be_quiet, started

pytestmark = pytest.mark.wire
CHARGERS = 100


def test_disk_full(scenario: Scenario, tmp_path: Path) -> None:
    """No file of the server may grow beyond a limit, which is what a full disk does to it."""
    path = tmp_path / "chargers.sqlite3"
    url = f"sqlite:///{path}"
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url, chargers=CHARGERS)
        for _ in range(2):
            fleet.is_at_work()
            before = resource.prlimit(server.worker_pid, resource.RLIMIT_FSIZE)
            resource.prlimit(server.worker_pid, resource.RLIMIT_FSIZE, (path.stat().st_size, before[1]))
            try:
                fleet.waits(lambda f: f["online"] < CHARGERS // 2, 30, "chargers are turned away")
                scenario.load(2, 4)
            finally:
                resource.prlimit(server.worker_pid, resource.RLIMIT_FSIZE, before)
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)
