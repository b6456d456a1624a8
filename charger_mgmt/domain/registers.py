"""A session's energy register: which of a charger's values is it, and do its readings agree?

Chargers send several registers side by side: a total and its phases, the outlet's and their own supply's
(Inlet), the reading of the session's begin repeated with each new one. One of them is the session's:

    Inlet            never: it is the charger's own supply
    a total          before phases; the outlet's before that of another place
    L1, L2, L3       together, without a total: their sum (the session is flagged)
    one phase alone  the register, with a label that means nothing

Readings are whole milliwatt-hours (mWh).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .samples import REGISTER, Sample
from .transactions import (
    ENERGY_IMPLAUSIBLE,
    GAP,
    LONGEST_GAP,
    METER_DOUBTFUL,
    MOST_WATTS,
    NO_METER_START,
    PHASES_SUMMED,
    REGISTER_WENT_BACK,
    believed,
)

#: Where in a session a reading belongs; at one moment the later one counts.
BEGIN, ORDINARY, END = range(3)
_ORDERS = {"Transaction.Begin": BEGIN, "Transaction.End": END}
_PLACES = ("Outlet", "Cable", "Body", "EV")
_SUM = "L1+L2+L3"
#: Rounding to whole kilowatt-hours is no contradiction.
ROUNDING_MWH = 1_000_000
#: Timestamps are cut to seconds, and a reading is a little younger than its time.
_SLACK = timedelta(seconds=5)
_SLACK_MWH = 2_000_000
#: A meterStart of 0 is often no reading at all; then this is much for what came before the first sample.
MUCH_WATTS = 400_000


class Reading(NamedTuple):
    """One reading of the register. `source` None: the outlet's total; else the text that tells which one."""

    moment: datetime
    order: int
    mwh: int
    source: str | None
    #: The time is the charger's own and can be believed.
    believed: bool


class Course(NamedTuple):
    """What is known of a session's register after some readings."""

    start_mwh: int | None
    last_mwh: int | None
    last_at: datetime | None
    source: str | None
    flags: frozenset[str]
    #: The last reading with context Transaction.End.
    end_mwh: int | None = None


def readings(samples: Iterable[Sample], received_at: datetime, behind: timedelta) -> list[Reading]:
    """The register's readings among a message's samples, one for each moment and place in the session."""
    groups: dict[tuple[datetime | None, int], list[tuple[Sample, int]]] = {}
    for sample in samples:
        if sample.measurand == REGISTER and (mwh := sample.register_mwh()) is not None:
            key = (sample.timestamp, _ORDERS.get(sample.context, ORDINARY))
            groups.setdefault(key, []).append((sample, mwh))
    found = []
    for (timestamp, order), group in groups.items():
        chosen = _choose(group)
        if chosen is not None:
            known = believed(timestamp, received_at, behind)
            moment = timestamp if known and timestamp is not None else received_at
            found.append(Reading(moment, order, *chosen, known))
    return found


def _choose(group: Sequence[tuple[Sample, int]]) -> tuple[int, str | None] | None:
    """(mWh, source) of the register among values of one moment; None: it cannot be told which it is."""
    if len(group) == 1:
        sample, mwh = group[0]
        return mwh, _source(sample.phase, sample.location)
    nearest = sorted(group, key=lambda pair: _place(pair[0].location))
    totals = [(sample, mwh) for sample, mwh in nearest if sample.phase is None]
    candidates = totals or nearest
    place = candidates[0][0].location
    here = [(sample, mwh) for sample, mwh in candidates if sample.location == place]
    if totals:
        return max(mwh for _, mwh in here), _source(None, place)
    phases: dict[str, int] = {}
    for sample, mwh in here:
        label = (sample.phase or "").removesuffix("-N")
        phases[label] = max(mwh, phases.get(label, mwh))
    if {"L1", "L2", "L3"} <= phases.keys():
        return phases["L1"] + phases["L2"] + phases["L3"], _source(_SUM, place)
    if len(phases) == 1:
        (mwh,) = phases.values()
        return mwh, _source(here[0][0].phase, place)
    return None


def _place(location: str) -> int:
    return _PLACES.index(location) if location in _PLACES else len(_PLACES)


def _source(phase: str | None, location: str) -> str | None:
    return None if phase is None and location == "Outlet" else f"{phase or 'total'} {location}"


def _rank(source: str | None) -> int:
    """How sure it is that this register is the session's; 0 is best."""
    if source is None:
        return 0
    if source.startswith("total "):
        return 1
    return 2 if source.startswith(_SUM) else 3


def follow(session: Any, values: Iterable[Reading]) -> Course:
    """The register's course when these readings are added to what is known of a session.

    `session` has meter_start_mwh, meter_last_mwh, meter_last_at, meter_source and effective_start. The flags
    are new ones only.
    """
    start, source = session.meter_start_mwh, session.meter_source
    last, at = session.meter_last_mwh, session.meter_last_at
    flags: set[str] = set()
    end = None
    for reading in sorted(values, key=lambda r: (r.moment, r.order, r.mwh)):
        if reading.order == BEGIN:
            if start is None:
                start = reading.mwh
            elif abs(reading.mwh - start) > ROUNDING_MWH:
                flags.add(METER_DOUBTFUL)
            continue
        if at is not None and (
            reading.moment < at or (reading.moment == at and _adds_nothing(reading, last))
        ):
            continue
        if last is not None and reading.source != source:
            if _rank(reading.source) == _rank(source):
                flags.add(METER_DOUBTFUL)  # one phase now, another then: neither is the whole
            if _rank(reading.source) >= _rank(source):
                continue
            last = None  # a better one: it continues the start, not the other register
        if last is None:
            flags |= _first_step(session.effective_start, start, reading)
        elif at is not None:
            flags |= step(at, last, reading.moment, reading.mwh, known=reading.believed)
        if at is not None and reading.moment - at > LONGEST_GAP:
            flags.add(GAP)
        if _rank(reading.source) == 2:
            flags.add(PHASES_SUMMED)
        at, last, source = reading.moment, reading.mwh, reading.source
        if reading.order == END:
            end = reading.mwh
    return Course(start, last, at, source, frozenset(flags), end)


def _adds_nothing(reading: Reading, last: int | None) -> bool:
    """At the time of the last reading only an End, or a higher one, is news."""
    return reading.order != END and last is not None and reading.mwh <= last


def _first_step(began: datetime, start: int | None, reading: Reading) -> set[str]:
    """What is odd about the first reading, seen from the start's."""
    if start is None:
        return set()
    flags = step(began, start, reading.moment, reading.mwh, known=reading.believed)
    much = not start and step(began, 0, reading.moment, reading.mwh, known=reading.believed, most=MUCH_WATTS)
    return flags | {METER_DOUBTFUL} if flags or much else flags


def step(
    before_at: datetime,
    before: int,
    at: datetime,
    mwh: int,
    *,
    known: bool,
    most: int = MOST_WATTS,
    rounding: int = 0,
) -> set[str]:
    """What is odd about two neighbouring readings; `known`: how much time lies between them is known."""
    delta = mwh - before
    if delta < -rounding:
        return {REGISTER_WENT_BACK}
    seconds = max(at - before_at, timedelta()) + _SLACK
    if known and delta > most * seconds.total_seconds() * 1000 / 3600 + _SLACK_MWH:
        return {ENERGY_IMPLAUSIBLE}
    return set()


def settled(flags: str, course: Course) -> set[str]:
    """A session's flags after this course: a start that was missing may have been found."""
    kept = set(flags.split()) | course.flags
    return kept if course.start_mwh is None else kept - {NO_METER_START}
