"""What a payload must look like: tolerances first, then the published schema.

Two kinds of message that a charger sends:

*Money* (`NEVER_REFUSED`: StartTransaction, StopTransaction, MeterValues). `check` returns what could be
read, in the right types (see `readings`), and never a violation.

*The others*: what the meaning survives is taken, and noted as an oddity.

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

What cannot be understood is refused with the code that is due (OCPP-J table 7): no idTag, vendorId, connectorId or
status at all, a status of a connector that is no word of OCPP, a connector below 0 or above 1000.

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
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from . import errors, timestamps
from . import oddities as odd
from .actions import FROM_CENTRAL_SYSTEM, FROM_CHARGER, KNOWN, NEVER_REFUSED
from .frames import to_text
from .published import Fault, Violation, compiled, document, faults, is_valid
from .readings import LARGEST_CONNECTOR, MOST_CONNECTORS, READERS

__all__ = ["Checked", "Violation", "check", "check_request", "check_response", "response_errors"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A payload that was read: what it holds, what was odd about it (`oddities`), what is wrong with it.

    `violation` None: it may be processed.
    """

    payload: dict[str, Any]
    oddities: tuple[str, ...] = ()
    violation: Violation | None = None


#: Longest text that is kept where an over-long one is accepted; the width of the columns.
LONGEST_TEXT: Final = 255
#: The longest JSON text that is kept of an object where a text is due.
LONGEST_JSON: Final = 65_536
_OVERLONG: Final = {
    "BootNotification": (
        "chargePointSerialNumber",
        "chargeBoxSerialNumber",
        "firmwareVersion",
        "iccid",
        "imsi",
        "meterType",
        "meterSerialNumber",
    ),
    "StatusNotification": ("info", "vendorErrorCode"),
}
_TIMESTAMP_LIKE = re.compile(r"\s*\d{1,4}-\d{1,2}-\d{1,2}", re.ASCII)
_CLEAN_TIMESTAMP = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)


def _relaxed(action: str) -> dict[str, Any]:
    """The published schema, without the length limits that we do not insist on; connectors from 0 up."""
    schema = copy.deepcopy(document(action))
    for name in _OVERLONG.get(action, ()):
        schema["properties"][name]["maxLength"] = LONGEST_TEXT
    connector = schema["properties"].get("connectorId")
    if connector is not None:
        most = LARGEST_CONNECTOR if action in NEVER_REFUSED else MOST_CONNECTORS
        connector |= {"minimum": 0, "maximum": most}
    return schema


def _clean(action: str) -> dict[str, Any]:
    """A schema that only payloads pass which need no reading at all: the fast path of the money messages."""
    schema = copy.deepcopy(document(action))

    def tighten(node: dict[str, Any]) -> None:
        for name, field in node.get("properties", {}).items():
            if field.get("format") == "date-time":
                field["pattern"] = _CLEAN_TIMESTAMP
            elif name in ("connectorId", "transactionId", "reservationId"):
                field |= {"minimum": 0 if name == "connectorId" else 1, "maximum": LARGEST_CONNECTOR}
            elif name in ("meterStart", "meterStop"):
                field |= {"minimum": -(10**15), "maximum": 10**15}
            elif name == "value":
                field["pattern"] = r"^-?\d+(\.\d+)?$"
            elif name == "idTag":
                field["pattern"] = r"\S"
            elif name == "unit":
                field["enum"].remove("Celcius")
            elif name == "sampledValue":
                field["minItems"] = 1
            tighten(field)
        if isinstance(node.get("items"), dict):
            tighten(node["items"])

    tighten(schema)
    return schema


_RELAXED: Final = {name: compiled(_relaxed(name), formats=False) for name in FROM_CHARGER}
_CLEAN: Final = {name: compiled(_clean(name), formats=False) for name in NEVER_REFUSED}
_OURS: Final = {name: compiled(document(name), formats=True) for name in FROM_CENTRAL_SYSTEM}
_OUR_ANSWERS: Final = {name: compiled(document(f"{name}Response"), formats=True) for name in FROM_CHARGER}
_THEIR_ANSWERS: Final = {
    name: compiled(document(f"{name}Response"), formats=False) for name in FROM_CENTRAL_SYSTEM
}


