"""StatusNotification: what a connector says of itself (OCPP 1.6 section 4.9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from ..database import bulk, local_lists, reservations, transactions
from ..database.models import Transaction
from ..domain import facts
from ..domain import transactions as rules
from ..domain.reservations import TERMINATING
from ..domain.status import DELIVERING
from ..intake.messages import ChargerMessage, Reply
from ..settings import Settings
from . import connector_status

#: What tells whether a connector has a session.
_TELLING = {"Available"} | DELIVERING
_MAY_END_RESERVATIONS = {"Available"} | TERMINATING
#: A time further off than this is an old report or a clock that was never set, not skew.
MOST_SKEW = timedelta(days=1)


def report(
    conn: Connection,
    messages: Sequence[ChargerMessage[facts.ConnectorReports]],
    now: datetime,
    settings: Settings,
) -> list[Reply]:
    """Store the connectors' statuses; no session is ever started or ended by one."""
    _end_reservations(conn, messages, now)
    connector_status.apply(conn, [_report(message) for message in messages])
    _mark_suspects(conn, messages)
    if conflicts := {m.charger_id for m in messages if m.fact.error_code == "LocalListConflict"}:
        local_lists.forget(conn, conflicts)  # section 3.5.2: it is to be written anew
    return [Reply() for _ in messages]


def _end_reservations(
    conn: Connection, messages: Sequence[ChargerMessage[facts.ConnectorReports]], now: datetime
) -> None:
    reported = {
        (message.charger_id, message.fact.connector_id): message.fact.status
        for message in messages
        if message.fact.status in _MAY_END_RESERVATIONS
    }
    if reported:
        reservations.end(conn, reported, now)


def _report(message: ChargerMessage[facts.ConnectorReports]) -> connector_status.Report:
    said = message.fact
    skew = None
    if said.at is not None and abs(said.at - message.received_at) <= MOST_SKEW:
        skew = int((said.at - message.received_at).total_seconds() * 1000)
    return connector_status.Report(
        charger_id=message.charger_id,
        connector_id=said.connector_id,
        status=said.status,
        received_at=message.received_at,
        timestamp=said.at,
        error_code=said.error_code,
        info=said.info,
        vendor_id=said.vendor_id,
        vendor_error_code=said.vendor_error_code,
        reported_error_code=said.reported_error_code,
        clock_skew_ms=skew,
    )


def _mark_suspects(conn: Connection, messages: Sequence[ChargerMessage[facts.ConnectorReports]]) -> None:
    """A connector that is Available has no session: the open one may have lost its stop.

    Until the connector delivers again, or the stop comes after all.
    """
    suspects = {
        (message.charger_id, message.fact.connector_id): message.fact.status == "Available"
        for message in messages
        if message.fact.status in _TELLING
    }
    sessions = transactions.open_sessions(conn, {charger_id for charger_id, _ in suspects})
    changed = []
    for row in (row for rows in sessions.values() for row in rows):
        suspect = suspects.get((row.charger_id, row.connector_id))
        flags = set(row.flags.split())
        if suspect is None:
            continue
        after = flags | {rules.SUSPECT} if suspect else flags - {rules.SUSPECT, rules.NO_SIGN}
        if after != flags:
            changed.append({"id": row.id, "flags": rules.join_flags(after)})
    bulk.update(conn, Transaction.__table__, changed)
