"""Reading the messages that carry money: StartTransaction, StopTransaction, MeterValues.

They are never refused for their form (see `form`), so these functions take whatever object came and
return what could be read, in the right types, and words for what was odd. No number passes through a
float. A field that cannot be read is absent; a sample without a value is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from ...domain import oddities as odd
from .. import timestamps
from .published import document

#: Watt-hours beyond this do not fit a 64-bit count of milliwatt-hours.
LARGEST_METER: Final = 9 * 10**15
LARGEST_CONNECTOR: Final = 2**31 - 1
#: A status is kept for each connector that reports one, so their number is bounded (they count up from 1).
MOST_CONNECTORS: Final = 1000
LARGEST_TRANSACTION_ID: Final = 2**31 - 1
#: Digits of the longest number that is worth reading; keeps conversions cheap.
_LONGEST_NUMBER = 40
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)

_STOP = document("StopTransaction")["properties"]
_METER = document("MeterValues")["properties"]["meterValue"]["items"]["properties"]
_SAMPLE = _METER["sampledValue"]["items"]["properties"]


def _spellings(words: list[str], **others: str) -> dict[str, str]:
    """Lower-case spelling → the specification's own."""
    return {word.lower(): word for word in words} | others


_REASONS: Final = _spellings(_STOP["reason"]["enum"])
#: Field → (its known words, oddity for others, longest text worth keeping).
_WORDS: Final[dict[str, tuple[dict[str, str], str, int]]] = {
    "context": (_spellings(_SAMPLE["context"]["enum"]), odd.UNKNOWN_CONTEXT, 32),
    "format": (_spellings(_SAMPLE["format"]["enum"]), odd.UNKNOWN_FORMAT, 16),
    "measurand": (_spellings(_SAMPLE["measurand"]["enum"]), odd.UNKNOWN_MEASURAND, 64),
    "phase": (_spellings(_SAMPLE["phase"]["enum"]), odd.UNKNOWN_PHASE, 16),
    "location": (_spellings(_SAMPLE["location"]["enum"]), odd.UNKNOWN_LOCATION, 16),
    # Hertz stands in the MeterValues schema only; frequency has no unit in the specification's text.
    "unit": (
        _spellings(_SAMPLE["unit"]["enum"], celcius="Celsius", hz="Hertz", **{"%": "Percent"}),
        odd.UNKNOWN_UNIT,
        24,
    ),
}


def start_transaction(payload: dict[str, Any], notes: set[str]) -> dict[str, Any]:
    """connectorId int, idTag str (whole), meterStart int | Decimal (Wh), reservationId int, timestamp str."""
    reading = Reading(payload, notes, ("connectorId", "idTag", "meterStart", "reservationId", "timestamp"))
    reading.take("connectorId", connector, required=True)
    reading.take("idTag", tag, required=True)
    reading.take("meterStart", meter, required=True)
    reading.take("timestamp", timestamp, required=True)
    reading.take("reservationId", _whole)
    return reading.result


def stop_transaction(payload: dict[str, Any], notes: set[str]) -> dict[str, Any]:
    """transactionId int, meterStop int | Decimal (Wh), timestamp str, idTag str, reason str, transactionData."""
    reading = Reading(
        payload, notes, ("transactionId", "meterStop", "timestamp", "idTag", "reason", "transactionData")
    )
    reading.take("transactionId", _transaction_id, required=True)
    reading.take("meterStop", meter, required=True)
    reading.take("timestamp", timestamp, required=True)
    reading.take("idTag", tag)
    reading.take("reason", reason)
    reading.take("transactionData", _meter_values)
    return reading.result


def meter_values(payload: dict[str, Any], notes: set[str]) -> dict[str, Any]:
    """connectorId int, transactionId int, meterValue [{timestamp, sampledValue: [{value, …}]}]."""
    reading = Reading(payload, notes, ("connectorId", "transactionId", "meterValue"))
    reading.take("connectorId", connector, required=True)
    reading.take("transactionId", _transaction_id)
    reading.take("meterValue", _meter_values, required=True)
    return reading.result


Reader = Callable[[Any, set[str]], Any]


class Reading:
    """Takes known fields out of a payload, one at a time, and notes what is odd."""

    def __init__(
        self, payload: dict[str, Any], notes: set[str], known: tuple[str, ...] | None = None
    ) -> None:
        """`known`: the fields that the message has; None lets others pass without a word."""
        self.payload = payload
        self.notes = notes
        self.result: dict[str, Any] = {}
        if known is not None and any(key not in known for key in payload):
            notes.add(odd.EXTRA_FIELD)

    def take(self, name: str, read: Reader, *, required: bool = False) -> None:
        value = self.payload.get(name)
        if value is None:
            if name in self.payload:
                self.notes.add(odd.NULL_DROPPED)
            if required:
                self.notes.add(odd.MISSING_FIELD)
            return
        value = read(value, self.notes)
        if value is None:
            self.notes.add(odd.UNREADABLE_FIELD)
        else:
            self.result[name] = value


