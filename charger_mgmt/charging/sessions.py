"""An operator starts and ends charging sessions.

On an OCPP-J charger "accepted" is not "started": the session begins when the charger's StartTransaction
comes and ends with its StopTransaction, and until then the operator is told no more than what is known.
A charger of a dialect that takes no calls is not asked: there the operator's word is recorded at once.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row

from .. import clock
from ..central import Central
from ..commands import command_rows
from ..commands.calls import CALLS
from ..commands.outbox import CommandOutcome, check_registration, dispatch, ending, failure, queue
from ..database import chargers, reservations
from ..database import transactions as store
from ..database.chargers import find as find_charger
from ..database.connections import reading, writing
from ..database.transactions import LARGEST_ID
from ..domain import authorisation, dialect
from ..domain.dialect import Dialect
from ..domain.roles import Sites
from ..domain.transactions import COMPLETED, IN_PROGRESS, INTERRUPTED
from ..errors import (
    AmbiguousSession,
    CallTimedOut,
    ChargerOffline,
    CommandRefused,
    Conflict,
    InvalidInput,
    NotFound,
    TagRefused,
)
from ..feed import CommandEnded, CommandQueued, Heard, SessionBegan, SessionEnded
from ..tags.lookup import count_active, find_tags
from . import by_operator, history_rows, limits
from .start import REMOTE_START_WINDOW, counts_as_active

START = "RemoteStartTransaction"
#: As we write a transactionId: `65`, never `00065`.
_TRANSACTION_ID = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a start or an end has come.

    `transaction_id` with a start: its StartTransaction has come (None: accepted, not yet begun).
    `status` is the transaction's; `repeated` tells that there was nothing left to do.
    """

    identity: str
    session_id: str | None
    transaction_id: int | None
    status: str | None
    command_id: int | None = None
    repeated: bool = False
    id_tag_status: str | None = None


def start(
    central: Central,
    engine: Engine,
    identity: str,
    session_id: str,
    *,
    connector_id: int | None = None,
    id_tag: str | None = None,
    energy_mwh: int | None = None,
    minutes: int | None = None,
    requested_by: str,
) -> Progress:
    """Start a session, or find the one that this sessionId started on this charger before.

    `energy_mwh`, `minutes`: what it may take, and how long it may last (limits.py).

    Raises InvalidInput (a sessionId that could be taken for a transactionId), NotFound, TagRefused,
    ChargerOffline, ChargerBusy, CommandRefused, Conflict (registration; a session that was given up), CallErrored,
    and CallTimedOut or ChargerGone when the outcome is unknown.
    """
    message = None
    if session_id.isdigit():
        message = "must not be digits only: it could be taken for a transactionId"
    elif session_id in authorisation.RELATIVE:
        message = "must not be a relative path: nobody could name it in an address"
    if message is not None:
        raise InvalidInput(f"sessionId: {message}", {"sessionId": message})
    deadline = clock.monotonic() + central.settings.operator_wait
    earlier = fresh = None
    with central.feed.listening(identity) as heard:
        with writing(engine) as conn:
            # The lock makes two requests with one sessionId come one after the other.
            charger = find_charger(conn, identity, lock=True)
            known = history_rows.by_session(conn, charger.id, session_id)
            if known is not None:
                return _started_before(known)
            connector_id = connector_id or _only_connector(conn, charger)
            _check_reservations(conn, charger, connector_id, id_tag)
            if not spoken(central, charger).takes_calls:
                check_registration(charger, CALLS[START], {})
                judged = _judge(conn, central, charger, connector_id, id_tag)
                at_once = _start_here(conn, charger, session_id, connector_id, id_tag, judged)
            else:
                at_once = None
                earlier = command_rows.newest_start(conn, charger.id, session_id)
                if earlier is not None and not _may_still_start(earlier):
                    earlier = None
                if earlier is None:
                    _judge(conn, central, charger, connector_id, id_tag)
                    fresh = _queue_start(
                        conn, central, charger, session_id, connector_id, id_tag, requested_by
                    )
                    limits.set_for_start(
                        conn,
                        energy_mwh=energy_mwh,
                        minutes=minutes,
                        set_by=requested_by,
                        command_id=fresh.command_id,
                    )
        if at_once is not None:
            assert at_once.transaction_id is not None
            central.feed.publish([SessionBegan(identity, at_once.transaction_id, authorisation.ACCEPTED)])
            return at_once
        if fresh is not None:
            outcome = dispatch(central, fresh, heard, deadline)
        else:
            assert earlier is not None
            outcome = _answer_to(engine, identity, earlier, heard, deadline)
        return _progress_of_start(engine, outcome, session_id, heard, deadline)


