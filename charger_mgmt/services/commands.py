"""Calls to a charger: each is a row with its life, and a greenlet that sees it through.

The caller waits for the answer as long as it likes and no longer; the call goes on without it, so a
late answer still finds its row. Nothing here needs Flask, and no database connection is held while a
charger is waited for.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from sqlalchemy import Connection, Engine, Row

from .. import clock
from ..errors import (
    CallErrored,
    CallTimedOut,
    ChargerBusy,
    ChargerGone,
    ChargerManagementError,
    ChargerOffline,
    Conflict,
    DatabaseAway,
    NotFound,
)
from ..settings import Settings
from ..store import chargers, commands, tags
from ..store.connections import reading
from ..store.database import Database
from ..store.pages import Page
from . import charger_passwords
from .answers import Answered, take_effect
from .feed import CommandEnded, Feed
from .masking import HIDDEN, Masking, is_secret

log = logging.getLogger(__name__)

#: What an operator may send by hand.
ACTIONS = (
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "DataTransfer",
    "GetConfiguration",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "Reset",
    "TriggerMessage",
    "UnlockConnector",
)
#: The values of `status` that are a yes; an answer without a status is one too.
_YES = {"Accepted", "Unlocked", "Scheduled", "RebootRequired"}
#: Levels of an answer that are kept: MariaDB's JSON ends at 32, and OCPP knows no answer with more than four.
_DEEPEST = 16
#: `requested_by` of the calls that the system makes by itself.
SYSTEM = "system"
#: How often a state that the database did not take is written again, a second apart.
_ATTEMPTS = 30
#: The system's own calls come by the thousand when a fleet reconnects: their bookkeeping must leave the
#: chargers' connections to the committer, and must not make an operator's call wait.
_turns = {"system": BoundedSemaphore(3), "operator": BoundedSemaphore(3)}


class Central(Protocol):
    """What a command needs of the central system."""

    settings: Settings
    database: Database
    registry: Any
    feed: Feed
    process_id: str


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How far a command has come. `state` as in store/commands.py.

    `error` says why the call ended without a result: a CallFailed, or ChargerBusy or DatabaseAway when
    nothing was sent.
    """

    identity: str
    command_id: int
    state: str
    response: dict[str, Any] | None = None
    error: ChargerManagementError | None = None

    @property
    def waiting(self) -> bool:
        return self.state in (commands.QUEUED, commands.SENT)


@dataclass(slots=True)
class Queued:
    """A command that has its row but is not on its way yet; hand it to `dispatch` after the commit."""

    command_id: int
    charger_id: int
    identity: str
    action: str
    payload: dict[str, Any]
    message_id: str
    requested_by: str
    session: Any
    #: Of a new AuthorizationKey: whether the charger has it is known only from its answer.
    key_hash: str | None = None
    #: Of the charger's keys: no answer is kept with one of them in it.
    known_hashes: tuple[str, ...] = ()
    sent: bool = False
    done: AsyncResult = field(default_factory=AsyncResult)


def send(
    central: Central,
    identity: str,
    action: str,
    payload: dict[str, Any],
    *,
    requested_by: str,
    wait: float,
) -> CommandOutcome:
    """Call a charger and wait at most `wait` seconds for its answer.

    The payload goes out as it is: check it before. Raises NotFound, ChargerOffline, Conflict when the
    charger's registration forbids the action (section 4.2), DatabaseAway.
    """
    with _turn(requested_by), central.database.writing() as conn:
        charger = find_charger(conn, identity)
        command = queue(conn, central, charger, action, payload, requested_by=requested_by)
    return dispatch(central, command, wait)


