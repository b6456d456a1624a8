"""The life of one charger: it boots, cars come and go, things break, the line fails.

Time runs `pace` times as fast as on the wall: a session of an hour takes a minute at pace 60. What is
reported fits together all the same: timestamps are real, power is what a car draws, and energy is that
power by the real time. So the hour at 11 kW is reported as a minute with 183 Wh; its 11 kWh in a minute
would rightly be flagged as implausible. Heartbeats and the waits for redialling follow the real clock, as
the central system's own limits do.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .charger import FakeCharger
from .ending import Ending
from .flat import FlatCharger
from .ledger import ChargingSession
from .transport import CallRefused, ChargerSideError

#: Cars that come to one connector in each hour of the day.
ARRIVALS = (0.05,) * 5 + (
    0.1,
    0.3,
    0.5,
    0.5,
    0.3,
    0.3,
    0.4,
    0.5,
    0.4,
    0.3,
    0.3,
    0.5,
    0.7,
    0.7,
    0.5,
    0.4,
    0.3,
    0.2,
    0.1,
)
#: The hour at which a simulation begins.
FIRST_HOUR = 7.0
#: kW that cars draw.
POWERS = (3.7, 7.4, 11.0, 22.0, 50.0)
FAULTS = ("GroundFailure", "OverCurrentFailure", "ConnectorLockFailure", "PowerSwitchFailure", "OtherError")
#: A connector breaks, a line fails, once in so many simulated minutes (in the mean).
MINUTES_BETWEEN_FAULTS = 3 * 24 * 60
MINUTES_BETWEEN_OUTAGES = 24 * 60
LONGEST_REDIAL_PAUSE = 30.0


@dataclass
class Pace:
    """Simulated time, and the end of it."""

    factor: float
    over: Ending = field(default_factory=Ending)

    def minutes(self, minutes: float) -> bool:
        """Wait so many simulated minutes; True: it is over."""
        return self.seconds(minutes * 60 / self.factor)

    def seconds(self, seconds: float) -> bool:
        """Wait so many real seconds; True: it is over."""
        return self.over.wait(max(seconds, 0.0))


@dataclass
class Tally:
    """What a fleet has done so far."""

    running: int = 0
    finished: int = 0
    outages: int = 0
    redials: int = 0
    faults: int = 0
    #: Wrong on the charger's side, in words.
    wrong: list[str] = field(default_factory=list)


class Life:
    """What the lives of both kinds of charger share: staying connected, heartbeats, the end."""

    def __init__(
        self, charger: FakeCharger | FlatCharger, pace: Pace, tally: Tally, chance: random.Random
    ) -> None:
        self._line = charger
        self.pace = pace
        self.tally = tally
        self.chance = chance
        self._began = charger.clock.monotonic()
        self._threads: list[threading.Thread] = []

    def lives(self) -> None:
        """From the first dialling to the end of the simulation."""
        if not self._comes_online() or not self._boots():
            return
        self._begins()
        self._watches()
        for thread in self._threads:
            thread.join()
        self._ends()

    def _begins(self) -> None:
        """Start what goes on beside the heartbeats."""

    def _boots(self) -> bool:
        """Boot until accepted (section 4.2); False: it was over before."""
        while self._line.registration != "Accepted":
            wait = 10.0
            with suppress(ChargerSideError):
                boot = self._line.boots()
                if boot.status == "Accepted":
                    break
                wait = min(float(boot["interval"]) or wait, wait)
            if self.pace.seconds(wait) or not self._comes_online():
                return False
        return True

    def _comes_online(self) -> bool:
        """Dial until it works, with a growing pause; False: it was over before."""
        pause = 0.5
        while not self._line.online:
            try:
                self._line.comes_back()
            except ChargerSideError:
                self.tally.redials += 1
                if self.pace.seconds(pause * self.chance.uniform(0.5, 1.5)):
                    return False
                pause = min(pause * 2, LONGEST_REDIAL_PAUSE)
        return True

    def _watches(self) -> None:
        """Heartbeats, redialling, repeats, and now and then a line that fails."""
        line = self._line
        next_heartbeat = line.clock.monotonic() + self.chance.uniform(0, line.heartbeat_interval)
        outage_in = self.chance.expovariate(1 / MINUTES_BETWEEN_OUTAGES)
        tick = max(1.0, min(60 / self.pace.factor, 10.0))
        while not self.pace.seconds(tick):
            outage_in -= tick / 60 * self.pace.factor
            if outage_in <= 0:
                self._loses_line()
                outage_in = self.chance.expovariate(1 / MINUTES_BETWEEN_OUTAGES)
            if not line.online and not self._comes_online():
                return
            line.delivers()
            if line.clock.monotonic() >= next_heartbeat:
                tell(line.heartbeats)
                next_heartbeat = line.clock.monotonic() + line.heartbeat_interval

    def _loses_line(self) -> None:
        self.tally.outages += 1
        self._line.goes_offline()
        self.pace.minutes(self.chance.uniform(5, 60))

    def _ends(self) -> None:
        """Deliver what is left and hang up."""
        self._line.delivers_everything(within=30)
        self._line.hangs_up()

    def hour(self) -> float:
        """The simulated hour of the day."""
        minutes = (self._line.clock.monotonic() - self._began) / 60 * self.pace.factor
        return (FIRST_HOUR + minutes / 60) % 24

    def waits_for_a_car(self) -> bool:
        """Until the next car arrives, by the hour's rate; True: it is over."""
        busiest = max(ARRIVALS)
        while not self.pace.minutes(self.chance.expovariate(busiest) * 60):
            if self.chance.random() < ARRIVALS[int(self.hour())] / busiest:
                return False
        return True


