"""Frames of OCPP-J 1.6 (section 4): JSON text to values and back.

    [2, id, action, payload]                      CALL
    [3, id, payload]                              CALLRESULT
    [4, id, code, description, details]           CALLERROR

Reading is tolerant and never raises; writing is compact and never holds a null. Numbers with a
fraction are read as Decimal: an energy in them must not pass through a float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import msgspec

from ..trees import mapped, without_nulls
from . import errors

#: A message id. The specification wants a text of at most 36 characters; whatever else a charger
#: uses is echoed as it came, with its JSON type.
MessageId: TypeAlias = str | int | Decimal


@dataclass(frozen=True, slots=True)
class Call:
    """A request; `payload` is always an object (an absent one, written null, is empty)."""

    id: MessageId
    action: str
    payload: Any


@dataclass(frozen=True, slots=True)
class CallResult:
    """The answer to a Call; `payload` is always an object."""

    id: MessageId
    payload: Any


@dataclass(frozen=True, slots=True)
class CallError:
    """The refusal of a Call; `code` is one of `errors` in what we send, anything in what we get."""

    id: MessageId
    code: str
    description: str = ""
    details: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Malformed:
    """Text that is no frame.

    `reply` is what to send, when it was a CALL whose id could be read. `answer_to` is the message id of
    the call of ours that it tried to answer. `action` is the CALL's action as far as it could be read.
    """

    reason: str
    reply: CallError | None = None
    answer_to: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Text that wants no reaction: an empty frame, a "pong", an unknown message type (section 4.1.3)."""

    reason: str


Frame: TypeAlias = Call | CallResult | CallError | Malformed | Ignored

CALL, CALLRESULT, CALLERROR = 2, 3, 4
#: What may stand around a frame without being part of it.
BLANKS: Final = "\ufeff\x00 \t\r\n"

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_SURROGATE = re.compile("[\ud800-\udfff]")
#: The start of a frame that broke off later: type, id and, for a CALL, the action.
_HEAD = re.compile(
    r"\s*\[\s*([234])\s*,\s*(\"(?:[^\"\\]|\\.){0,256}\"|-?\d{1,40})\s*(?:,\s*(?:\"([A-Za-z]{1,64})\")?|\]?\s*$)"
)
_NOT_JSON = (msgspec.DecodeError, RecursionError, ValueError, InvalidOperation, OverflowError, MemoryError)


def decode(text: str) -> Frame:
    """Read one text frame. Never raises.

    A CALL that is too short gets a ProtocolError, one whose payload is no object or that is not JSON a
    FormationViolation, if its id can be read.
    """
    try:
        frame = _decoder.decode(text)
    except _NOT_JSON:
        return _decode_odd(text)
    if type(frame) is list and len(frame) == 4 and frame[0] == CALL:
        _, message_id, action, payload = frame
        if type(message_id) is str and type(action) is str and type(payload) is dict:
            return Call(message_id, action, payload)
    return _frame(frame)


def encode(frame: Call | CallResult | CallError) -> str:
    """Compact JSON text; absent optional values (None) are left out at every level of the payload."""
    parts: list[Any]
    match frame:
        case CallResult():
            parts = [CALLRESULT, frame.id, _without_none(frame.payload)]
        case Call():
            parts = [CALL, frame.id, frame.action, _without_none(frame.payload)]
        case CallError():
            parts = [CALLERROR, frame.id, frame.code, frame.description, _without_none(frame.details)]
    return _written(parts)


def read_json(text: str) -> Any:
    """The value of JSON text; fractions as Decimal. Raises ValueError, whatever is wrong with the text.

    Reads a little more than JSON: NaN and numbers beyond all reason count as null, control characters may
    stand in texts, and lone surrogates, which UTF-8 cannot carry, are replaced.
    """
    try:
        return _decoder.decode(text)
    except _NOT_JSON:
        pass
    try:
        return _whole_text(
            json.loads(
                text.strip(BLANKS),
                strict=False,
                parse_float=_fraction,
                parse_int=_whole,
                parse_constant=lambda _: None,
            )
        )
    except _NOT_JSON as error:
        raise ValueError(f"not JSON: {error}"[:200]) from None


def to_text(value: Any) -> str:
    """Compact JSON text without nulls; lone surrogates are replaced."""
    return _written(_without_none(value))