def queue(
    conn: Connection,
    central: Central,
    charger: Row[Any],
    action: str,
    payload: dict[str, Any],
    *,
    requested_by: str,
    session_id: str | None = None,
    one_use_for: timedelta | None = None,
) -> Queued:
    """The command's row. `one_use_for`: the payload's idTag is made for this command and lives so long.

    Raises ChargerOffline, Conflict.
    """
    check_registration(charger, action, payload)
    session = central.registry.get(charger.identity)
    if session is None:
        raise ChargerOffline(f"Charger {charger.identity} is not connected.")
    now = clock.now()
    message_id = str(uuid.uuid4())
    id_tag = payload.get("idTag") if action == "RemoteStartTransaction" else None
    command_id = commands.add(
        conn,
        charger_id=charger.id,
        action=action,
        payload=_redacted_request(action, payload),
        message_id=message_id,
        requested_by=requested_by,
        process_id=central.process_id,
        created_at=now,
        connector_id=_storable_connector(payload.get("connectorId")),
        id_tag=id_tag,
        session_id=session_id,
    )
    if one_use_for is not None and id_tag is not None:
        tags.add(conn, id_tag, now, status="Accepted", expiry_date=now + one_use_for, command_id=command_id)
    key_hash = None
    if _sets_password(action, payload):
        key_hash = charger_passwords.hashed(charger_passwords.canonical(str(payload["value"])))
        charger = find_charger(conn, charger.identity, lock=True)
        pending = charger_passwords.with_pending(charger.pending_password_hashes, key_hash)
        chargers.change(conn, charger.id, pending_password_hashes=pending)
    return Queued(
        command_id,
        charger.id,
        charger.identity,
        action,
        payload,
        message_id,
        requested_by,
        session,
        key_hash,
        charger_passwords.known(charger.password_hash, charger.pending_password_hashes),
    )


def dispatch(central: Central, command: Queued, wait: float) -> CommandOutcome:
    """Send a queued command, once its row is committed, and wait at most `wait` seconds."""
    gevent.spawn(_see_through, central, command)
    try:
        return command.done.get(timeout=max(wait, 0))
    except gevent.Timeout:
        state = commands.SENT if command.sent else commands.QUEUED
        return CommandOutcome(command.identity, command.command_id, state)


def find_charger(conn: Connection, identity: str, *, lock: bool = False, removed: bool = False) -> Row[Any]:
    """The charger's row, also of one that was `removed` if that is asked for. Raises NotFound."""
    charger = chargers.by_identity(conn, identity, lock=lock, removed=removed)
    if charger is None:
        raise NotFound(f"There is no charger {identity!r}.")
    return charger


def find(engine: Engine, identity: str, command_id: int) -> Row[Any]:
    """One command's row. Raises NotFound."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        row = commands.by_id(conn, command_id)
    if row is None or row.charger_id != charger.id:
        raise NotFound(f"Charger {identity!r} has no command {command_id}.")
    return row


def listed(
    engine: Engine,
    identity: str,
    *,
    state: str | None,
    action: str | None,
    before: int | None,
    limit: int,
) -> Page:
    """A charger's commands, newest first. Raises NotFound."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        return commands.of_charger(conn, charger.id, state=state, action=action, before=before, limit=limit)


def put_right(central: Central) -> None:
    """At the start of a process: end the commands that another one left unfinished."""
    with central.database.writing() as conn:
        count = commands.put_right(conn, central.process_id)
    if count:
        log.info("%d commands of an earlier process were ended", count)


def _turn(requested_by: str) -> BoundedSemaphore:
    return _turns["system" if requested_by == SYSTEM else "operator"]


def check_registration(charger: Row[Any], action: str, payload: Mapping[str, Any] | None = None) -> None:
    """Raises Conflict when the charger's registration forbids the action (section 4.2, errata 3.40)."""
    if action in ("RemoteStartTransaction", "RemoteStopTransaction") and charger.registration in (
        "Pending",
        "Rejected",
    ):
        raise Conflict(
            f"Charger {charger.identity} is {charger.registration}: it takes no {action} before it is"
            " Accepted (OCPP 1.6 section 4.2)."
        )
    requested = (payload or {}).get("requestedMessage")
    triggers_boot = action == "TriggerMessage" and requested == "BootNotification"
    if triggers_boot and charger.registration == "Accepted":
        raise Conflict(
            f"Charger {charger.identity} is Accepted: a BootNotification must not be triggered until it"
            " boots by itself (errata 3.40)."
        )


