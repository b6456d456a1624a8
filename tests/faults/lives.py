"""Chargers that never stop talking: sessions back to back, queued while offline, redialling at once.

Every message carries something that no other one has (a tag, a reading, a text), so that its row can be
found and counted afterwards.
"""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from charger_mgmt.simulate.charger import FakeCharger
from charger_mgmt.simulate.ending import Ending
from charger_mgmt.simulate.ledger import Message
from charger_mgmt.simulate.transport import ChargerSideError, NotAnswered, SystemClock

#: Seconds between two looks at the line.
LOOK = 0.1
SHORTEST_REDIAL, LONGEST_REDIAL = 0.1, 2.0


class RestartingClock(SystemClock):
    """A charger's clock without a battery: 1970 after every power cut."""

    def __init__(self) -> None:
        self._began = self.monotonic()

    def restarts(self) -> None:
        self._began = self.monotonic()

    def now(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic() - self._began)


class JumpingClock(SystemClock):
    """A charger's clock that somebody sets forward and back."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._offset = timedelta()

    def jumps(self) -> None:
        self._offset = timedelta(minutes=self._chance.randint(-90, 90))

    def now(self) -> datetime:
        return super().now() + self._offset


class PersistentCharger(FakeCharger):
    """A charger that takes a line without answers for dead, and never gives a transaction message up."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.configuration["TransactionMessageAttempts"] = "1000000"
        self.configuration["TransactionMessageRetryInterval"] = "0"
        self.refuses("ChangeConfiguration")

    def _exchange(self, message: Message) -> None:
        try:
            super()._exchange(message)
        except NotAnswered:
            self.online = False
            self.transport.drop()
            raise


class Life:
    """One charger's life: `lives` until `over`, then everything that is queued is delivered."""

    def __init__(self, charger: PersistentCharger, chance: random.Random, pause: float) -> None:
        self.charger = charger
        self.over = Ending()
        self.drained = False
        self._chance = chance
        self._pause = pause
        self._count = 0

    def lives(self, within: float) -> None:
        """Until `over` is set; then deliver everything within so many seconds."""
        line = threading.Thread(target=self._keeps_the_line, daemon=True)
        line.start()
        while not self.over.is_set():
            if self.charger.registration == "Accepted":
                self._charges()
            self._waits()
        line.join()
        self.drained = self.charger.delivers_everything(within)
        self.charger.rests(within=5)
        self.charger.hangs_up()

    def _keeps_the_line(self) -> None:
        charger, pause = self.charger, SHORTEST_REDIAL
        while not self.over.wait(LOOK):
            if charger.online and charger.registration == "Accepted":
                pause = SHORTEST_REDIAL
                charger.delivers()
                continue
            with suppress(ChargerSideError):
                charger.comes_back()
                if charger.registration != "Accepted":
                    charger.boots()
                continue
            self.over.wait(pause * self._chance.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_REDIAL)

    def _charges(self) -> None:
        """One session from plug to plug."""
        charger, connector = self.charger, self._chance.randint(1, self.charger.connectors)
        self._reports(connector, "Preparing")
        session = charger.starts(connector, tag=self._new("T"))
        self._reports(connector, "Charging")
        for _ in range(self._chance.randint(1, 3)):
            self._waits()
            charger.registers[connector] += self._chance.randint(1, 500)
            meters(charger, connector, session)
        charger.stops(session, meter=charger.registers[connector] + 1)
        self._reports(connector, "Available")
        if isinstance(charger.clock, JumpingClock) and self._chance.random() < 0.2:
            charger.clock.jumps()
        if isinstance(charger.clock, RestartingClock) and self._chance.random() < 0.2:
            self._loses_power(charger.clock)

    def _loses_power(self, clock: RestartingClock) -> None:
        self.charger.delivers_everything(within=5)
        self.charger.loses_power()
        clock.restarts()

    def _reports(self, connector: int, status: str) -> None:
        with suppress(ChargerSideError):
            self.charger.reports(connector, status, info=self._new("S"))

    def _new(self, kind: str) -> str:
        """A text that stands in one message only."""
        self._count += 1
        return f"{kind}{self.charger.identity}-{self._count}"

    def _waits(self) -> None:
        self.over.wait(self._pause * self._chance.uniform(0.2, 1.8))


def meters(charger: FakeCharger, connector: int, session: object) -> None:
    """A MeterValues of three samples whose texts appear once in this charger's life.

    The register only ever grows, and connectors have millions of their own.
    """
    reading = charger.registers[connector]
    measured = (
        ("Energy.Active.Import.Register", "Wh"),
        ("Power.Active.Import", "W"),
        ("Current.Import", "A"),
    )
    charger.meters(
        connector,
        session,  # type: ignore[arg-type]
        samples=[
            {"value": f"{reading}.{place}", "measurand": measurand, "unit": unit}
            for place, (measurand, unit) in enumerate(measured)
        ],
    )


def queue_up(charger: PersistentCharger, messages: int) -> None:
    """Before it has ever been online: one whole session of so many messages waits in its queue."""
    charger.goes_offline()
    session = charger.starts(1, tag=f"T{charger.identity}-1")
    for _ in range(messages - 2):
        charger.registers[1] += 1
        meters(charger, 1, session)
    charger.stops(session, meter=charger.registers[1] + 1)
