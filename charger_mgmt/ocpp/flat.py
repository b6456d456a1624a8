"""The flat dialect: one plain JSON object per message, five messages, answers without an envelope.

    {"messageType": "StartTransaction", "chargerId": 1, "transactionId": "TXN-456", "timestamp": "…"}

`decode` turns such an object into an OCPP-shaped payload, so that both dialects end in the same services.
The charger's own `transactionId` stands in that payload as `sessionId`. `reply` shapes the answers.

What is wrong is answered with an object:

    {"messageType": "…", "error": {"code": "…", "message": "…", "field": "…"}}

with an error code of OCPP-J; `messageType` and `field` are there when they are known. A transaction
message is refused only when nobody can tell which charger or which transaction it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from . import errors, frames, identities, readings, timestamps
from . import oddities as odd
from .published import document
from .readings import Reading

#: The dialect knows one connector unless the charger names another.
DEFAULT_CONNECTOR: Final = 1
LONGEST_TRANSACTION_ID: Final = 255
LONGEST_TEXT: Final = 255
_STATUSES: Final = tuple(document("StatusNotification")["properties"]["status"]["enum"])
_ERROR_CODES: Final = tuple(document("StatusNotification")["properties"]["errorCode"]["enum"])


@dataclass(frozen=True, slots=True)
class FlatMessage:
    """One message. `payload` is shaped like the OCPP message of that name.

    `transaction_id` is the charger's own name of the session as a text; `echo` the same as it came, to be
    repeated in the answer.
    """

    message_type: str
    identity: str
    payload: dict[str, Any]
    transaction_id: str | None = None
    echo: str | int | None = None
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlatError:
    """A message that cannot be taken: `body` is the object to send."""

    body: dict[str, Any]

    @property
    def reason(self) -> str:
        error = self.body["error"]
        return f"{error['code']}: {error['message']}"


class _Refused(Exception):
    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.field = code, message, field


def decode(text: str) -> FlatMessage | FlatError | frames.Ignored:
    """Read one text frame of a flat charger. Never raises; an empty frame or a "pong" is Ignored."""
    if (nothing := frames.without_meaning(text)) is not None:
        return frames.Ignored(nothing)
    message_type: str | None = None
    try:
        try:
            body = frames.read_json(text)
        except ValueError as wrong:
            raise _Refused(errors.FORMATION_VIOLATION, str(wrong)) from None
        if isinstance(body, list):
            raise _Refused(
                errors.FORMATION_VIOLATION,
                "this address takes JSON objects; OCPP-J frames belong to /ocpp/<identity>",
            )
        if not isinstance(body, dict):
            raise _Refused(errors.FORMATION_VIOLATION, "a message is a JSON object")
        named = body.get("messageType")
        if named is None:
            raise _Refused(errors.OCCURENCE_CONSTRAINT_VIOLATION, "messageType is required", "messageType")
        if not isinstance(named, str):
            raise _Refused(errors.TYPE_CONSTRAINT_VIOLATION, "messageType must be a text", "messageType")
        message_type = named[:64]
        read = _READERS.get(named)
        if read is None:
            known = ", ".join(_READERS)
            raise _Refused(errors.NOT_IMPLEMENTED, f"messageType must be one of {known}", "messageType")
        return read(named, _identity(body), body)
    except _Refused as refused:
        return FlatError(error_body(refused.code, refused.message, refused.field, message_type))


def error_body(
    code: str, message: str, field: str | None = None, message_type: str | None = None
) -> dict[str, Any]:
    """The object that says what is wrong; `code` is one of `errors`."""
    detail = {"code": code, "message": message} | ({"field": field} if field is not None else {})
    return ({"messageType": message_type} if message_type is not None else {}) | {"error": detail}


def encode(body: Mapping[str, Any]) -> str:
    """The text of an answer."""
    return frames.to_text(dict(body))


def reply(message: FlatMessage, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The flat answer to a message; `answer` is what the service gave as the OCPP answer."""
    return _REPLIES[message.message_type](message, answer)


