"""A session's life: which start is which, what counts as its time, what it is worth.

Energy is a whole number of milliwatt-hours (mWh); times are aware UTC.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from .keys import key

IN_PROGRESS = "In Progress"
COMPLETED = "Completed"
INTERRUPTED = "Interrupted"

# What looked odd about a session; several may stand together.
CLOCK = "clock-implausible"  # the charger's time could not be believed; the time of receipt counts
REGISTER_WENT_BACK = "register-went-back"  # the meter showed less than before
NO_METER_START = "no-meter-start"  # the start carried no reading: the energy cannot be known
NO_METER_STOP = "no-meter-stop"  # the stop carried no reading: the last sample counts
ENERGY_IMPLAUSIBLE = "energy-implausible"  # more than any charger can deliver in that time
GAP = "gap"  # more than an hour without a sample in a session that has samples
SUPERSEDED = "superseded"  # another session began on its connector before its stop came
OVERLAPS = "overlaps"  # began while a later session was open on its connector
SUSPECT = "available-while-open"  # its connector reports Available: the stop may be lost
CONFLICTING_STOP = "conflicting-stop"  # a second stop said something else; the first one counts
STOP_BEFORE_START = "stop-before-start"
RECONCILED = "reconciled"  # its stop carried no usable transactionId; matched by tag, meter and time
CLOSED_BY_OPERATOR = "closed-by-operator"
FORM = "form"  # a field was missing or unreadable
METER_DOUBTFUL = "meter-doubtful"  # the readings contradict each other or the meterStart
PHASES_SUMMED = "phases-summed"  # the register is the sum of three phases, for there was no total
OLD = "old"  # came more than a month after its own time: an offline queue, or a clock that is behind
NO_SIGN = "no-sign"  # open for long without a sample, and its connector does not charge: the charger may have lost it
POISON = "poison"  # the start could not be stored as it came; the raw message is in the inbox

#: What makes the energy of a session unsure.
UNSURE = {
    REGISTER_WENT_BACK,
    ENERGY_IMPLAUSIBLE,
    METER_DOUBTFUL,
    PHASES_SUMMED,
    CONFLICTING_STOP,
    NO_METER_STOP,
}

#: A charger's clock may be this far ahead of ours and still be believed.
AHEAD = timedelta(minutes=10)
#: The oldest message that an offline queue is believed to hold; a setting, this is its default.
BEHIND = timedelta(days=5 * 365 + 2)
#: Older than this is believed, but worth a look.
LATE = timedelta(days=31)
#: The longest silence of the meter that is not flagged.
LONGEST_GAP = timedelta(hours=1)
#: No charger delivers more than this.
MOST_WATTS = 1_500_000
LARGEST_MWH = 2**63 - 1


def believed(moment: datetime | None, received_at: datetime, behind: timedelta) -> bool:
    """Whether a charger's time can be believed, given when we heard it and how late that may have been."""
    return moment is not None and received_at - behind <= moment <= received_at + AHEAD


def start_key(
    charger_id: int,
    connector_id: int | None,
    id_tag: str,
    timestamp: datetime | str | None,
    meter_start: Decimal | int | None,
) -> bytes:
    """What makes two StartTransactions the same one, whatever their message ids.

    `timestamp` is the instant, or the raw text where it could not be read.
    """
    meter = None if meter_start is None else _plain(meter_start)
    return key("start", charger_id, connector_id, id_tag.strip().casefold(), timestamp, meter)


def milliwatt_hours(watt_hours: Decimal | int | str | None) -> int | None:
    """A reading in Wh as whole mWh; None when it is absent or beyond what can be stored."""
    if watt_hours is None:
        return None
    if type(watt_hours) is int:
        return _storable(watt_hours * 1000)
    try:
        reading = Decimal(watt_hours)
    except (InvalidOperation, ValueError):
        return None
    if not reading.is_finite() or reading.adjusted() > 18:
        return None
    return _storable(int((reading * 1000).to_integral_value()))


def _storable(mwh: int) -> int | None:
    return mwh if abs(mwh) <= LARGEST_MWH else None


def energy(
    start_mwh: int | None, stop_mwh: int | None, duration: timedelta | None
) -> tuple[int | None, set[str]]:
    """What a session delivered, in mWh, and what is odd about it. Never negative, never guessed."""
    if start_mwh is None or stop_mwh is None:
        return None, {NO_METER_START} if start_mwh is None else set()
    delivered = stop_mwh - start_mwh
    if delivered < 0:
        return None, {REGISTER_WENT_BACK}
    if delivered > LARGEST_MWH:  # two readings that can each be stored, a difference that cannot
        return None, {ENERGY_IMPLAUSIBLE}
    if duration is not None:
        seconds = max(duration.total_seconds(), 0) + 60
        if delivered > MOST_WATTS * seconds * 1000 / 3600:
            return delivered, {ENERGY_IMPLAUSIBLE}
    return delivered, set()


def join_flags(*groups: str | set[str]) -> str:
    """The flags of a session as one column: sorted, each once, space-separated."""
    found: set[str] = set()
    for group in groups:
        found |= set(group.split()) if isinstance(group, str) else group
    return " ".join(sorted(found))


def _plain(number: Decimal | int) -> str:
    """1500, 1500.0 and 1.5E3 are the same reading."""
    if type(number) is int and abs(number) < 10**19:
        return str(number)
    reading = Decimal(number)
    if not reading.is_finite() or abs(reading.adjusted()) > 18:
        return str(reading)
    return format(reading.normalize(), "f")
