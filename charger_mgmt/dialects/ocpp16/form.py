"""How the payloads of OCPP 1.6 are checked: tolerances first, then the published schema.

Two kinds of message that a charger sends:

*Money* (StartTransaction, StopTransaction, MeterValues): `MoneyForm` gives what could be read, in the right types
(see `readings`), and never a violation.

*The others* (`OpenForm`): what the meaning survives is taken, and noted as an oddity.

    everywhere         a null is an absent field; 1.0 is the whole number 1; a field too many is left out; an
                       over-long text is kept, up to 255 characters; a number stands for its text, digits for
                       their number, true for "true"; words in other case, with blanks, hyphens or underscores
    BootNotification   chargePointVendor and chargePointModel empty, padded, null or missing (a charger that is
                       refused for them boots for ever)
    StatusNotification an errorCode that is unknown reads as OtherError (its word is `reportedErrorCode`), one that
                       is missing as NoError or, with Faulted, OtherError; a timestamp that names no moment is
                       left out; OCPP 1.5's `Occupied` reads as Preparing; any of the nine statuses on connector 0
    DataTransfer       an object or a list as `data` is kept as its JSON text
    …StatusNotification of firmware, diagnostics and logs: an unknown status is kept as it is

What is special to one message stands in its row of `table`. What cannot be understood is refused with the code that
is due (OCPP-J table 7): no idTag, vendorId, connectorId or status at all, a status of a connector that is no word of
OCPP, a connector below 0 or above 1000.

With `strict` (a setting of the charger) everything is refused that the schema does not allow, except for what
costs more than it teaches: nulls, 1.0; empty, padded or null vendor and model; over-long serial numbers,
firmwareVersion, iccid, imsi, meterType, info and vendorErrorCode, up to 255 characters; a timestamp in any readable
form, or one that looks like a timestamp but names no moment; any status on connector 0.

A charger's answers (`check_response`) are read with every tolerance; what we send (`check_request`,
`response_errors`) is checked to the letter.
"""

from __future__ import annotations

import copy
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple

from ...domain import oddities as odd
from ...ocppj import errors
from ...ocppj.frames import to_text
from ...trees import mapped, without_nulls
from .. import Checked, Violation
from .published import Fault, compiled, document, faults, is_valid
from .readings import LARGEST_CONNECTOR, MOST_CONNECTORS

#: Longest text that is kept where an over-long one is accepted; the width of the columns.
LONGEST_TEXT: Final = 255
#: The longest JSON text that is kept of an object where a text is due.
LONGEST_JSON: Final = 65_536
_CLEAN_TIMESTAMP = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)


def _clean(action: str) -> dict[str, Any]:
    """A schema that only payloads pass which need no reading at all: the fast path of the money messages."""
    schema = copy.deepcopy(document(action))

    def tighten(node: dict[str, Any]) -> None:
        for name, part in node.get("properties", {}).items():
            if part.get("format") == "date-time":
                part["pattern"] = _CLEAN_TIMESTAMP
            elif name in ("connectorId", "transactionId", "reservationId"):
                part |= {"minimum": 0 if name == "connectorId" else 1, "maximum": LARGEST_CONNECTOR}
            elif name in ("meterStart", "meterStop"):
                part |= {"minimum": -(10**15), "maximum": 10**15}
            elif name == "value":
                part["pattern"] = r"^-?\d+(\.\d+)?$"
            elif name == "idTag":
                part["pattern"] = r"\S"
            elif name == "unit":
                part["enum"].remove("Celcius")
            elif name == "sampledValue":
                part["minItems"] = 1
            tighten(part)
        if isinstance(node.get("items"), dict):
            tighten(node["items"])

    tighten(schema)
    return schema