def check(action: str, payload: Any, *, strict: bool = False) -> Checked:
    """A charger's CALL: what may be processed, and the error code that is due otherwise. Never raises.

    An action that OCPP 1.6 does not know is NotImplemented, one that we do not serve NotSupported.
    """
    if action == "Heartbeat" and payload == {}:
        return Checked({})
    if action not in FROM_CHARGER:
        if action in KNOWN:
            return Checked({}, (), Violation(errors.NOT_SUPPORTED, f"{action} is not supported here"))
        return Checked(
            {}, (), Violation(errors.NOT_IMPLEMENTED, f"{action[:64]} is not an action of OCPP 1.6")
        )
    if payload is None:
        payload = {}
    if action in NEVER_REFUSED:
        return _money(action, payload)
    if type(payload) is not dict:
        return Checked({}, (), Violation(errors.FORMATION_VIOLATION, "the payload must be an object"))
    return _other(action, payload, strict)


def check_request(action: str, payload: Any) -> list[tuple[str, str]]:
    """A call of ours, to the letter: (JSON pointer, message) of each fault; [] when it may be sent."""
    validator = _OURS.get(action)
    if validator is None:
        return [("", f"{action} is not a call that the central system sends")]
    return _pointed(faults(validator, payload))


def response_errors(action: str, payload: Any) -> list[tuple[str, str]]:
    """An answer of ours to a charger's call, to the letter: (JSON pointer, message); [] = valid."""
    return _pointed(faults(_OUR_ANSWERS[action], payload))


def check_response(action: str, payload: Any) -> Checked:
    """A charger's CALLRESULT to a call of ours, with every tolerance. Never raises.

    Over-long texts and unknown fields stay; nulls are absent; numbers and texts are converted where the
    other is due; words are put into the specification's spelling. Numbers with a fraction are floats
    here: no answer carries money. A violation means that the answer does not say what was asked.
    """
    if type(payload) is not dict:
        return Checked({}, (), Violation(errors.FORMATION_VIOLATION, "the payload must be an object"))
    validator = _THEIR_ANSWERS.get(action)
    notes: set[str] = set()
    payload = _plain(payload, notes)
    if validator is None or is_valid(validator, payload):
        return Checked(payload, _sorted(notes))
    if not _is_short(payload):
        return Checked(
            payload, (), Violation(errors.FORMATION_VIOLATION, "the payload is too long to be mended")
        )
    for fault in faults(validator, payload, most=10_000):
        _mend(payload, fault, notes)
    left = [fault for fault in faults(validator, payload) if fault.keyword not in _HARMLESS]
    return Checked(payload, _sorted(notes), left[0].violation() if left else None)


def _money(action: str, payload: Any) -> Checked:
    if type(payload) is not dict:
        return Checked({}, (odd.UNREADABLE_FIELD,))
    if is_valid(_CLEAN[action], payload):
        return Checked(payload)
    notes: set[str] = set()
    return Checked(READERS[action](payload, notes), _sorted(notes))


def _other(action: str, payload: dict, strict: bool) -> Checked:
    notes: set[str] = set()
    if None in payload.values():
        notes.add(odd.NULL_DROPPED)
        names = ("chargePointVendor", "chargePointModel") if action == "BootNotification" else ()
        payload = {
            name: "" if value is None else value
            for name, value in payload.items()
            if value is not None or name in names
        }
    payload = _bounded(action, payload)
    connector = payload.get("connectorId")
    if isinstance(connector, Decimal) and 0 <= connector <= LARGEST_CONNECTOR and connector % 1 == 0:
        payload = payload | {"connectorId": int(connector)}
    words: dict[str, str] = {}
    if not is_valid(_RELAXED[action], payload):
        found = faults(_RELAXED[action], payload)
        if not strict:
            payload, words, found = _mended(action, payload, found, notes)
        if found:
            return Checked(payload, _sorted(notes), found[0].violation())
    if action == "BootNotification":
        payload = _boot(payload, notes)
    elif action == "StatusNotification":
        checked = _status(payload, notes, strict)
        return Checked(checked.payload | words, checked.oddities, checked.violation)
    return Checked(payload | words, _sorted(notes))