def _number(value: Any, notes: set[str]) -> int | Decimal | None:
    """A JSON number or a numeric text, exactly; whole values as int. None when it is no number."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
            return None
        notes.add(odd.TEXT_AS_NUMBER)
        value = Decimal(text)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    # The exponent is looked at first: int(Decimal("1e999999")) would fill the memory.
    if value and abs(value.adjusted()) > _LONGEST_NUMBER:
        return None
    return int(value) if value == value.to_integral_value() else value


def _whole(value: Any, notes: set[str]) -> int | None:
    number = _number(value, notes)
    return number if isinstance(number, int) else None


def connector(value: Any, notes: set[str]) -> int | None:
    """A connector's number, 0 and up."""
    number = _whole(value, notes)
    return number if number is not None and 0 <= number <= LARGEST_CONNECTOR else None


def _transaction_id(value: Any, notes: set[str]) -> int | None:
    number = _whole(value, notes)
    if number is not None and not 0 < number <= LARGEST_TRANSACTION_ID:
        notes.add(odd.ODD_TRANSACTION_ID)
    return number


def meter(value: Any, notes: set[str]) -> int | Decimal | None:
    """A register in Wh."""
    number = _number(value, notes)
    if number is None or not -LARGEST_METER <= number <= LARGEST_METER:
        return None
    if isinstance(number, Decimal):
        notes.add(odd.FRACTIONAL_METER)
    return number


def _text(value: Any, notes: set[str]) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    notes.add(odd.NUMBER_AS_TEXT)
    try:
        # A power of ten is written out as long as it stays readable.
        if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _LONGEST_NUMBER:
            return format(value, "f")
        return str(value)
    except ValueError:  # more digits than Python is willing to write
        return None


def tag(value: Any, notes: set[str]) -> str | None:
    """An idTag, whole."""
    text = _text(value, notes)
    if text is not None:
        if len(text) > 20:
            notes.add(odd.OVERLONG_TEXT)
        if not text.strip():
            notes.add(odd.EMPTY_TEXT)
    return text


def timestamp(value: Any, notes: set[str]) -> str | None:
    """A timestamp's text, as it is."""
    text = _text(value, notes)
    if text is not None and timestamps.parse(text) is None:
        notes.add(odd.UNREADABLE_TIMESTAMP)
    return text


def reason(value: Any, notes: set[str]) -> str | None:
    """One of the eleven reasons of section 7.36; any other word is Other."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        return None
    known = _REASONS.get(text.lower())
    if known is None:
        notes.add(odd.UNKNOWN_REASON)
        return "Other"
    if known != value:
        notes.add(odd.RESPELLED)
    return known


def _meter_values(value: Any, notes: set[str]) -> list[dict[str, Any]] | None:
    """The list of meter values; one that stands alone, without its list, is read as a list of one."""
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return None
    read = []
    for item in value:
        if not isinstance(item, dict):
            notes.add(odd.BAD_SAMPLE)
            continue
        reading = Reading(item, notes, ("timestamp", "sampledValue"))
        reading.take("timestamp", timestamp, required=True)
        reading.take("sampledValue", _samples, required=True)
        if reading.result.get("sampledValue"):
            read.append(reading.result)
        else:
            notes.add(odd.EMPTY_METER_VALUE)
    return read


def _samples(value: Any, notes: set[str]) -> list[dict[str, str]] | None:
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return None
    read = []
    for item in value:
        sample = _sample(item, notes)
        if sample is None:
            notes.add(odd.BAD_SAMPLE)
        else:
            read.append(sample)
    return read


def _sample(item: Any, notes: set[str]) -> dict[str, str] | None:
    if not isinstance(item, dict):
        return None
    value = _text(item.get("value"), notes)
    if value is None:
        return None
    stripped = value.strip()
    if stripped != value:
        notes.add(odd.PADDED_TEXT)
    if not stripped:
        # Kept: the charger measured something there, and an unreadable value is not 0.
        notes.add(odd.EMPTY_TEXT)
    sample = {"value": stripped}
    for name, word in item.items():
        if name == "value":
            continue
        known = _WORDS.get(name)
        if known is None:
            notes.add(odd.EXTRA_FIELD)
        elif word is None:
            notes.add(odd.NULL_DROPPED)
        elif isinstance(word, str) and not word.strip():
            notes.add(odd.EMPTY_TEXT)
        else:
            text = _word(word, known, notes) if isinstance(word, str) else None
            if text is not None:
                sample[name] = text
            elif name == "measurand":
                return None  # nobody can say what was measured
            else:
                notes.add(odd.UNREADABLE_FIELD)
    return sample


def _word(word: str, known: tuple[dict[str, str], str, int], notes: set[str]) -> str | None:
    """The word in the specification's spelling, an unknown one as it is; None: too long to keep."""
    words, unknown, longest = known
    stripped = word.strip()
    text = words.get(stripped.lower())
    if text is not None:
        if text != word:
            notes.add(odd.RESPELLED)
        return text
    notes.add(unknown)
    return stripped if len(stripped) <= longest else None
