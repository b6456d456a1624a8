"""The flat dialect: one plain JSON object per message, five messages, answers without an envelope.

    {"messageType": "StartTransaction", "chargerId": 1, "transactionId": "TXN-456", "timestamp": "…"}

`decode` turns such an object into the same facts that OCPP 1.6's table gives; the charger's own `transactionId` is
the session's name in them. What is wrong is answered with an object:

    {"messageType": "…", "error": {"code": "…", "message": "…", "field": "…"}}

with an error code of OCPP-J; `messageType` and `field` are there when they are known. A transaction
message is refused only when nobody can tell which charger or which transaction it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ...domain import facts as said
from ...domain import identities, outcomes
from ...ocppj import errors, frames
from .. import Incoming, Said, Taken, timestamps
from ..ocpp16 import answers, facts, readings, table
from ..ocpp16.readings import Reading

F = TypeVar("F", bound=said.Fact)

#: The dialect knows one connector unless the charger names another.
DEFAULT_CONNECTOR: Final = 1
LONGEST_TRANSACTION_ID: Final = 255


class Body(NamedTuple):
    """What a message says: its fact, what was odd, and the session's name as it came, to be repeated."""

    fact: Any
    oddities: tuple[str, ...] = ()
    echo: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatIncoming(Incoming[F], Generic[F]):
    """A row of this dialect's table: `take` reads the object. Raises _Refused."""

    take: Callable[[dict[str, Any]], Body]


@dataclass(frozen=True, slots=True)
class FlatMessage:
    """One message of one charger."""

    identity: str
    said: Said

    @property
    def message_type(self) -> str:
        return self.said.row.action


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
        row = INCOMING.get(named)
        if row is None:
            known = ", ".join(INCOMING)
            raise _Refused(errors.NOT_IMPLEMENTED, f"messageType must be one of {known}", "messageType")
        identity, taken = _identity(body), row.take(body)
        return FlatMessage(identity, Said(row, taken, text, taken.oddities))
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


def _status_answer(body: Body, outcome: outcomes.Outcome) -> dict[str, Any]:
    """`{"status": "Accepted"}`: a report cannot be refused."""
    return {"status": "Accepted"}


def _start_answer(body: Body, outcome: outcomes.Begun) -> dict[str, Any]:
    """`{"transactionId", "status"}`: the charger's own id, and what its tag was judged."""
    return {"transactionId": body.echo, "status": outcome.verdict.status}


def _stop_answer(body: Body, outcome: outcomes.Outcome) -> dict[str, Any]:
    """`{"transactionId", "status": "Accepted"}`: a stop cannot be refused."""
    return {"transactionId": body.echo, "status": "Accepted"}


def _identity(body: dict[str, Any]) -> str:
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


def _transaction_id(body: dict[str, Any]) -> tuple[str, str | int]:
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


def _boot(body: dict[str, Any]) -> Body:
    fields = {
        "vendor": "chargePointVendor",
        "model": "chargePointModel",
        "firmwareVersion": "firmwareVersion",
        "serialNumber": "chargePointSerialNumber",
    }
    payload, oddities = _checked("BootNotification", body, fields, {})
    return Body(facts.boots(payload), oddities)


def _heartbeat(body: dict[str, Any]) -> Body:
    return Body(said.Lives())


def _status(body: dict[str, Any]) -> Body:
    fields = {field: field for field in ("connectorId", "errorCode", "status", "info", "timestamp")}
    faulted = str(body.get("status")).strip().lower() == "faulted"
    defaults = {"connectorId": DEFAULT_CONNECTOR, "errorCode": "OtherError" if faulted else "NoError"}
    payload, oddities = _checked("StatusNotification", body, fields, defaults)
    return Body(facts.connector_reports(payload), oddities)


def _checked(
    action: str, body: dict[str, Any], fields: Mapping[str, str], defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A payload in OCPP 1.6's words, with its tolerances, and its oddities. `fields`: ours → OCPP's name."""
    payload = dict(defaults)
    for ours, theirs in fields.items():
        value = body.get(ours)
        if isinstance(value, str):
            value = value.strip()
        if value is not None or (ours in body and theirs not in defaults):
            payload[theirs] = value
    checked = table.check(action, payload)
    if checked.violation is not None:
        named, _, message = checked.violation.description.partition(" ")
        field = next((ours for ours, theirs in fields.items() if theirs == named), named)
        raise _Refused(checked.violation.code, f"{field} {message}", field)
    return checked.payload, checked.oddities


def _start(body: dict[str, Any]) -> Body:
    name, echo = _transaction_id(body)
    notes: set[str] = set()
    reading = Reading(body, notes)
    reading.take("connectorId", readings.connector)
    reading.take("idTag", readings.tag)
    reading.take("meterStart", readings.meter)
    reading.take("timestamp", readings.timestamp, required=True)
    read = reading.result
    at_text = read.get("timestamp")
    fact = said.SessionBegins(
        connector_id=read.get("connectorId", DEFAULT_CONNECTOR),
        id_tag=read.get("idTag"),
        at=timestamps.parse(at_text or ""),
        at_text=at_text,
        meter_wh=read.get("meterStart"),
        name=name,
    )
    return Body(fact, tuple(sorted(notes)), echo)


def _stop(body: dict[str, Any]) -> Body:
    name, echo = _transaction_id(body)
    notes: set[str] = set()
    reading = Reading(body, notes)
    reading.take("meterStop", readings.meter)
    reading.take("timestamp", readings.timestamp)
    reading.take("idTag", readings.tag)
    reading.take("reason", readings.reason)
    read = reading.result
    fact = said.SessionEnds(
        transaction_id=None,
        name=name,
        at=timestamps.parse(read.get("timestamp") or ""),
        meter_wh=read.get("meterStop"),
        id_tag=read.get("idTag"),
        reason=read.get("reason") or "Local",
    )
    return Body(fact, tuple(sorted(notes)), echo)


def _row(
    action: str,
    fact: type[F],
    take: Callable[[dict[str, Any]], Body],
    answer: Callable[[Body, Any], dict[str, Any]],
    taken: Taken = Taken.ALWAYS,
    *,
    never_refused: bool = False,
    from_memory: bool = False,
) -> FlatIncoming[F]:
    return FlatIncoming(
        action=action,
        fact=fact,
        read=lambda body: body.fact,
        answer=answer,
        taken=taken,
        never_refused=never_refused,
        from_memory=from_memory,
        take=take,
    )


_ROWS: Final[tuple[FlatIncoming[Any], ...]] = (
    _row("BootNotification", said.Boots, _boot, answers.booted),
    _row("Heartbeat", said.Lives, _heartbeat, answers.alive, Taken.ACCEPTED, from_memory=True),
    _row("StatusNotification", said.ConnectorReports, _status, _status_answer, Taken.UNLESS_REFUSED),
    _row("StartTransaction", said.SessionBegins, _start, _start_answer, never_refused=True),
    _row("StopTransaction", said.SessionEnds, _stop, _stop_answer, never_refused=True),
)
#: messageType → its row.
INCOMING: Final[Mapping[str, FlatIncoming[Any]]] = {row.action: row for row in _ROWS}
