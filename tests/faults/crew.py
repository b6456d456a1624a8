"""The test's end of a fleet: start it, follow it, bring it home with its ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support.processes import LastWill, wait_until
from tests.support.server import ROOT

#: What a fleet does unless it is told otherwise; see fleet.py.
USUAL = {
    "chargers": 200,
    "prefix": "F",
    "seed": 1,
    "pause": 0.5,
    "connect_timeout": 5.0,
    "call_timeout": 15.0,
    "clock": "system",
    "queued": 0,
    "drain_within": 25.0,
    "dials_per_second": 200.0,
}


class Crew:
    """A fleet of chargers in a process of its own. As a context manager it is gone at the end."""

    def __init__(self, url: str, folder: Path, **options: Any) -> None:
        self.options: dict[str, Any] = USUAL | {"url": url} | options
        self.ledger_file = folder / f"ledger-{self.options['prefix']}.json"
        self._progress: dict[str, Any] = {}
        self._errors = folder / f"fleet-{self.options['prefix']}.log"
        command = [sys.executable, "-m", "gevent.monkey", "--module", "tests.faults.fleet"]
        arguments = json.dumps(self.options | {"ledger": str(self.ledger_file)})
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*command, arguments],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._last_will = LastWill(self._process.pid)
        self._reader = threading.Thread(target=self._reads, daemon=True)
        self._reader.start()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        self._last_will.revoke()

    def _reads(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._progress = json.loads(line)
        self._process.stdout.close()

    def __getitem__(self, name: str) -> int:
        """The latest progress: online, booted, sent, answered, queued, connections."""
        return int(self._progress.get(name, 0))

    def waits(self, condition: Any, seconds: float, what: str) -> None:
        """Until the condition about the fleet's progress holds."""

        def checked() -> bool:
            assert self._process.poll() is None, f"the fleet has ended: {self._errors.read_text()}"
            return bool(condition(self))

        try:
            wait_until(checked, seconds=seconds, what=what, every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; the fleet: {self._progress}") from None

    def is_at_work(self, share: float = 0.95, seconds: float = 40.0) -> None:
        """Wait until (nearly) all chargers are online and accepted, and answers come in."""
        enough = share * self.options["chargers"]
        before = self["answered"]
        self.waits(
            lambda fleet: (
                fleet["booted"] >= enough and fleet["online"] >= enough and fleet["answered"] > before
            ),
            seconds,
            "the fleet is at work",
        )

    def gets_answers(self, count: int, seconds: float = 40.0) -> None:
        """Wait until so many more answers have come in."""
        wanted = self["answered"] + count
        self.waits(lambda fleet: fleet["answered"] >= wanted, seconds, f"{count} more answers")

    def comes_home(self) -> dict[str, Any]:
        """No new sessions; everything queued is delivered. The ledger."""
        self._process.send_signal(signal.SIGTERM)
        return self.is_done()

    def is_done(self) -> dict[str, Any]:
        """Wait for the fleet's end. The ledger."""
        try:
            code = self._process.wait(timeout=self.options["drain_within"] + 40)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGUSR1)
            self.waits(
                lambda _: "Greenlet" in self._errors.read_text(), 10, "the fleet says what it waits for"
            )
            waiting = self._errors.read_text()
            raise AssertionError(f"the fleet does not come home: {self._progress}\n{waiting}") from None
        self._reader.join()
        assert code == 0, f"the fleet failed: {self._errors.read_text()}"
        return json.loads(self.ledger_file.read_text())