def _written(value: Any) -> str:
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return _encode(_whole_text(value)).decode()


def without_meaning(text: str) -> str | None:
    """Why a text wants no reaction at all (it is empty, or a "pong" sent as data); None when it does."""
    stripped = text.strip(BLANKS)
    if not stripped:
        return "an empty frame"
    return f"the text {stripped.lower()!r} as data" if stripped.lower() in ("ping", "pong") else None


def _decode_odd(text: str) -> Frame:
    """Text that is not strict JSON: ignore it, read it all the same, or say what is wrong with it."""
    if (reason := without_meaning(text)) is not None:
        return Ignored(reason)
    try:
        return _frame(read_json(text))
    except ValueError as error:
        return _broken(text.strip(BLANKS), str(error))


def _fraction(digits: str) -> Decimal | None:
    """A number with a fraction; None when its exponent is beyond all reason."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


def _whole(digits: str) -> int | None:
    """A whole number; None when it has more digits than Python converts."""
    try:
        return int(digits)
    except ValueError:
        return None


def _frame(frame: Any) -> Frame:
    """The frame that decoded JSON stands for."""
    if type(frame) is not list:
        return Malformed("a frame is a JSON array")
    if not frame:
        return Malformed("an empty array")
    kind = frame[0]
    if isinstance(kind, bool) or kind not in (CALL, CALLRESULT, CALLERROR):
        return Ignored(f"unknown message type {str(kind)[:40]}")
    message_id = frame[1] if len(frame) > 1 else None
    if isinstance(message_id, bool) or not isinstance(message_id, str | int | Decimal):
        return Malformed("no readable message id")
    if kind == CALL:
        return _call(message_id, frame)
    if kind == CALLRESULT:
        payload = frame[2] if len(frame) > 2 and frame[2] is not None else {}
        if type(payload) is not dict:
            return Malformed("the payload of an answer is an object", answer_to=str(message_id))
        return CallResult(message_id, payload)
    code, description, details = [*frame[2:5], None, None, None][:3]
    return CallError(
        message_id,
        code if isinstance(code, str) and code else errors.GENERIC_ERROR,
        description if isinstance(description, str) else "" if description is None else str(description),
        details if isinstance(details, dict) else {},
    )


def _call(message_id: MessageId, frame: list[Any]) -> Call | Malformed:
    action = frame[2] if len(frame) > 2 and isinstance(frame[2], str) else None
    if len(frame) < 4:
        reason = "a CALL has four elements: message type, id, action, payload"
        return Malformed(reason, CallError(message_id, errors.PROTOCOL_ERROR, reason), action=action)
    payload = {} if frame[3] is None else frame[3]
    if action is None or type(payload) is not dict:
        reason = "the payload is an object" if action is not None else "the action is a text"
        return Malformed(reason, CallError(message_id, errors.FORMATION_VIOLATION, reason), action=action)
    return Call(message_id, action, payload)


def _broken(text: str, reason: str) -> Malformed:
    """What can be saved of text that is not JSON: whom to answer, or which call it tried to answer."""
    head = _HEAD.match(text[:1024])
    if head is None:
        return Malformed(reason)
    kind, raw_id, action = head.groups()
    try:
        message_id = _whole_text(json.loads(raw_id, strict=False))
    except ValueError:
        return Malformed(reason)
    if kind != "2":
        return Malformed(reason, answer_to=str(message_id))
    return Malformed(reason, CallError(message_id, errors.FORMATION_VIOLATION, "not JSON"), action=action)


def _without_none(value: Any) -> Any:
    if not _has_null(value):
        return value  # as most have none
    return mapped(value, lambda leaf: leaf, without_nulls, items=_not_null)


def _has_null(value: Any) -> bool:
    if type(value) is dict:
        return any(map(_has_null, value.values()))
    return value is None or (type(value) is list and any(map(_has_null, value)))


def _not_null(items: list[Any]) -> Iterable[Any]:
    return (item for item in items if item is not None)


def _whole_text(value: Any) -> Any:
    """The same value with lone surrogates, which UTF-8 cannot carry, replaced."""
    return mapped(value, _whole_leaf, lambda tree: ((_whole_leaf(name), item) for name, item in tree.items()))


def _whole_leaf(value: Any) -> Any:
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value