class ChargerLife(Life):
    """An OCPP-J charger: each connector lives by itself beside the heartbeats."""

    def __init__(self, charger: FakeCharger, pace: Pace, tally: Tally, chance: random.Random) -> None:
        super().__init__(charger, pace, tally, chance)
        self.charger = charger

    def _begins(self) -> None:
        for connector, (status, error) in sorted(self.charger.statuses.items()):
            tell(self.charger.reports, connector, status, error)
        for connector in range(1, self.charger.connectors + 1):
            thread = threading.Thread(target=self._connector, args=(connector,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _ends(self) -> None:
        """Nobody charges when the simulation is over, not even by a remote start in the last second."""
        self.charger.refuses("RemoteStartTransaction")
        self.charger.rests()
        for session in list(self.charger.sessions.values()):
            self._parts(session, "Local", counted=False)
        super()._ends()

    def _connector(self, connector: int) -> None:
        charger = self.charger
        while not self.pace.over.is_set():
            if self._waits(connector):
                break
            session = charger.sessions.get(connector)
            if session is not None:  # started by the central system
                self._charges(session)
            elif charger.statuses[connector][0] == "Available" and charger.statuses[0][0] == "Available":
                if self.chance.random() < self._fault_chance():
                    self._breaks(connector)
                else:
                    self._takes_a_car(connector)

    def _waits(self, connector: int) -> bool:
        """For a car or a remote start; True: it is over."""
        busiest = max(ARRIVALS)
        arrival = self.chance.expovariate(busiest) * 60
        while connector not in self.charger.sessions:
            step = min(arrival, 2.0)
            if self.pace.minutes(step):
                return True
            arrival -= step
            if arrival <= 0:
                if self.chance.random() < ARRIVALS[int(self.hour())] / busiest:
                    return False
                arrival = self.chance.expovariate(busiest) * 60
        return False

    def _fault_chance(self) -> float:
        per_day = sum(ARRIVALS)
        return 24 * 60 / MINUTES_BETWEEN_FAULTS / per_day

    def _breaks(self, connector: int) -> None:
        self.tally.faults += 1
        tell(self.charger.reports, connector, "Faulted", self.chance.choice(FAULTS))
        self.pace.minutes(self.chance.uniform(10, 60))
        tell(self.charger.reports, connector, "Available")

    def _takes_a_car(self, connector: int) -> None:
        """Plug in, show a card, charge, unplug (section 3.4)."""
        charger = self.charger
        tag = f"SIM-{self.chance.randrange(1, 500):04d}"
        tell(charger.reports, connector, "Preparing")
        if self.pace.minutes(self.chance.uniform(0.2, 2)):
            tell(charger.reports, connector, "Available")
            return
        if not self._may_charge(tag):
            self.pace.minutes(1)
            tell(charger.reports, connector, "Available")
            return
        if connector in charger.sessions:  # a remote start was quicker
            return
        session = charger.starts(connector, tag)
        self._charges(session)

    def _may_charge(self, tag: str) -> bool:
        """Ask; offline everybody may (AllowOfflineTxForUnknownId)."""
        if not self.charger.online:
            return True
        try:
            return self.charger.authorizes(tag).status == "Accepted"
        except CallRefused:
            return False
        except ChargerSideError:
            return True

    def _charges(self, session: ChargingSession) -> None:
        """From the start to the free connector."""
        charger, connector = self.charger, session.connector
        self.tally.running += 1
        tell(charger.reports, connector, "Charging")
        power = self.chance.choice(POWERS)
        wanted_wh = power * 1000 * self.chance.uniform(0.3, 2.5)
        drawn_wh = 0.0
        soc = self.chance.uniform(10, 60)
        reason = "Local"
        while drawn_wh < wanted_wh and not session.ended:
            if self.pace.minutes(1):
                break
            if session.status not in (None, "Accepted"):
                reason = "DeAuthorized"
                break
            now_kw = power * self.chance.uniform(0.92, 1.0)
            drawn_wh += now_kw * 1000 / 60
            if not session.ended:
                charger.registers[connector] = session.meter_start + round(drawn_wh / self.pace.factor)
                self._meters(session, now_kw, min(100.0, soc + 80 * drawn_wh / wanted_wh))
        if not session.ended and not self.pace.over.is_set() and reason == "Local":
            tell(charger.reports, connector, "SuspendedEV")
            self.pace.minutes(self.chance.uniform(2, 20))
        self._parts(session, reason)

    def _meters(self, session: ChargingSession, now_kw: float, soc: float) -> None:
        energy = {
            "value": str(self.charger.registers[session.connector]),
            "measurand": "Energy.Active.Import.Register",
            "unit": "Wh",
        }
        power = {
            "value": f"{now_kw * 1000:.0f}",
            "measurand": "Power.Active.Import",
            "unit": "W",
        }
        charge = {"value": f"{soc:.0f}", "measurand": "SoC", "unit": "Percent", "location": "EV"}
        self.charger.meters(session.connector, session, samples=[energy, power, charge])

    def _parts(self, session: ChargingSession, reason: str, counted: bool = True) -> None:
        charger, connector = self.charger, session.connector
        if not session.ended:  # else a remote stop has seen to it
            charger.stops(session, reason=reason)
            tell(charger.reports, connector, "Finishing")
            self.pace.minutes(self.chance.uniform(0.5, 3))
            tell(charger.reports, connector, "Available")
        self.tally.running -= counted
        self.tally.finished += 1


class FlatLife(Life):
    """A flat charger: one car at a time."""

    def __init__(self, charger: FlatCharger, pace: Pace, tally: Tally, chance: random.Random) -> None:
        super().__init__(charger, pace, tally, chance)
        self.charger = charger
        #: Texts that no earlier run has used: the session's id is unique for its charger.
        self._run = charger.clock.now().strftime("%y%m%d%H%M%S")
        self._count = 0

    def _begins(self) -> None:
        thread = threading.Thread(target=self._cars, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _cars(self) -> None:
        while not self.waits_for_a_car():
            self._count += 1
            session = self.charger.starts(f"TXN-{self._run}-{self._count}")
            self.tally.running += 1
            self.pace.minutes(self.chance.uniform(15, 120))
            self.charger.stops(session)
            self.tally.running -= 1
            self.tally.finished += 1


def tell(verb: Callable[..., Any], *arguments: Any) -> None:
    """Say something that need not arrive; the ledger counts what went wrong."""
    with suppress(ChargerSideError):
        verb(*arguments)
