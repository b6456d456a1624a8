"""A fleet of fake chargers in one process, what it has done, and whether all of it was acknowledged."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .charger import FakeCharger
from .day import ChargerLife, FlatLife, Life, Pace, Tally
from .flat import FlatCharger
from .ledger import Ledger, Message
from .transport import SystemClock
from .wire import WireTransport, charger_url

#: Chargers that dial in each second at the beginning.
DIALS_PER_SECOND = 50.0


class CheckingLedger(Ledger):
    """Keeps only what is open, and looks at each answer to a start: the id is new and positive."""

    def __init__(self, identity: str, tally: Tally, ids_given: set[int]) -> None:
        super().__init__(whole=False)
        self._identity = identity
        self._tally = tally
        self._ids_given = ids_given

    def answered(self, message: Message) -> None:
        super().answered(message)
        if message.action != "StartTransaction" or self._identity.isdecimal():
            return
        number = (message.answer or {}).get("transactionId")
        if not isinstance(number, int) or number < 1:
            self._tally.wrong.append(f"{self._identity}: a start was answered with transactionId {number!r}")
        elif number in self._ids_given:
            self._tally.wrong.append(f"{self._identity}: transactionId {number} was given to two sessions")
        else:
            self._ids_given.add(number)


@dataclass(frozen=True)
class FleetOptions:
    """What `flask simulate` was asked for; `minutes` are real ones, None: until it is told to stop."""

    chargers: int = 10
    url: str = "ws://127.0.0.1:8080/ocpp"
    pace: float = 60.0
    minutes: float | None = None
    seed: int = 1
    flat: int = 0
    prefix: str = "SIM"
    connectors: int = 2
    report_every: float = 5.0


class Fleet:
    """`options.chargers` OCPP-J chargers ("SIM-0001", …) and `options.flat` flat ones (1, 2, …)."""

    def __init__(self, options: FleetOptions, say: Callable[[str], None] = print) -> None:
        self._options = options
        self._say = say
        self.pace = Pace(options.pace)
        self.tally = Tally()
        self._clock = SystemClock()
        self._lines: list[FakeCharger | FlatCharger] = []
        self._lives: list[Life] = list(self._born())

    def _born(self) -> Iterable[Life]:
        options = self._options
        ids_given: set[int] = set()
        for number in range(1, options.chargers + 1):
            identity = f"{options.prefix}-{number:04d}"
            chance = random.Random(f"{options.seed} {identity}")
            charger = FakeCharger(
                identity,
                WireTransport(charger_url(options.url, identity)),
                connectors=options.connectors,
                model=chance.choice(("EVChargerX", "EVChargerXL", "Wallbox 22")),
                ledger=CheckingLedger(identity, self.tally, ids_given),
            )
            for connector in charger.registers:
                charger.registers[connector] = chance.randrange(10_000, 5_000_000)
            self._lines.append(charger)
            yield ChargerLife(charger, self.pace, self.tally, chance)
        for number in range(1, options.flat + 1):
            flat = FlatCharger(
                number,
                WireTransport(options.url, subprotocols=()),
                ledger=CheckingLedger(str(number), self.tally, ids_given),
            )
            self._lines.append(flat)
            yield FlatLife(flat, self.pace, self.tally, random.Random(f"{options.seed} flat {number}"))

    def runs(self) -> bool:
        """Until the time is over or `ends` was called; True: everything was acknowledged."""
        began = self._clock.monotonic()
        living: list[threading.Thread] = []
        dialling = threading.Thread(target=self._dials, args=(living,), daemon=True)
        dialling.start()
        limit = None if self._options.minutes is None else self._options.minutes * 60
        while True:
            passed = self._clock.monotonic() - began
            left = (
                self._options.report_every
                if limit is None
                else min(self._options.report_every, limit - passed)
            )
            if left <= 0 or self.pace.seconds(left):
                break
            self._say(self.progress(self._clock.monotonic() - began))
        self._say("ending: what still runs is stopped and delivered")
        self.pace.over.set()
        dialling.join()
        for thread in living:
            thread.join(60)
        return self._closes_the_books()

    def _dials(self, living: list[threading.Thread]) -> None:
        """Begin one life after the other: real fleets do not dial in within one moment."""
        for life in self._lives:
            thread = threading.Thread(target=life.lives, daemon=True)
            living.append(thread)
            thread.start()
            if self.pace.seconds(1 / DIALS_PER_SECOND):
                break

    def ends(self) -> None:
        """Come to an end: stop what runs, deliver what is queued, hang up."""
        self.pace.over.set()

    def progress(self, seconds: float) -> str:
        """One line about the fleet."""
        sums = self.sums()
        online = sum(line.online for line in self._lines)
        waiting = sum(line.registration not in (None, "Accepted") for line in self._lines)
        queued = sum(len(line.queue) for line in self._lines)
        parts = [
            f"{seconds:6.0f} s",
            f"online {online}/{len(self._lines)}",
            f"sessions {self.tally.running} running, {self.tally.finished} finished",
            f"sent {sums['sent']}, answered {sums['answered']}",
            f"unanswered {sums['unanswered']}, errors {sums['refused']}, queued {queued}",
        ]
        if waiting:
            parts.append(f"{waiting} waiting for approval")
        return " | ".join(parts)

    def sums(self) -> Counter[str]:
        """The ledgers' sums over all chargers."""
        total: Counter[str] = Counter()
        for line in self._lines:
            total.update(line.ledger.sums)
        return total

    def _closes_the_books(self) -> bool:
        sums, tally = self.sums(), self.tally
        wrong = list(tally.wrong)
        for line in self._lines:
            if not line.connections:
                why = f" ({line.last_refusal})" if line.last_refusal else ""
                wrong.append(f"{line.identity}: never got a connection to {self._options.url}{why}")
            for message in line.ledger.outstanding:
                why = "given up" if message.given_up else "refused" if message.error else "not acknowledged"
                wrong.append(f"{line.identity}: {message.action} {why}: {message.error or message.payload}")
        self._say(
            f"\n{len(self._lines)} chargers | {tally.finished} sessions | {tally.outages} outages"
            f" | {tally.faults} faults | {tally.redials} failed dials"
        )
        self._say(
            f"messages: {sums['sent']} sent, {sums['answered']} answered, {sums['refused']} errors,"
            f" {sums['unanswered']} unanswered, {sums['given_up']} given up"
        )
        for action in sorted(name for name in sums if name[:1].isupper()):
            self._say(f"  {action:<22}{sums[action]:>10}")
        calls = Counter(
            call.action for line in self._lines if isinstance(line, FakeCharger) for call in line.calls
        )
        for action, count in sorted(calls.items()):
            self._say(f"  from the central system: {action:<24}{count:>8}")
        for line_of_text in wrong[:20]:
            self._say(f"WRONG {line_of_text}")
        if len(wrong) > 20:
            self._say(f"WRONG … and {len(wrong) - 20} more")
        if not wrong:
            self._say("Every transaction message was acknowledged.")
        return not wrong