def _check_reservations(
    conn: Connection, charger: Row[Any], connector_id: int | None, id_tag: str | None
) -> None:
    """Raises Conflict when the connector is kept for somebody else (section 5.13)."""
    now = clock.now()
    kept = [
        row for row in reservations.open_ones(conn, [charger.id], now) if row.connector_id == connector_id
    ]
    if not kept:
        return
    tag = find_tags(conn, [id_tag], starting=True).get(id_tag) if id_tag is not None else None
    for row in kept:
        same_group = (
            tag is not None and row.parent_id_tag is not None and tag.parent_id_tag == row.parent_id_tag
        )
        if not same_group and not authorisation.may_be_same(id_tag, row.id_tag):
            raise Conflict(
                f"Connector {connector_id} is kept for another idTag until {row.expires_at:%Y-%m-%d %H:%M} UTC, by"
                f" reservation {row.id}."
            )


def _started_before(known: Row[Any]) -> Progress:
    """What a sessionId is told that has a session already. Raises Conflict, TagRefused when it is none to go on."""
    if known.status == INTERRUPTED:
        raise Conflict(
            f"The sessionId {known.session_id} is used up by transaction {known.id}, which is Interrupted:"
            " take another one."
        )
    _refuse_unless_accepted(known.id, known.id_tag_status)
    return Progress(
        known.identity,
        known.session_id,
        known.id,
        known.status,
        repeated=True,
        id_tag_status=known.id_tag_status,
    )


def _refuse_unless_accepted(transaction_id: int, status: str | None) -> None:
    """Raises TagRefused when the session's start was told that its tag may not charge."""
    if status not in (None, authorisation.ACCEPTED):
        raise TagRefused(
            f"The charger reported the start as transaction {transaction_id}, and was told that the idTag is"
            f" {status}.",
            status,
        )


def _judge(
    conn: Connection, central: Central, charger: Row[Any], connector_id: int | None, id_tag: str | None
) -> str:
    """The tag's status, which is Accepted. Raises TagRefused: the charger is not bothered with what we would refuse."""
    if id_tag is None:
        return authorisation.ACCEPTED
    now, status = clock.now(), authorisation.unknown_status(central.settings.unknown_tags)
    tag = find_tags(conn, [id_tag], starting=True).get(id_tag)
    if tag is not None:
        key = authorisation.tag_key(tag.id_tag)
        leaving = sum(
            authorisation.tag_key(row.id_tag or "") == key and counts_as_active(row)
            for row in store.open_sessions(conn, [charger.id]).get(charger.id, ())
            if connector_id is not None
            and row.connector_id == connector_id
            and spoken(central, charger).takes_calls
        )
        active = count_active(conn, [tag]).get(key, 0) - leaving
        status = authorisation.judge(tag, now, at=charger.id, unknown=status, active=active).status
    if status != authorisation.ACCEPTED:
        raise TagRefused(f"The idTag {id_tag} may not charge: it is {status}.", status)
    return status


def end(
    central: Central,
    engine: Engine,
    name: str,
    *,
    force: bool = False,
    sites: Sites = None,
    requested_by: str,
) -> Progress:
    """End the transaction, at these sites, with this id (digits) or sessionId (anything else); `force` gives it up.

    One that is Completed is left as it is; one that is Interrupted may go on at its charger, which is asked.
    A forced end needs no charger: the transaction becomes Interrupted, with the last thing known of it.
    Raises as `start` does, and AmbiguousSession.
    """
    deadline = clock.monotonic() + central.settings.operator_wait
    with writing(engine) as conn:
        row = _find(conn, name, sites)
        if row.status == COMPLETED or (force and row.status == INTERRUPTED):
            return Progress(row.identity, row.session_id, row.id, row.status, repeated=True)
        charger = find_charger(conn, row.identity, removed=True)
        speaks = spoken(central, charger)
        stop = None
        if force:
            by_operator.interrupt_by_operator(
                conn, row.id, spoken=speaks, now=clock.now(), requested_by=requested_by
            )
        elif speaks.takes_calls:
            stop = _queue_stop(conn, central, charger, row.id, requested_by)
        else:
            if row.status == INTERRUPTED:
                raise Conflict(
                    f"Transaction {row.id} is Interrupted: it was given up before its end was reported."
                )
            by_operator.end_by_operator(conn, row.id, now=clock.now())
    if stop is not None:
        return _have_it_ended(central, engine, row, stop, deadline)
    if not force:
        central.feed.publish([SessionEnded(row.identity, row.id)])
    return Progress(row.identity, row.session_id, row.id, _status(engine, row.id))


