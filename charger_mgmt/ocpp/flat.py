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

from . import errors, frames, identities, readings, schemas
from .readings import Reading

#: The dialect knows one connector unless the charger names another.
DEFAULT_CONNECTOR: Final = 1
LONGEST_TRANSACTION_ID: Final = 255


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
    fields = {
        "vendor": "chargePointVendor",
        "model": "chargePointModel",
        "firmwareVersion": "firmwareVersion",
        "serialNumber": "chargePointSerialNumber",
    }
    return _checked(name, identity, body, fields, {})


def _heartbeat(name: str, identity: str, body: dict) -> FlatMessage:
    return FlatMessage(name, identity, {})


def _status(name: str, identity: str, body: dict) -> FlatMessage:
    fields = {field: field for field in ("connectorId", "errorCode", "status", "info", "timestamp")}
    faulted = str(body.get("status")).strip().lower() == "faulted"
    defaults = {"connectorId": DEFAULT_CONNECTOR, "errorCode": "OtherError" if faulted else "NoError"}
    return _checked(name, identity, body, fields, defaults)


def _checked(
    name: str, identity: str, body: dict, fields: Mapping[str, str], defaults: Mapping[str, Any]
) -> FlatMessage:
    """A message that is not about a session, with the tolerances of OCPP-J's. `fields`: ours → OCPP's name."""
    payload = dict(defaults)
    for ours, theirs in fields.items():
        value = body.get(ours)
        if isinstance(value, str):
            value = value.strip()
        if value is not None or (ours in body and theirs not in defaults):
            payload[theirs] = value
    checked = schemas.check(name, payload)
    if checked.violation is not None:
        named, _, message = checked.violation.description.partition(" ")
        field = next((ours for ours, theirs in fields.items() if theirs == named), named)
        raise _Refused(checked.violation.code, f"{field} {message}", field)
    return FlatMessage(name, identity, checked.payload, oddities=checked.oddities)


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
