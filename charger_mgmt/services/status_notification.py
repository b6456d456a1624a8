"""StatusNotification: what a connector says of itself (OCPP 1.6 section 4.9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from ..domain import transactions as rules
from ..domain.status import DELIVERING
from ..ocpp import timestamps
from ..store import bulk, transactions
from ..store.models import Transaction
from . import connector_status
from .inbound import ChargerMessage, Reply, Settings

#: What tells whether a connector has a session.
_TELLING = {"Available"} | DELIVERING
#: A time further off than this is an old report or a clock that was never set, not skew.
MOST_SKEW = timedelta(days=1)


def report(
    conn: Connection, messages: Sequence[ChargerMessage], now: datetime, settings: Settings
) -> list[Reply]:
    """Store the connectors' statuses; no session is ever started or ended by one."""
    connector_status.apply(conn, [_report(message) for message in messages])
    _mark_suspects(conn, messages)
    return [Reply({}) for _ in messages]


def _report(message: ChargerMessage) -> connector_status.Report:
    payload = message.payload
    moment = timestamps.parse(payload.get("timestamp") or "")
    skew = None
    if moment is not None and abs(moment - message.received_at) <= MOST_SKEW:
        skew = int((moment - message.received_at).total_seconds() * 1000)
    return connector_status.Report(
        charger_id=message.charger_id,
        connector_id=payload["connectorId"],
        status=payload["status"],
        received_at=message.received_at,
        timestamp=moment,
        error_code=payload.get("errorCode") or "NoError",
        info=_cut(payload.get("info")),
        vendor_id=_cut(payload.get("vendorId")),
        vendor_error_code=_cut(payload.get("vendorErrorCode")),
        reported_error_code=_cut(payload.get("reportedErrorCode")),
        clock_skew_ms=skew,
    )


def _mark_suspects(conn: Connection, messages: Sequence[ChargerMessage]) -> None:
    """A connector that is Available has no session: the open one may have lost its stop.

    Until the connector delivers again, or the stop comes after all.
    """
    suspects = {
        (message.charger_id, message.payload["connectorId"]): message.payload["status"] == "Available"
        for message in messages
        if message.payload["status"] in _TELLING
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


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:255]
