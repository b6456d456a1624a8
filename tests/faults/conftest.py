"""Faults under load: the seed, the time, the report.

FAULT_SEED repeats a run's random moments; FAULT_SECONDS (6) is how long the chargers work in each scenario.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import migrate
from tests.support.processes import wait_until
from tests.support.server import ALARMS, GunicornServer

from .books import Account, Rows, compare
from .crew import Crew

SEED = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(1_000_000))
SECONDS = float(os.environ.get("FAULT_SECONDS") or 6)
#: Time-outs short enough for a test, in the proportions of the defaults.
ENVIRON = {
    "COMMIT_TIMEOUT": "6",
    "DATABASE_TIMEOUT": "3",
    "WEBSOCKET_PING_INTERVAL": "2",
    "FOLLOW_UP_DELAY": "0.2",
    "NEW_CHARGERS_PER_SOURCE": "0",  # fleets of thousands come from this one machine
}
os.environ["FAULT_SEED"] = str(SEED)  # of those that run beside each other, too
_REPORT: list[str] = []
_LINE = "what a fault did"


#: Quick, and about the suite itself; the scenarios take minutes and have a run of their own.
ALWAYS = "test_books"
#: Each has a dozen processes: one after the other. The others go beside each other, file by file.
HOSTS = ("test_cluster", "test_partitions", "test_galera")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem != ALWAYS:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.xdist_group("hosts" if item.path.stem in HOSTS else item.path.stem))


class Scenario:
    """What a scenario needs: chance, time, fleets, and the account at the end."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.seed = SEED
        self.chance = random.Random(f"{SEED} {name}")
        self.seconds = SECONDS
        self._began = time.monotonic()
        self._fleets: list[Crew] = []
        print(f"FAULT_SEED={SEED}")

    def fleet(self, server_url: str, **options: Any) -> Crew:
        """Start a fleet."""
        crew = Crew(server_url, self.folder, seed=self.seed, **options)
        self._fleets.append(crew)
        return crew

    def load(self, least: float, most: float) -> None:
        """Let the chargers work for a random time."""
        time.sleep(self.chance.uniform(least, most))

    def goes_on(self) -> bool:
        """There is time left for another fault."""
        return time.monotonic() - self._began < self.seconds + 4

    def settle(self, database_url: str, *ledgers: dict[str, Any], within: float = 5.0) -> Account:
        """Compare and report; fails unless everything balances. Returns the account.

        `within`: the seconds in which the server has to notice that everybody has gone.
        """
        wait_until(
            lambda: Rows.connected_chargers(database_url) == 0,
            seconds=within,
            what="all are seen to have gone",
        )
        ledger = {name: charger for part in ledgers for name, charger in part.items()}
        account = compare(ledger, Rows(database_url, ledger))
        self.note(str(account))
        account.must_balance()
        return account

    def note(self, text: str) -> None:
        """A line for the report."""
        _REPORT.append(f"{self.name}: {text}; {time.monotonic() - self._began:.0f} s")

    def end(self) -> None:
        for crew in self._fleets:
            crew.__exit__()


@pytest.fixture
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scenario]:
    """This test's scenario; its fleets are ended with it."""
    made = Scenario(request.node.name, tmp_path)
    yield made
    made.end()


@contextmanager
def started(database_url: str, **environ: str) -> Iterator[GunicornServer]:
    """A server on a new database, without an operator."""
    migrate(database_url)
    server = GunicornServer(database_url, ENVIRON | environ)
    try:
        server.start()
        yield server
        server.terminate()
    finally:
        server.remove()


def must_be_quiet(server: GunicornServer) -> None:
    """No traceback in the log: an outage is an expected fault, and has one line."""
    lines = server.log().splitlines()
    for number, line in enumerate(lines):
        assert not any(alarm in line for alarm in ALARMS), "\n".join(lines[max(number - 5, 0) : number + 60])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test's lines go with its report: from the process that ran it to the one that writes the summary."""
    report = yield
    while _REPORT:
        report.user_properties.append((_LINE, _REPORT.pop(0)))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [each for kind in ("passed", "failed", "") for each in terminalreporter.getreports(kind)]
    lines = [line for report in reports for name, line in report.user_properties if name == _LINE]
    if lines:
        terminalreporter.section(f"faults, FAULT_SEED={SEED}")
        for line in lines:
            terminalreporter.line(line)