def _have_it_ended(
    central: Central, engine: Engine, row: Row[Any], stop: CommandQueued, deadline: float
) -> Progress:
    """Have the charger told of the stop that is queued for a session, and wait for its word."""
    with central.feed.listening(row.identity) as heard:  # it is told of by `dispatch`, not before
        outcome = dispatch(central, stop, heard, deadline)
        ended = None
        if outcome.state == command_rows.ACCEPTED:
            ended = heard.first(SessionEnded, lambda fact: fact.transaction_id == row.id, deadline)
    status = COMPLETED if ended is not None else _completed(engine, row.id)
    if status is None:
        _raise_unless_accepted(outcome)
    return Progress(row.identity, row.session_id, row.id, status or row.status, outcome.command_id)


def close(engine: Engine, name: str, reason: str, *, sites: Sites = None, requested_by: str) -> Progress:
    """Close a session whose charger never reported its end: it becomes Interrupted, the reason is kept.

    The charger is not asked. Raises NotFound, AmbiguousSession, Conflict when it is Completed.
    """
    with writing(engine) as conn:
        row = _find(conn, name, sites)
        if row.status == COMPLETED:
            raise Conflict(f"Transaction {row.id} is Completed: its charger has reported the end.")
        repeated = row.status == INTERRUPTED
        charger = find_charger(conn, row.identity, removed=True)
        by_operator.interrupt_by_operator(
            conn,
            row.id,
            spoken=dialect.named(charger.dialect),
            now=clock.now(),
            requested_by=requested_by,
            reason=reason,
        )
    return Progress(row.identity, row.session_id, row.id, INTERRUPTED, repeated=repeated)


def spoken(central: Central, charger: Row[Any]) -> Dialect:
    """What the charger speaks: what it was bound to counts, not what somebody dialled under its name."""
    if charger.bound_dialect is None and central.owner_of(charger) is not None:
        return dialect.OCPP16
    return dialect.named(charger.bound_dialect or charger.dialect)


def _only_connector(conn: Connection, charger: Row[Any]) -> int | None:
    """The connector of a charger that has reported just one."""
    outlets = [row.connector_id for row in chargers.connectors(conn, charger.id) if row.connector_id > 0]
    return outlets[0] if len(outlets) == 1 else None


def _start_here(
    conn: Connection,
    charger: Row[Any],
    session_id: str,
    connector_id: int | None,
    id_tag: str | None,
    id_tag_status: str,
) -> Progress:
    transaction_id = by_operator.start_by_operator(
        conn,
        charger,
        session_id,
        connector_id=connector_id,
        id_tag=id_tag,
        id_tag_status=id_tag_status,
        now=clock.now(),
    )
    return Progress(charger.identity, session_id, transaction_id, IN_PROGRESS, id_tag_status=id_tag_status)


def _queue_start(
    conn: Connection,
    central: Central,
    charger: Row[Any],
    session_id: str,
    connector_id: int | None,
    id_tag: str | None,
    requested_by: str,
) -> CommandQueued:
    # 16 characters: chargers exist that append to an idTag or cut it.
    payload: dict[str, Any] = {"idTag": id_tag or secrets.token_hex(8).upper()}
    if connector_id is not None:
        payload["connectorId"] = connector_id
    return queue(
        conn,
        central,
        charger,
        START,
        payload,
        requested_by=requested_by,
        session_id=session_id,
        one_use_for=None if id_tag else REMOTE_START_WINDOW,
    )


def _queue_stop(
    conn: Connection, central: Central, charger: Row[Any], transaction_id: int, requested_by: str
) -> CommandQueued:
    payload = {"transactionId": transaction_id}
    try:
        return queue(conn, central, charger, "RemoteStopTransaction", payload, requested_by=requested_by)
    except ChargerOffline as error:
        raise ChargerOffline(
            f'{error} If it is gone for good, send {{"force": true}} to give the session up.'
        ) from None


def _may_still_start(command: Row[Any]) -> bool:
    """Whether a start that was sent earlier can still become a session."""
    if command.state == command_rows.QUEUED:  # nobody may have heard of it
        return bool(command.expires_at > clock.now())
    if command.state == command_rows.SENT:
        return True
    said_yes = command.state == command_rows.ACCEPTED or (
        command.state == command_rows.LATE_ANSWER and (command.response or {}).get("status") == "Accepted"
    )
    return said_yes and command.created_at > clock.now() - REMOTE_START_WINDOW