def _bounded(action: str, payload: dict) -> dict:
    """The payload without what the schema would look at a hundred thousand times to say the same.

    These messages have no field that is a list or an object: prose aside (its text is kept), an empty one is as
    wrong as a long one. Of fields too many one is enough to be one too many.
    """
    known = document(action)["properties"]
    result: dict[str, Any] = {}
    surplus = 0
    for name, value in payload.items():
        if name not in known:
            surplus += 1
            if surplus > 1:
                continue
            value = True
        elif isinstance(value, dict | list) and (action, name) not in _PROSE:
            value = type(value)()
        result[name] = value
    return result


#: Fields whose unknown words are kept beside what they read as: (action, field) → (reads as, kept in, oddity).
_OPEN_WORDS: Final = {
    ("StatusNotification", "errorCode"): ("OtherError", "reportedErrorCode", odd.UNKNOWN_ERROR_CODE),
    ("DiagnosticsStatusNotification", "status"): ("Idle", "status", odd.UNKNOWN_STATUS),
    ("FirmwareStatusNotification", "status"): ("Idle", "status", odd.UNKNOWN_STATUS),
    ("LogStatusNotification", "status"): ("Idle", "status", odd.UNKNOWN_STATUS),
    ("SignedFirmwareStatusNotification", "status"): ("Idle", "status", odd.UNKNOWN_STATUS),
}
#: Texts for people or for software of the maker's: an object in their place is kept as its JSON text.
_PROSE: Final = {
    ("DataTransfer", "data"),
    ("SecurityEventNotification", "techInfo"),
    ("StatusNotification", "info"),
}
#: What OCPP 1.5 had another word for.
_OLD_STATUSES: Final = {"occupied": "Preparing"}
#: Required fields that may be missing all the same; errorCode has a default of its own.
_MAY_BE_MISSING: Final = {
    "BootNotification": ("chargePointVendor", "chargePointModel"),
    "SecurityEventNotification": ("timestamp",),
}


def _mended(
    action: str, payload: dict, found: list[Fault], notes: set[str]
) -> tuple[dict, dict[str, str], list[Fault]]:
    """The payload with its faults put right as far as its meaning survives; words to keep; the faults left."""
    payload = dict(payload)
    words: dict[str, str] = {}
    for _ in range(3):  # a number that becomes a text may turn out to be no known word
        for fault in found:
            words |= _mend_call(action, payload, fault, notes)
        found = [fault for fault in faults(_RELAXED[action], payload) if fault.keyword != "maxLength"]
        if not found:
            break
    return payload, words, found


def _mend_call(action: str, payload: dict, fault: Fault, notes: set[str]) -> dict[str, str]:
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
        case "required":
            _fill_in(action, payload, name, notes)
        case "type":
            if isinstance(value, dict | list) and (action, name) in _PROSE:
                payload[name] = to_text(value)[:LONGEST_JSON]
                notes.add(odd.OBJECT_AS_TEXT)
            elif (other := _as_due(value, fault.arguments["types"], notes)) is not None:
                payload[name] = other
            elif name not in document(action).get("required", ()) or _has_default(action, name):
                del payload[name]  # what it needs is filled in when it is found missing
                notes.add(odd.UNREADABLE_FIELD)
        case "enum" if isinstance(value, str):
            return _known_word(action, payload, name, fault.arguments["options"], notes)
    return {}


def _has_default(action: str, name: str) -> bool:
    return name in _MAY_BE_MISSING.get(action, ()) or (action, name) == ("StatusNotification", "errorCode")


