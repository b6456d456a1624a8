"""Calls to a charger, as an outbox: each is a row with an owner, a deadline and a life.

Whoever wants a charger called writes the row and tells it on the feed; the process that holds the charger's socket
delivers it (gateway/delivery.py). The caller waits for the answer as long as it likes and no longer; the call goes on
without it. Nothing here needs a socket, and no database connection is held while a charger is waited for.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from gevent.lock import BoundedSemaphore
from sqlalchemy import Connection, Engine, Row

from .. import clock
from ..central import Central
from ..chargers import passwords
from ..database import acts, chargers
from ..database.base import AnyRow
from ..database.chargers import find as find_charger
from ..database.connections import reading
from ..database.pages import Page
from ..database.watch import database_now
from ..errors import (
    BusAway,
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
from ..feed import CommandEnded, CommandQueued, Heard
from ..tags import tag_rows
from . import command_rows
from .calls import CALLS, Answered, Call

#: `requested_by` of the calls that the system makes by itself.
SYSTEM: Final = "system"
#: A call that could not be sent for so long, behind others, is not sent any more: nobody expects it then.
DELIVER_WITHIN: Final = timedelta(minutes=5)
#: The error codes of calls that were not sent: too many stand in line, or the database is away.
NOT_SENT: Final = "NotSent"
NOT_NOTED: Final = "DatabaseAway"
#: The system's own calls come by the thousand when a fleet reconnects: their bookkeeping must leave the
#: chargers' connections to the committer, and must not make an operator's call wait.
_turns = {"system": BoundedSemaphore(3), "operator": BoundedSemaphore(3)}


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How far a command has come, as far as is known here. `state` as in commands/command_rows.py: queued as long as it
    has not ended.

    `error` says why the call ended without a result: a CallFailed, or ChargerBusy or DatabaseAway when
    nothing was sent.
    """

    identity: str
    command_id: int
    state: str
    response: Mapping[str, Any] | None = None
    error: ChargerManagementError | None = None

    @property
    def waiting(self) -> bool:
        return self.state in (command_rows.QUEUED, command_rows.SENT)


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
    with turn(requested_by), central.database.writing() as conn:
        charger = find_charger(conn, identity)
        command = queue(conn, central, charger, action, payload, requested_by=requested_by)
    with central.feed.listening(identity) as heard:  # it is told of by `dispatch`, not before
        return dispatch(central, command, heard, clock.monotonic() + wait)


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
) -> CommandQueued:
    """The command's row; to be told by `dispatch` after the commit. `one_use_for`: the payload's idTag is made for this
    command and lives so long.

    Raises ChargerOffline, Conflict, BusAway.
    """
    call = CALLS[action]
    check_registration(charger, call, payload)
    owner = central.owner_of(charger)
    if owner is None:
        raise ChargerOffline(f"Charger {charger.identity} is not connected.")
    central.check_reach(owner)
    now = clock.now()
    message_id = str(uuid.uuid4())
    id_tag = call.id_tag(payload)
    command_id = command_rows.add(
        conn,
        charger_id=charger.id,
        action=action,
        payload=call.redacted(payload),
        message_id=message_id,
        requested_by=requested_by,
        process_id=owner,
        created_at=now,
        expires_at=database_now(conn) + DELIVER_WITHIN,
        connector_id=_storable_connector(payload.get("connectorId")),
        id_tag=id_tag,
        session_id=session_id,
    )
    acts.describe(commandId=command_id)
    if one_use_for is not None and id_tag is not None:
        tag_rows.add(
            conn, id_tag, now, status="Accepted", expiry_date=now + one_use_for, command_id=command_id
        )
    key_hash = None
    if (key := call.key(payload)) is not None:
        key_hash = passwords.hashed(passwords.canonical(key))
        charger = find_charger(conn, charger.identity, lock=True)
        pending = passwords.with_pending(charger.pending_password_hashes, key_hash)
        chargers.change(conn, charger.id, pending_password_hashes=pending)
    return CommandQueued(
        charger.identity,
        command_id,
        charger.id,
        owner,
        action,
        payload,
        message_id,
        requested_by,
        key_hash,
        passwords.known(charger.password_hash, charger.pending_password_hashes),
    )