def boot_reply(message: FlatMessage, answer: Mapping[str, Any]) -> dict[str, Any]:
    """`{"status", "currentTime", "interval"}`; interval in seconds."""
    return {name: answer[name] for name in ("status", "currentTime", "interval")}


def heartbeat_reply(message: FlatMessage, answer: Mapping[str, Any]) -> dict[str, Any]:
    """`{"currentTime"}`."""
    return {"currentTime": answer["currentTime"]}


def status_reply(message: FlatMessage, answer: Mapping[str, Any]) -> dict[str, Any]:
    """`{"status": "Accepted"}`: a report cannot be refused."""
    return {"status": "Accepted"}


def start_reply(message: FlatMessage, answer: Mapping[str, Any]) -> dict[str, Any]:
    """`{"transactionId", "status"}`: the charger's own id, and what its tag was judged."""
    return {
        "transactionId": message.echo,
        "status": answer.get("idTagInfo", {}).get("status", "Accepted"),
    }


def stop_reply(message: FlatMessage, answer: Mapping[str, Any]) -> dict[str, Any]:
    """`{"transactionId", "status": "Accepted"}`: a stop cannot be refused."""
    return {"transactionId": message.echo, "status": "Accepted"}


def _identity(body: dict) -> str:
    value = body.get("chargerId")
    if value is None:
        raise _Refused(errors.OCCURENCE_CONSTRAINT_VIOLATION, "chargerId is required", "chargerId")
    try:
        return identities.from_json(value)
    except ValueError as wrong:
        code = (
            errors.PROPERTY_CONSTRAINT_VIOLATION
            if isinstance(value, str) or type(value) is int
            else errors.TYPE_CONSTRAINT_VIOLATION
        )
        raise _Refused(code, f"chargerId {wrong}", "chargerId") from None


def _transaction_id(body: dict) -> tuple[str, str | int]:
    """The charger's own name of a session: as a text, and as it came."""
    value = body.get("transactionId")
    if value is None:
        raise _Refused(errors.OCCURENCE_CONSTRAINT_VIOLATION, "transactionId is required", "transactionId")
    if not isinstance(value, str) and type(value) is not int:
        raise _Refused(
            errors.TYPE_CONSTRAINT_VIOLATION,
            "transactionId must be a text or a whole number",
            "transactionId",
        )
    try:
        # A name with blanks around it is equal to the one without in some databases.
        text = str(value).strip()
    except ValueError:  # more digits than Python is willing to write
        text = ""
    if not 0 < len(text) <= LONGEST_TRANSACTION_ID:
        raise _Refused(
            errors.PROPERTY_CONSTRAINT_VIOLATION,
            f"transactionId must have 1 to {LONGEST_TRANSACTION_ID} characters",
            "transactionId",
        )
    return text, value


def _boot(name: str, identity: str, body: dict) -> FlatMessage:
    notes: set[str] = set()
    payload = {}
    for ours, theirs, required in (
        ("chargePointVendor", "vendor", True),
        ("chargePointModel", "model", True),
        ("firmwareVersion", "firmwareVersion", False),
        ("chargePointSerialNumber", "serialNumber", False),
    ):
        text = _text(body, theirs, notes, required=required)
        if text is not None:
            payload[ours] = text
            if not text:
                notes.add(odd.EMPTY_TEXT)
    return FlatMessage(name, identity, payload, oddities=tuple(sorted(notes)))


def _heartbeat(name: str, identity: str, body: dict) -> FlatMessage:
    return FlatMessage(name, identity, {})