def _see_through(central: Central, command: Queued) -> None:
    """The life of a command after its row: send it, wait for the charger, record how it ended."""

    def on_sent() -> None:
        _record(central, command, commands.SENT, sent_at=clock.now(), attempts=1)
        command.sent = True

    def on_late(answer: dict[str, Any] | CallErrored) -> None:
        _record_late(central, command, answer)

    failure: ChargerManagementError | None = None
    values: dict[str, Any] = {}
    try:
        response = command.session.call(
            command.action,
            command.payload,
            message_id=command.message_id,
            timeout=central.settings.call_timeout,
            on_sent=on_sent,
            on_late=on_late,
        )
        state = commands.ACCEPTED if response.get("status", "Accepted") in _YES else commands.REJECTED
        values["response"] = _masking(command).tree(response)
    except CallErrored as error:
        values = _of_error(command, error)
        state, failure = commands.ERROR, CallErrored(values["error_code"], values["error_description"])
    except CallTimedOut as error:
        state, failure = commands.TIMED_OUT, error
    except ChargerGone as error:
        state, failure = commands.CHARGER_GONE, error
    except (ChargerBusy, DatabaseAway) as error:  # both before anything was written to the socket
        state, failure = commands.ERROR, error
        values = {"error_code": "NotSent", "error_description": str(error)}
    except Exception:
        log.exception("%s to charger %s failed", command.action, command.identity)
        state, failure = commands.CHARGER_GONE, ChargerGone("The call failed here.", sent=command.sent)
    if state in (commands.ACCEPTED, commands.REJECTED) or isinstance(failure, CallErrored):
        values["answered_at"] = clock.now()
    if failure is not None:
        failure.command = (command.identity, command.command_id)
    outcome = CommandOutcome(command.identity, command.command_id, state, values.get("response"), failure)
    try:
        _record(central, command, state, **values)
    finally:
        command.done.set(outcome)
        central.feed.publish([CommandEnded(command.identity, command.command_id)])


def _record_late(central: Central, command: Queued, answer: dict[str, Any] | CallErrored) -> None:
    if isinstance(answer, CallErrored):
        values = _of_error(command, answer)
    else:
        values = {"response": _masking(command).tree(answer)}
    _record(central, command, commands.LATE_ANSWER, answered_at=clock.now(), **values)
    central.feed.publish([CommandEnded(command.identity, command.command_id)])


def _record(
    central: Central, command: Queued, state: str, *, attempts: int = _ATTEMPTS, **values: Any
) -> None:
    """Commit a state. With one attempt it raises DatabaseAway; else it tries again and then gives up."""
    for attempt in range(attempts, 0, -1):
        try:
            with _turn(command.requested_by), central.database.writing() as conn:
                _write(conn, command, state, values)
            return
        except DatabaseAway:
            if attempts == 1:
                raise
            if attempt == 1:
                log.error("command %d could not be marked %r", command.command_id, state)
            gevent.sleep(1)


def _write(conn: Connection, command: Queued, state: str, values: dict[str, Any]) -> None:
    moved = commands.move(conn, command.command_id, state, **values)
    if not moved and state in (commands.ACCEPTED, commands.REJECTED, commands.ERROR):
        # Another process took this one for dead and marked the row timed out.
        moved = commands.move(conn, command.command_id, commands.LATE_ANSWER, **values)
    if not moved:
        log.warning("command %d cannot become %r from where it is", command.command_id, state)
    if moved:
        answered = Answered(
            command.charger_id,
            command.identity,
            state,
            values.get("response") or {},
            values.get("error_code"),
            command.sent,
            command.key_hash,
        )
        take_effect(conn, command.action, answered)


def _of_error(command: Queued, error: CallErrored) -> dict[str, Any]:
    masking = _masking(command)
    return {
        "error_code": masking.text(error.code)[:64],
        "error_description": masking.text(error.description)[:1000],
    }


def _masking(command: Queued) -> Masking:
    sent = str(command.payload["value"]) if _sets_password(command.action, command.payload) else None
    return Masking(sent, command.known_hashes)


def _storable_connector(connector_id: Any) -> int | None:
    """The connector of a command; what no charger has (it is sent all the same) is not kept."""
    return connector_id if type(connector_id) is int and 0 <= connector_id < 2**31 else None


def _sets_password(action: str, payload: dict[str, Any]) -> bool:
    return action == "ChangeConfiguration" and is_secret(payload.get("key"))


def _redacted_request(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"value": HIDDEN} if _sets_password(action, payload) else payload
