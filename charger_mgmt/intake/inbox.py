"""The inbox: messages that could not become rows, kept whole for the operator."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from ..database import bulk, transactions
from ..database.models import Inbox, Transaction
from ..domain import authorisation, facts
from ..domain import transactions as rules
from ..domain.keys import key
from ..domain.oddities import LOSSY
from ..domain.outcomes import Begun, Ended
from ..settings import Settings
from .messages import ChargerMessage, Reply

POISON = "poison"
ORPHAN_STOP = "orphan-stop"
UNREADABLE = "unreadable"
CONFLICTING_STOP = "conflicting-stop"
NOT_ADMITTED = "not-admitted"
KINDS = (POISON, ORPHAN_STOP, CONFLICTING_STOP, UNREADABLE, NOT_ADMITTED)


def keep_orphans(conn: Connection, messages: Sequence[ChargerMessage[facts.SessionEnds]]) -> None:
    """Keep StopTransactions that belong to no known session."""
    rows: dict[bytes, dict[str, Any]] = {}
    for message in messages:
        row = _row(message, ORPHAN_STOP, f"no session {message.fact.named} of this charger is known", None)
        rows.setdefault(row["message_key"], row)
    bulk.insert_new(conn, Inbox.__table__, list(rows.values()))


def keep_conflicting(
    conn: Connection, messages: Sequence[tuple[ChargerMessage[facts.SessionEnds], int]]
) -> None:
    """Keep stops of sessions (their transactionId) that another stop had ended, and that say something else."""
    rows: dict[bytes, dict[str, Any]] = {}
    for message, transaction_id in messages:
        reason = "the session had ended with another stop, which counts"
        row = _row(message, CONFLICTING_STOP, reason, transaction_id)
        rows.setdefault(row["message_key"], row)
    bulk.insert_new(conn, Inbox.__table__, list(rows.values()))


def keep_refused(
    conn: Connection,
    messages: Sequence[ChargerMessage[facts.TurnedAway]],
    now: datetime,
    settings: Settings,
) -> list[Reply]:
    """Keep messages about sessions of a known charger on a socket that may not speak for it.

    Nobody can tell whether it is the charger: an operator may.
    """
    rows: dict[bytes, dict[str, Any]] = {}
    for message in messages:
        row = _row(message, NOT_ADMITTED, message.fact.reason, None)
        row["action"] = message.fact.action
        rows.setdefault(row["message_key"], row)
    bulk.insert_new(conn, Inbox.__table__, list(rows.values()))
    return [Reply() for _ in messages]


def keep_unreadable(conn: Connection, messages: Iterable[tuple[ChargerMessage[Any], int | None]]) -> None:
    """Keep the text of messages (with their transactionId) of which something could not be read."""
    rows: dict[bytes, dict[str, Any]] = {}
    for message, transaction_id in messages:
        lost = LOSSY.intersection(message.oddities)
        if lost:
            row = _row(message, UNREADABLE, " ".join(sorted(lost)), transaction_id)
            rows.setdefault(row["message_key"], row)
    bulk.insert_new(conn, Inbox.__table__, list(rows.values()))


def set_aside(
    conn: Connection, message: ChargerMessage[Any], reason: str, now: datetime, settings: Settings
) -> Reply | None:
    """Keep a poisonous message. Returns the answer that lets the charger move on.

    The start of a session gets a minimal one, so that there is a transactionId to answer and a stop has
    something to end. None: the message is not about a transaction, so an error may be answered.
    """
    transaction_id = None
    if message.row.fact is facts.SessionBegins:
        transaction_id = _minimal_session(conn, message, settings)
    row = _row(message, POISON, reason, transaction_id)
    bulk.insert_new(conn, Inbox.__table__, [row])
    if not message.row.never_refused:
        return None
    if transaction_id is not None:
        return Reply(Begun(transaction_id, authorisation.Verdict(authorisation.ACCEPTED)))
    return Reply(Ended()) if message.row.fact is facts.SessionEnds else Reply()


def _minimal_session(conn: Connection, message: ChargerMessage[Any], settings: Settings) -> int:
    """A session of which only the charger and the time of receipt are certain; one for each message."""
    start_key = key("poison", _message_key(message))
    bulk.insert_new(
        conn,
        Transaction.__table__,
        [
            {
                "charger_id": message.charger_id,
                "status": rules.IN_PROGRESS,
                "start_key": start_key,
                "start_received_at": message.received_at,
                "effective_start": message.received_at,
                "flags": rules.join_flags({rules.POISON, rules.NO_METER_START}),
                "unapproved": bool(
                    transactions.unapproved(conn, [message.charger_id], settings.charger_onboarding)
                ),
            }
        ],
    )
    return transactions.ids_by_start_keys(conn, [start_key])[start_key, 0]


def _row(message: ChargerMessage[Any], kind: str, reason: str, transaction_id: int | None) -> dict[str, Any]:
    return {
        "charger_id": message.charger_id,
        "kind": kind,
        "message_key": _message_key(message),
        "action": message.action,
        "message_id": None if message.message_id is None else message.message_id[:255],
        "raw": message.raw,
        "reason": reason[:1000],
        "transaction_id": transaction_id,
        "received_at": message.received_at,
    }


def _message_key(message: ChargerMessage[Any]) -> bytes:
    """The same message again, with whatever message id, is the same row.

    In a frame the id stands before the action, and the payload behind it. What was read out of a message without an
    id counts, not how it was written; what our side tells of a charger has the charger's text with it.
    """
    content = ""
    if message.message_id is not None:
        content = message.raw.partition(f'"{message.action}"')[2]
    elif isinstance(message.payload, facts.Fact):
        content = f"{message.payload} {message.raw}"
    content = content or json.dumps(message.payload, sort_keys=True, default=str)
    return key("message", message.charger_id, message.action, content)
