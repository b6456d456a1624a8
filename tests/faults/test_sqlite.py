"""The embedded default under load: its disk fills up. (Its kill test is in test_kill.py.)"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.server import ROOT, GunicornServer

from .conftest import _REPORT, Scenario, must_be_quiet, started

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


@pytest.mark.alone
def test_long_messages_leave_other_writers_their_turns(tmp_path: Path) -> None:
    """Whoever waits for SQLite's lock waits in the driver, and with him everybody."""
    settings = {"AUTOMATIC_CALLS": "off"}
    with GunicornServer(f"sqlite:///{tmp_path / 'chargers.sqlite3'}", settings) as server:
        server.post("/api/chargers", {"chargerId": "CP1"})
        command = [sys.executable, "-m", "tests.faults.attackers", "ws-long", server.host, str(server.port)]
        attack = subprocess.Popen([*command, "3", "8"], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            longest, end = 0.0, time.monotonic() + 6
            while time.monotonic() < end:
                began = time.monotonic()
                assert server.patch("/api/chargers/CP1", {"name": f"{began}"}).status == 200
                longest = max(longest, time.monotonic() - began)
                time.sleep(0.05)
        finally:
            attack.kill()
            attack.wait()
        _REPORT.append(f"3 x ws-long on SQLite: the slowest PATCH took {longest:.2f} s")
        assert longest < 5
        must_be_quiet(server)
