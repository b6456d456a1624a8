"""Timestamps on the wire: tolerant in what is read, one plain form in what is written.

Section 3.14 and 3.15 of the specification: ISO 8601, any offset, fractions allowed, UTC preferred.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

#: What chargers write for a moment: date, time to the minute at least, a fraction of any length after
#: a point or comma, and an offset as Z, +hh, +hhmm, +hh:mm or none. Separators T, t, _ or blanks.
_MOMENT = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt_]|\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d*))?)?"
    r"\s*(?:[Zz]|(?:UTC|GMT)|([+-])(\d{2}):?(\d{2})?(?::\d{2})?)?\s*",
    re.ASCII,
)
_LONGEST = 64


def parse(text: Any) -> datetime | None:
    """The moment that a charger's text names, as an aware datetime in UTC; None when it names none.

    A naive text counts as UTC; digits after the millisecond are cut off, for that is what is stored and
    compared; a leap second is read as the 59th. A date without a time names no moment. Never raises,
    whatever `text` is.
    """
    if not isinstance(text, str):
        return None
    # The usual forms, without the regular expression: "2025-03-30T12:00:00Z", a fraction, an offset.
    length = len(text)
    if 19 <= length <= 40 and text[10] == "T" and text[16] == ":":
        try:
            moment = datetime.fromisoformat(text)
            if moment.microsecond:
                moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
            if moment.tzinfo is UTC:
                return moment
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    if length > _LONGEST:
        return None
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59) if second == "60" else int(second or 0),
            int((fraction or "0")[:3].ljust(3, "0")) * 1000,
            tzinfo=UTC,
        )
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes or 0))
            moment = moment.replace(tzinfo=timezone(offset if sign == "+" else -offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment


def format(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`: the one form that every charger reads (some choke on fractions).

    A naive `moment` is taken as UTC; fractions of a second are cut off.
    """
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return (
        f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
        f"T{moment.hour:02}:{moment.minute:02}:{moment.second:02}Z"
    )