def _answer_to(
    engine: Engine, identity: str, command: Row[Any], heard: Heard, deadline: float
) -> CommandOutcome:
    """What the charger answered to a command that another request sent."""
    outcome = _outcome_of(identity, command)
    if outcome.waiting:
        outcome = ending(identity, command.id, heard, deadline)
    if outcome.waiting:
        with reading(engine) as conn:
            row = command_rows.by_id(conn, command.id)
        assert row is not None
        outcome = _outcome_of(identity, row)
    return outcome


def _outcome_of(identity: str, row: Row[Any]) -> CommandOutcome:
    """How far a command has come, by its row."""
    state = command_rows.ACCEPTED if row.state == command_rows.LATE_ANSWER else row.state
    ended = CommandEnded(
        identity,
        row.id,
        state,
        row.response,
        row.error_code,
        row.error_description,
        row.sent_at is not None,
    )
    return CommandOutcome(identity, row.id, state, row.response, failure(ended))


def _progress_of_start(
    engine: Engine, outcome: CommandOutcome, session_id: str, heard: Heard, deadline: float
) -> Progress:
    began = None
    if outcome.state == command_rows.ACCEPTED:
        began = heard.first(SessionBegan, lambda fact: fact.command_id == outcome.command_id, deadline)
    if began is not None:
        return _begun(outcome, session_id, began.transaction_id, IN_PROGRESS, began.id_tag_status)
    if (row := _caused(engine, outcome.command_id)) is not None:  # heard of by nobody here
        return _begun(outcome, session_id, row.id, row.status, row.id_tag_status)
    _raise_unless_accepted(outcome)
    return Progress(
        outcome.identity, session_id, None, None, outcome.command_id, id_tag_status=authorisation.ACCEPTED
    )


def _begun(
    outcome: CommandOutcome, session_id: str, transaction_id: int, status: str, id_tag_status: str | None
) -> Progress:
    _refuse_unless_accepted(transaction_id, id_tag_status)
    return Progress(
        outcome.identity,
        session_id,
        transaction_id,
        status,
        outcome.command_id,
        id_tag_status=id_tag_status,
    )


def _raise_unless_accepted(outcome: CommandOutcome) -> None:
    """Raise what kept the command from being accepted."""
    if outcome.state == command_rows.ACCEPTED:
        return
    error = outcome.error
    if error is None and outcome.waiting:
        error = CallTimedOut("The charger has not answered yet: the outcome is unknown.")
    if error is None:
        answer = (outcome.response or {}).get("status")
        error = CommandRefused(f"Charger {outcome.identity} refused: {answer}.")
    error.command = (outcome.identity, outcome.command_id)
    raise error


def _find(conn: Connection, name: str, sites: Sites) -> Row[Any]:
    """The transaction that an operator means, who sees these sites. Digits are always a transactionId, as we write it."""
    if name.isdigit():
        number = transaction_id(name)
        row = None if number is None else history_rows.by_id(conn, number, sites)
        if row is None:
            raise NotFound(f"There is no transaction {name[:40]}.")
        return row
    open_ones, ended = history_rows.named(conn, name, sites)
    if len(open_ones) > 1:
        raise AmbiguousSession
    row = open_ones[0] if open_ones else ended
    if row is None or row.session_id != name:  # MariaDB's comparison ignores blanks at the end
        raise NotFound(f"There is no session {name[:255]!r}.")
    return row


def transaction_id(text: str) -> int | None:
    """The transactionId that a text names, in the one way in which we write it; None: none."""
    number = int(text) if _TRANSACTION_ID.fullmatch(text) else 0
    return number if 0 < number <= LARGEST_ID else None


def _caused(engine: Engine, command_id: int) -> Row[Any] | None:
    """The transaction that a remote start has caused so far."""
    with reading(engine) as conn:
        transaction_id = command_rows.transaction_of(conn, command_id)
        return None if transaction_id is None else history_rows.by_id(conn, transaction_id)


def _status(engine: Engine, transaction_id: int) -> str | None:
    with reading(engine) as conn:
        return history_rows.status_of(conn, transaction_id)


def _completed(engine: Engine, transaction_id: int) -> str | None:
    status = _status(engine, transaction_id)
    return status if status == COMPLETED else None