def _fill_in(action: str, payload: dict, name: str, notes: set[str]) -> None:
    if name in _MAY_BE_MISSING.get(action, ()):
        payload[name] = ""
        notes.add(odd.MISSING_FIELD)
    elif (action, name) == ("StatusNotification", "errorCode"):
        status = payload.get("status")
        faulted = isinstance(status, str) and _bare(status) == "faulted"
        payload[name] = "OtherError" if faulted else "NoError"
        notes.add(odd.MISSING_FIELD)


def _known_word(action: str, payload: dict, name: str, options: list[Any], notes: set[str]) -> dict[str, str]:
    value = payload[name]
    known = next((option for option in options if _bare(option) == _bare(value)), None)
    if known is not None:
        payload[name] = known
        notes.add(odd.RESPELLED)
    elif (action, name) in _OPEN_WORDS:
        payload[name], kept_in, oddity = _OPEN_WORDS[action, name]
        notes.add(oddity)
        return {kept_in: value.strip()[:LONGEST_TEXT]}
    elif (action, name) == ("StatusNotification", "status") and _bare(value) in _OLD_STATUSES:
        payload[name] = _OLD_STATUSES[_bare(value)]
        notes.add(odd.STATUS_OF_1_5)
    return {}


def _bare(word: str) -> str:
    """A word without what spellings differ in: case, blanks, hyphens, underscores."""
    return re.sub(r"[\s_-]+", "", word).casefold()


def _as_due(value: Any, types: list[str], notes: set[str]) -> Any:
    """A value as the JSON type that is due, or None. true is no number, and no number is a name for nothing."""
    if "string" in types:
        return _converted(_plain(value, notes), types, notes) if not isinstance(value, str) else None
    return None if isinstance(value, bool) else _converted(value, types, notes)


def _boot(payload: dict, notes: set[str]) -> dict:
    """Blanks around the inventory's texts cut off, empty ones noted."""
    limits = document("BootNotification")["properties"]
    result = {}
    for name, value in payload.items():
        text = value.strip()
        if text != value:
            notes.add(odd.PADDED_TEXT)
        if not text:
            notes.add(odd.EMPTY_TEXT)
        text = text[:LONGEST_TEXT]
        if len(text) > limits[name]["maxLength"]:
            notes.add(odd.OVERLONG_TEXT)
        result[name] = text
    return result


def _status(payload: dict, notes: set[str], strict: bool) -> Checked:
    """The timestamp readable or gone."""
    if any(len(payload.get(name, "")) > 50 for name in _OVERLONG["StatusNotification"]):
        notes.add(odd.OVERLONG_TEXT)
    timestamp = payload.get("timestamp")
    if timestamp is not None and timestamps.parse(timestamp) is None:
        if strict and timestamp.strip() and not _TIMESTAMP_LIKE.match(timestamp):
            fault = Violation(errors.PROPERTY_CONSTRAINT_VIOLATION, "timestamp must be a date and time")
            return Checked(payload, _sorted(notes), fault)
        notes.add(odd.UNREADABLE_TIMESTAMP)
        payload = {name: value for name, value in payload.items() if name != "timestamp"}
    return Checked(payload, _sorted(notes))


def _plain(value: Any, notes: set[str], depth: int = 0) -> Any:
    """The same value without nulls in its objects, and with ints and floats instead of Decimals."""
    if isinstance(value, Decimal):
        if value.adjusted() > 18:
            return str(value)  # beyond what JSON's readers keep
        return int(value) if value == value.to_integral_value() else float(value)
    if type(value) is list and depth < 10:
        return [_plain(item, notes, depth + 1) for item in value]
    if type(value) is dict and depth < 10:
        if None in value.values():
            notes.add(odd.NULL_DROPPED)
        return {name: _plain(item, notes, depth + 1) for name, item in value.items() if item is not None}
    return value


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


def _mend(payload: dict, fault: Fault, notes: set[str]) -> None:
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


def _sorted(notes: set[str]) -> tuple[str, ...]:
    return tuple(sorted(notes)) if notes else ()