def dispatch(central: Central, command: CommandQueued, heard: Heard, deadline: float) -> CommandOutcome:
    """Have a queued command delivered, once its row is committed, and wait for its end until the deadline."""
    try:
        central.deliver(command)
    except (BusAway, ChargerGone) as error:
        if (outcome := _undelivered(central, command, error)) is not None:
            return outcome
    outcome = ending(command.identity, command.command_id, heard, deadline)
    if outcome.waiting and command.owner != central.process_id:  # the bus may have lost its end
        with suppress(DatabaseAway), central.database.reading() as conn:
            return _as_noted(command, command_rows.by_id(conn, command.command_id))
    return outcome


def _undelivered(
    central: Central, command: CommandQueued, error: ChargerManagementError
) -> CommandOutcome | None:
    """Its owner has not heard of it, so it is not sent. None: it did hear, and has claimed it by now."""
    values = {"error_code": NOT_SENT, "error_description": str(error)}
    with turn(command.requested_by), central.database.writing() as conn:
        queued = command_rows.QUEUED
        if not settle(conn, central, command, command_rows.ERROR, values, sent=False, only_from=queued):
            return None
    error.command = (command.identity, command.command_id)
    return CommandOutcome(command.identity, command.command_id, command_rows.ERROR, error=error)


def _as_noted(command: CommandQueued, row: AnyRow | None) -> CommandOutcome:
    """How far a command has come by its row."""
    if row is None or row.state in (command_rows.QUEUED, command_rows.SENT):
        return CommandOutcome(command.identity, command.command_id, command_rows.QUEUED)
    ended = CommandEnded(
        command.identity,
        command.command_id,
        row.state,
        row.response,
        row.error_code,
        row.error_description,
        row.sent_at is not None,
    )
    return CommandOutcome(command.identity, command.command_id, row.state, row.response, failure(ended))


def settle(
    conn: Connection,
    central: Central,
    command: CommandQueued,
    state: str,
    values: Mapping[str, Any],
    *,
    sent: bool,
    only_from: str | None = None,
) -> bool:
    """Note the state that a command has come to, with what that does; False: it has come to another one before."""
    moved = command_rows.move(conn, command.command_id, state, only_from=only_from, **values)
    if moved and (effect := central.effects.get(command.action)) is not None:
        answered = Answered(
            command.charger_id,
            command.identity,
            command.command_id,
            command.payload,
            state,
            values.get("response") or {},
            values.get("error_code"),
            sent,
            command.key_hash,
        )
        effect(conn, answered)
    return moved


def ending(identity: str, command_id: int, heard: Heard, deadline: float) -> CommandOutcome:
    """How a command has ended, if it does until the deadline (monotonic seconds)."""
    ended = heard.first(CommandEnded, lambda fact: fact.command_id == command_id, deadline)
    if ended is None:
        return CommandOutcome(identity, command_id, command_rows.QUEUED)
    return CommandOutcome(identity, command_id, ended.state, ended.response, failure(ended))


def failure(ended: CommandEnded) -> ChargerManagementError | None:
    """Why a call ended without a result, as an error that names its command; None: it has one."""
    error: ChargerManagementError | None = None
    if ended.error_code == NOT_SENT:
        error = ChargerBusy(ended.error_description or "")
    elif ended.error_code == NOT_NOTED:
        error = DatabaseAway()
    elif ended.state == command_rows.ERROR:
        error = CallErrored(ended.error_code or "", ended.error_description or "")
    elif ended.state == command_rows.TIMED_OUT:
        error = CallTimedOut(ended.error_description or "")
    elif ended.state == command_rows.CHARGER_GONE:
        error = ChargerGone(ended.error_description or "", sent=ended.sent)
    if error is not None:
        error.command = (ended.identity, ended.command_id)
    return error


def find(engine: Engine, identity: str, command_id: int) -> Row[Any]:
    """One command's row. Raises NotFound."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        row = command_rows.by_id(conn, command_id)
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
        return command_rows.of_charger(
            conn, charger.id, state=state, action=action, before=before, limit=limit
        )


@contextmanager
def turn(requested_by: str) -> Iterator[None]:
    """Around a command's bookkeeping."""
    with _turns["system" if requested_by == SYSTEM else "operator"]:
        yield


def check_registration(charger: Row[Any], call: Call, payload: Mapping[str, Any]) -> None:
    """Raises Conflict when the charger's registration forbids the call."""
    if (why := call.forbidden(charger.registration, payload)) is not None:
        raise Conflict(f"Charger {charger.identity} is {charger.registration}: {why}.")


def _storable_connector(connector_id: Any) -> int | None:
    """The connector of a command; what no charger has (it is sent all the same) is not kept."""
    return connector_id if type(connector_id) is int and 0 <= connector_id < 2**31 else None