class Open(NamedTuple):
    """A field whose unknown words are kept beside what they read as."""

    reads_as: str
    kept_in: str
    oddity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenForm:
    """A message that is refused when it cannot be understood, and the tolerances of its fields.

    `overlong`: texts of which more than the specification allows is kept even of who is held to the letter.
    `open_words`: fields whose unknown words are kept. `old_words`: words of earlier versions and what they read as.
    `prose`: texts for people or for the maker's software, where an object is kept as its JSON text.
    `defaults`: required fields that may be missing, and what they are then, seen from the payload. `finish`: what
    is left to do with a payload that fits. `schema`: of a message that is not published.
    """

    action: str
    overlong: tuple[str, ...] = ()
    open_words: Mapping[str, Open] = field(default_factory=dict)
    old_words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    prose: tuple[str, ...] = ()
    defaults: Mapping[str, Callable[[dict[str, Any]], str]] = field(default_factory=dict)
    #: Required texts of which a null is as good as an empty one.
    may_be_null: tuple[str, ...] = ()
    finish: Callable[[dict[str, Any], set[str], bool], Checked] | None = None
    schema: Mapping[str, Any] | None = None
    _validator: Any = field(init=False)
    _fields: Mapping[str, Any] = field(init=False)
    _needs_nothing: bool = field(init=False)

    def __post_init__(self) -> None:
        schema = self._relaxed()
        object.__setattr__(self, "_validator", compiled(schema, formats=False))
        object.__setattr__(self, "_fields", schema["properties"])
        object.__setattr__(self, "_needs_nothing", not schema.get("required"))

    def _relaxed(self) -> dict[str, Any]:
        """The schema, without the length limits that we do not insist on; connectors from 0 up."""
        schema = copy.deepcopy(dict(self.schema or document(self.action)))
        schema.setdefault("properties", {})
        for name in self.overlong:
            schema["properties"][name]["maxLength"] = LONGEST_TEXT
        if (connector := schema["properties"].get("connectorId")) is not None:
            connector |= {"minimum": 0, "maximum": MOST_CONNECTORS}
        return schema

    def check(self, payload: Any, *, strict: bool) -> Checked:
        if payload is None or payload == {}:
            if self._needs_nothing:
                return _EMPTY
            payload = {}
        if type(payload) is not dict:
            return Checked({}, (), Violation(errors.FORMATION_VIOLATION, "the payload must be an object"))
        notes: set[str] = set()
        if None in payload.values():
            notes.add(odd.NULL_DROPPED)
            payload = {
                name: "" if value is None else value
                for name, value in payload.items()
                if value is not None or name in self.may_be_null
            }
        payload = self._bounded(payload)
        connector = payload.get("connectorId")
        if isinstance(connector, Decimal) and 0 <= connector <= LARGEST_CONNECTOR and connector % 1 == 0:
            payload = payload | {"connectorId": int(connector)}
        words: dict[str, str] = {}
        if not is_valid(self._validator, payload):
            found = faults(self._validator, payload)
            if not strict:
                payload, words, found = self._mended(payload, found, notes)
            if found:
                return Checked(payload, sorted_notes(notes), found[0].violation())
        if self.finish is not None:
            checked = self.finish(payload, notes, strict)
            return Checked(checked.payload | words, checked.oddities, checked.violation)
        return Checked(payload | words, sorted_notes(notes))

    def _bounded(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload without what the schema would look at a hundred thousand times to say the same.

        These messages have no field that is a list or an object: prose aside (its text is kept), an empty one is
        as wrong as a long one. Of fields too many one is enough to be one too many.
        """
        result: dict[str, Any] = {}
        surplus = 0
        for name, value in payload.items():
            if name not in self._fields:
                surplus += 1
                if surplus > 1:
                    continue
                value = True
            elif isinstance(value, dict | list) and name not in self.prose:
                value = type(value)()
            result[name] = value
        return result

    def _mended(
        self, payload: dict[str, Any], found: list[Fault], notes: set[str]
    ) -> tuple[dict[str, Any], dict[str, str], list[Fault]]:
        """The payload with its faults put right as far as its meaning survives; words to keep; the faults left."""
        payload = dict(payload)
        words: dict[str, str] = {}
        for _ in range(3):  # a number that becomes a text may turn out to be no known word
            for fault in found:
                words |= self._mend(payload, fault, notes)
            found = [fault for fault in faults(self._validator, payload) if fault.keyword != "maxLength"]
            if not found:
                break
        return payload, words, found

    def _mend(self, payload: dict[str, Any], fault: Fault, notes: set[str]) -> dict[str, str]:
        """Put one fault of a charger's call right in place, if it can be; returns words to keep beside it."""
        if len(fault.path) != 1 or type(fault.path[0]) is not str:
            return {}
        name = fault.path[0]
        value = payload.get(name)
        match fault.keyword:
            case "additionalProperties":
                del payload[name]
                notes.add(odd.EXTRA_FIELD)
            case "maxLength":
                payload[name] = payload[name][:LONGEST_TEXT]
                notes.add(odd.OVERLONG_TEXT)
            case "required" if name in self.defaults:
                payload[name] = self.defaults[name](payload)
                notes.add(odd.MISSING_FIELD)
            case "type":
                if isinstance(value, dict | list) and name in self.prose:
                    payload[name] = to_text(value)[:LONGEST_JSON]
                    notes.add(odd.OBJECT_AS_TEXT)
                elif (other := _as_due(value, fault.arguments["types"], notes)) is not None:
                    payload[name] = other
                elif name in self.defaults or name not in self._required:
                    del payload[name]  # what it needs is filled in when it is found missing
                    notes.add(odd.UNREADABLE_FIELD)
            case "enum" if isinstance(value, str):
                return self._known_word(payload, name, fault.arguments["options"], notes)
        return {}

    @property
    def _required(self) -> tuple[str, ...]:
        return tuple((self.schema or document(self.action)).get("required", ()))

    def _known_word(
        self, payload: dict[str, Any], name: str, options: list[Any], notes: set[str]
    ) -> dict[str, str]:
        value = payload[name]
        known = next((option for option in options if bare(option) == bare(value)), None)
        if known is not None:
            payload[name] = known
            notes.add(odd.RESPELLED)
        elif (open_word := self.open_words.get(name)) is not None:
            payload[name] = open_word.reads_as
            notes.add(open_word.oddity)
            return {open_word.kept_in: value.strip()[:LONGEST_TEXT]}
        elif (old := self.old_words.get(name, {}).get(bare(value))) is not None:
            payload[name] = old
            notes.add(odd.STATUS_OF_1_5)
        return {}


@dataclass(frozen=True, slots=True)
class MoneyForm:
    """A message that carries money: whatever can be read of it, and never a violation."""

    action: str
    read: Callable[[Any, set[str]], dict[str, Any]]
    _validator: Any = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_validator", compiled(_clean(self.action), formats=False))

    def check(self, payload: Any, *, strict: bool) -> Checked:
        if payload is None:
            payload = {}
        if type(payload) is not dict:
            return Checked({}, (odd.UNREADABLE_FIELD,))
        with suppress(ValueError, RecursionError, OverflowError):  # for what the validator cannot take in
            if self._validator.is_valid(payload):
                return Checked(payload)
        notes: set[str] = set()
        return Checked(self.read(payload, notes), sorted_notes(notes))


_EMPTY: Final = Checked({})


@cache
def _letter(name: str) -> Any:
    """A published schema with its formats."""
    return compiled(document(name), formats=True)


@cache
def _their_answer(action: str) -> Any:
    return compiled(document(f"{action}Response"), formats=False)


def check_request(action: str, payload: Any) -> list[tuple[str, str]]:
    """A call of ours, to the letter: (JSON pointer, message) of each fault; [] when it may be sent."""
    return _pointed(faults(_letter(action), payload))


def response_errors(action: str, payload: Any) -> list[tuple[str, str]]:
    """An answer of ours to a charger's call, to the letter: (JSON pointer, message); [] = valid."""
    return _pointed(faults(_letter(f"{action}Response"), payload))


def check_response(action: str, payload: Any) -> Checked:
    """A charger's CALLRESULT to a call of ours, with every tolerance. Never raises.

    Over-long texts and unknown fields stay; nulls are absent; numbers and texts are converted where the
    other is due; words are put into the specification's spelling. Numbers with a fraction are floats
    here: no answer carries money. A violation means that the answer does not say what was asked.
    """
    if type(payload) is not dict:
        return Checked({}, (), Violation(errors.FORMATION_VIOLATION, "the payload must be an object"))
    validator = _their_answer(action)
    notes: set[str] = set()
    payload = _plain(payload, notes)
    if is_valid(validator, payload):
        return Checked(payload, sorted_notes(notes))
    if not _is_short(payload):
        return Checked(
            payload, (), Violation(errors.FORMATION_VIOLATION, "the payload is too long to be mended")
        )
    for fault in faults(validator, payload, most=10_000):
        _mend(payload, fault, notes)
    left = [fault for fault in faults(validator, payload) if fault.keyword not in _HARMLESS]
    return Checked(payload, sorted_notes(notes), left[0].violation() if left else None)


def bare(word: str) -> str:
    """A word without what spellings differ in: case, blanks, hyphens, underscores."""
    return re.sub(r"[\s_-]+", "", word).casefold()


def _as_due(value: Any, types: list[str], notes: set[str]) -> Any:
    """A value as the JSON type that is due, or None. true is no number, and no number is a name for nothing."""
    if "string" in types:
        return _converted(_plain(value, notes), types, notes) if not isinstance(value, str) else None
    return None if isinstance(value, bool) else _converted(value, types, notes)


def _plain(value: Any, notes: set[str]) -> Any:
    """The same value without nulls in its objects, and with ints and floats instead of Decimals."""

    def noted(tree: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
        if None in tree.values():
            notes.add(odd.NULL_DROPPED)
        return without_nulls(tree)

    return mapped(value, _plain_leaf, noted, deepest=10)


def _plain_leaf(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    if value.adjusted() > 18:
        return str(value)  # beyond what JSON's readers keep
    return int(value) if value == value.to_integral_value() else float(value)


def _is_short(value: Any, most: int = 5000) -> bool:
    """Whether a JSON tree has at most so many parts."""
    parts = deque([value])
    count = 0
    while parts and count <= most:
        part = parts.popleft()
        if isinstance(part, dict | list):
            count += len(part)
            parts.extend(islice(part.values() if isinstance(part, dict) else part, most))
    return count <= most


#: Faults of an answer that stay as they are.
_HARMLESS: Final = {"maxLength": odd.OVERLONG_TEXT, "additionalProperties": odd.EXTRA_FIELD}


def _mend(payload: dict[str, Any], fault: Fault, notes: set[str]) -> None:
    """Put one fault of a charger's answer right in place, if it can be."""
    if fault.keyword in _HARMLESS:
        notes.add(_HARMLESS[fault.keyword])
        return
    if not fault.path:
        return
    parent, name = _parent(payload, fault.path), fault.path[-1]
    if fault.keyword == "required":
        # A configuration key without "readonly" may be written, as far as we know.
        if name == "readonly":
            parent[name] = False
            notes.add(odd.MISSING_FIELD)
        return
    other = None
    if fault.keyword == "enum":
        other = _respelled(parent[name], fault.arguments["options"])
        if other is not None:
            notes.add(odd.RESPELLED)
    elif fault.keyword == "type":
        other = _converted(parent[name], fault.arguments["types"], notes)
    if other is not None:
        parent[name] = other


def _parent(payload: Any, path: tuple[str | int, ...]) -> Any:
    for step in path[:-1]:
        payload = payload[step]
    return payload


def _respelled(value: Any, options: list[Any]) -> str | None:
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    return next((option for option in options if option.lower() == text), None)


def _converted(value: Any, types: list[str], notes: set[str]) -> Any:
    """`value` as one of the JSON types that are due, or None."""
    if "string" in types and isinstance(value, bool):
        notes.add(odd.NUMBER_AS_TEXT)
        return "true" if value else "false"
    if "string" in types and isinstance(value, int | float):
        notes.add(odd.NUMBER_AS_TEXT)
        return repr(value)
    if not isinstance(value, str):
        return bool(value) if "boolean" in types and value in (0, 1) else None
    text = value.strip().lower()
    if "boolean" in types and text in ("true", "false"):
        notes.add(odd.TEXT_AS_NUMBER)
        return text == "true"
    if ("integer" in types or "number" in types) and re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        notes.add(odd.TEXT_AS_NUMBER)
        return int(text)
    if "number" in types and re.fullmatch(r"-?\d{1,18}\.\d{1,18}", text, re.ASCII):
        notes.add(odd.TEXT_AS_NUMBER)
        return float(text)
    return None


def _pointed(found: list[Fault]) -> list[tuple[str, str]]:
    """One line for each field: what has the wrong type need not hear that it is no known word either."""
    lines: dict[str, str] = {}
    for fault in found:
        lines.setdefault(fault.pointer, fault.message)
    return list(lines.items())


def sorted_notes(notes: set[str]) -> tuple[str, ...]:
    return tuple(sorted(notes)) if notes else ()