def _status(name: str, identity: str, body: dict) -> FlatMessage:
    notes: set[str] = set()
    status = _word(body, "status", _STATUSES)
    if status is None:
        raise _Refused(errors.OCCURENCE_CONSTRAINT_VIOLATION, "status is required", "status")
    connector = body.get("connectorId", DEFAULT_CONNECTOR)
    if connector is None:
        connector = DEFAULT_CONNECTOR
    if type(connector) is not int:
        raise _Refused(errors.TYPE_CONSTRAINT_VIOLATION, "connectorId must be a whole number", "connectorId")
    if not 0 <= connector <= readings.MOST_CONNECTORS:
        message = f"connectorId must be from 0 to {readings.MOST_CONNECTORS}"
        raise _Refused(errors.PROPERTY_CONSTRAINT_VIOLATION, message, "connectorId")
    payload: dict[str, Any] = {
        "connectorId": connector,
        "errorCode": _word(body, "errorCode", _ERROR_CODES)
        or ("OtherError" if status == "Faulted" else "NoError"),
        "status": status,
    }
    info = _text(body, "info", notes)
    if info:
        payload["info"] = info
    timestamp = _text(body, "timestamp", notes)
    if timestamp is not None and timestamps.parse(timestamp) is None:
        notes.add(odd.UNREADABLE_TIMESTAMP)
    elif timestamp is not None:
        payload["timestamp"] = timestamp
    return FlatMessage(name, identity, payload, oddities=tuple(sorted(notes)))


def _start(name: str, identity: str, body: dict) -> FlatMessage:
    text, echo = _transaction_id(body)
    notes: set[str] = set()
    reading = Reading(body, notes)
    reading.take("connectorId", readings.connector)
    reading.take("idTag", readings.tag)
    reading.take("meterStart", readings.meter)
    reading.take("timestamp", readings.timestamp, required=True)
    payload = {"connectorId": DEFAULT_CONNECTOR} | reading.result | {"sessionId": text}
    return FlatMessage(name, identity, payload, text, echo, tuple(sorted(notes)))


def _stop(name: str, identity: str, body: dict) -> FlatMessage:
    text, echo = _transaction_id(body)
    notes: set[str] = set()
    reading = Reading(body, notes)
    reading.take("meterStop", readings.meter)
    reading.take("timestamp", readings.timestamp)
    reading.take("idTag", readings.tag)
    reading.take("reason", readings.reason)
    payload = reading.result | {"sessionId": text}
    return FlatMessage(name, identity, payload, text, echo, tuple(sorted(notes)))


def _text(body: dict, field: str, notes: set[str], *, required: bool = False) -> str | None:
    value = body.get(field)
    if value is None:
        if field in body:
            notes.add(odd.NULL_DROPPED)
        elif required:
            raise _Refused(errors.OCCURENCE_CONSTRAINT_VIOLATION, f"{field} is required", field)
        return "" if required else None
    if not isinstance(value, str):
        raise _Refused(errors.TYPE_CONSTRAINT_VIOLATION, f"{field} must be a text", field)
    text = value.strip()
    if len(text) > LONGEST_TEXT:
        raise _Refused(
            errors.PROPERTY_CONSTRAINT_VIOLATION,
            f"{field} must have at most {LONGEST_TEXT} characters",
            field,
        )
    return text


def _word(body: dict, field: str, words: tuple[str, ...]) -> str | None:
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Refused(errors.TYPE_CONSTRAINT_VIOLATION, f"{field} must be a text", field)
    if value not in words:
        raise _Refused(
            errors.PROPERTY_CONSTRAINT_VIOLATION, f"{field} must be one of {', '.join(words)}", field
        )
    return value


_Reader: TypeAlias = Callable[[str, str, dict], FlatMessage]
_READERS: Final[dict[str, _Reader]] = {
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "StatusNotification": _status,
    "StartTransaction": _start,
    "StopTransaction": _stop,
}
_REPLIES: Final[dict[str, Callable[[FlatMessage, Mapping[str, Any]], dict[str, Any]]]] = {
    "BootNotification": boot_reply,
    "Heartbeat": heartbeat_reply,
    "StatusNotification": status_reply,
    "StartTransaction": start_reply,
    "StopTransaction": stop_reply,
}
