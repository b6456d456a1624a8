"""The fleet's process: `python -m gevent.monkey --module tests.faults.fleet '{"url": …}'`.

Patched by gevent before anything is imported. Prints its progress as JSON lines; on SIGTERM it stops
charging, delivers what is queued, writes the ledger and ends. SIGUSR1: what everybody is waiting for.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gevent
import gevent.util

from charger_mgmt.simulate.charger import FakeCharger
from charger_mgmt.simulate.transport import SystemClock
from charger_mgmt.simulate.wire import WireTransport, charger_url

from .lives import JumpingClock, Life, PersistentCharger, RestartingClock, queue_up

#: Seconds between two lines of progress.
PROGRESS = 0.2


class Fleet:
    """`options`: url, chargers, prefix, seed, ledger (a path), pause, connect_timeout and call_timeout
    (seconds), clock ("system", "jumping" or "1970"), queued (messages before the first dialling; 0: an
    ordinary life), drain_within (seconds), dials_per_second."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.lives = [self._born(number) for number in range(1, options["chargers"] + 1)]
        self._began = time.monotonic()

    def _born(self, number: int) -> Life:
        options = self.options
        identity = f"{options['prefix']}{number:04d}"
        chance = random.Random(f"{options['seed']} {identity}")
        clock: Any = SystemClock()
        if options["clock"] == "jumping":
            clock = JumpingClock(chance)
        elif options["clock"] == "1970":
            clock = RestartingClock()
        charger = PersistentCharger(
            identity,
            WireTransport(charger_url(options["url"], identity), connect_timeout=options["connect_timeout"]),
            call_timeout=options["call_timeout"],
            clock=clock,
        )
        for connector in charger.registers:
            charger.registers[connector] = connector * 1_000_000
        return Life(charger, chance, options["pause"])

    def runs(self) -> None:
        queued = self.options["queued"]
        for life in self.lives:
            if queued:
                queue_up(life.charger, queued)
        threads = [threading.Thread(target=self._live, args=(life,), daemon=True) for life in self.lives]
        gevent.spawn(self._tells)
        for thread in threads:
            thread.start()
            if not queued:
                time.sleep(1 / self.options["dials_per_second"])
        for thread in threads:
            thread.join()
        self._tell()
        Path(self.options["ledger"]).write_text(json.dumps(self.ledger()))

    def _live(self, life: Life) -> None:
        if self.options["queued"]:  # no life, just the queue
            life.drained = life.charger.delivers_everything(self.options["drain_within"])
            life.charger.hangs_up()
        else:
            life.lives(self.options["drain_within"])

    def ends(self) -> None:
        for life in self.lives:
            life.over.set()

    def _tells(self) -> None:
        while True:
            self._tell()
            gevent.sleep(PROGRESS)

    def _tell(self) -> None:
        chargers = [life.charger for life in self.lives]
        progress = {
            "seconds": round(time.monotonic() - self._began, 2),
            "online": sum(charger.online for charger in chargers),
            "booted": sum(charger.registration == "Accepted" for charger in chargers),
            "sent": sum(charger.ledger.sums["sent"] for charger in chargers),
            "answered": sum(charger.ledger.sums["answered"] for charger in chargers),
            "queued": sum(len(charger.queue) for charger in chargers),
            "connections": sum(charger.connections for charger in chargers),
        }
        print(json.dumps(progress), flush=True)

    def ledger(self) -> dict[str, Any]:
        """Each charger's messages."""
        return {life.charger.identity: in_the_ledger(life.charger, life.drained) for life in self.lives}


def in_the_ledger(charger: FakeCharger, drained: bool) -> dict[str, Any]:
    """One charger's messages, in the order in which they were made, as JSON.

    `drained`: whether its queue is empty at the end.
    """
    return {
        "drained": drained,
        "messages": [
            {
                "action": message.action,
                "payload": message.payload,
                "must_arrive": message.must_arrive,
                "attempts": len(message.message_ids),
                "answer": message.answer,
                "error": message.error,
            }
            for message in charger.ledger
        ],
    }


def main() -> None:
    fleet = Fleet(**json.loads(sys.argv[1]))
    gevent.signal_handler(signal.SIGTERM, fleet.ends)
    gevent.signal_handler(signal.SIGUSR1, gevent.util.print_run_info, file=sys.stderr)
    fleet.runs()


if __name__ == "__main__":
    main()
