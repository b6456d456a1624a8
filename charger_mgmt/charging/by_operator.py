"""What an operator does to a session without the charger: for one that takes no calls, and to close lost ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from ..database import bulk, transactions
from ..database.base import AnyRow
from ..database.models import Charger, Connector, MeterValue, Transaction
from ..domain import dialect
from ..domain import status as status_rules
from ..domain import transactions as rules
from ..domain.dialect import Dialect
from ..domain.keys import key
from ..errors import ChargerBusy
from ..status import of_sessions
from ..status.of_sessions import Outlet
from .start import interrupted


def start_by_operator(
    conn: Connection,
    charger: Any,
    session_id: str,
    *,
    connector_id: int | None,
    id_tag: str | None,
    id_tag_status: str,
    now: datetime,
) -> int:
    """Record the start of a session at a charger that takes no calls; returns its transactionId.

    `charger` has `id` and `status`. The same sessionId again is the same session. Raises ChargerBusy
    when the charger is Unavailable or Faulted, or already has a session on that connector.
    """
    known = transactions.by_sessions(conn, [(charger.id, session_id)])
    if known:
        return int(known[charger.id, session_id][-1].id)
    if charger.status in (status_rules.UNAVAILABLE, status_rules.FAULTED):
        raise ChargerBusy(f"the charger is {charger.status}")
    connector = connector_id or 1
    for row in transactions.open_sessions(conn, [charger.id]).get(charger.id, ()):
        if row.connector_id == connector:
            raise ChargerBusy(f"connector {connector} is in use by transaction {row.id}")
    start_key = key("session", charger.id, session_id)
    ids = transactions.add(
        conn,
        [
            {
                "charger_id": charger.id,
                "connector_id": connector,
                "session_id": session_id,
                "id_tag": id_tag,
                "id_tag_status": id_tag_status,
                "status": rules.IN_PROGRESS,
                "start_key": start_key,
                "start_received_at": now,
                "effective_start": now,
            }
        ],
    )
    of_sessions.show(conn, [Outlet(charger.id, connector, now)], spoken=False)
    return ids[start_key]


def end_by_operator(conn: Connection, transaction_id: int, *, now: datetime) -> None:
    """Complete a session at a charger that takes no calls: for it the operator's word is enough."""
    row = _open(conn, transaction_id)
    if row is None:
        return
    energy, odd = rules.energy(row.meter_start_mwh, row.meter_last_mwh, now - row.effective_start)
    bulk.update(
        conn,
        Transaction.__table__,
        [
            {
                "id": row.id,
                "status": rules.COMPLETED,
                "stop_received_at": now,
                "effective_end": max(now, row.effective_start),
                "energy_mwh": energy,
                "reason": "Remote",
                "flags": rules.join_flags(row.flags, odd - {rules.NO_METER_START}),
            }
        ],
    )
    of_sessions.show(conn, [Outlet(row.charger_id, row.connector_id, now)], spoken=False)


def interrupt_by_operator(
    conn: Connection,
    transaction_id: int,
    *,
    spoken: Dialect,
    now: datetime,
    requested_by: str,
    reason: str | None = None,
) -> None:
    """Close a session whose charger never reported its end: it is Interrupted, not Completed.

    `spoken`: the dialect that the charger speaks.
    """
    row = _open(conn, transaction_id)
    if row is None:
        return
    closed = interrupted(row, {rules.CLOSED_BY_OPERATOR}, now)
    closed |= {"close_reason": reason, "closed_by": requested_by}
    bulk.update(conn, Transaction.__table__, [closed])
    if not spoken.reports_status:
        of_sessions.show(conn, [Outlet(row.charger_id, row.connector_id, now)], spoken=False)


#: Dialects in which sessions have samples.
_METERED = [each.name for each in dialect.BY_NAME.values() if each.reports_meters]
#: A session that has shown no sign for so long is worth a look.
NO_SIGN_AFTER = timedelta(minutes=15)


def flag_without_sign(conn: Connection, now: datetime) -> int:
    """Flag the sessions that are open without a sample while their connector does not charge. Returns how many.

    Their charger may have lost them with the answer to their start. A sample or a charging connector takes
    the flag away; an operator may close them. Chargers that send no samples are left out.
    """
    t, c, k = Transaction.__table__.c, Connector.__table__.c, Charger.__table__.c
    sampled = select(MeterValue.id).where(MeterValue.transaction_id == t.id).exists()
    charging = (
        select(c.charger_id)
        .where(
            c.charger_id == t.charger_id,
            c.connector_id == t.connector_id,
            c.status.in_(sorted(status_rules.DELIVERING)),
            c.retired_at.is_(None),
        )
        .exists()
    )
    found = conn.scalars(
        select(t.id)
        .join(Charger.__table__, k.id == t.charger_id)
        .where(
            t.status == rules.IN_PROGRESS,
            t.start_received_at < now - NO_SIGN_AFTER,
            t.meter_last_at.is_(None),
            t.flags.not_like(f"%{rules.NO_SIGN}%"),
            k.dialect.in_(_METERED),
            ~sampled,
            ~charging,
        )
        .order_by(t.id)
        .limit(1000)
    ).all()
    locked = transactions.by_ids(conn, found).values()
    changed = [
        {"id": row.id, "flags": rules.join_flags(row.flags, {rules.NO_SIGN})}
        for row in locked
        if row.status == rules.IN_PROGRESS and row.meter_last_at is None
    ]
    bulk.update(conn, Transaction.__table__, changed)
    return len(changed)


def _open(conn: Connection, transaction_id: int) -> AnyRow | None:
    row = transactions.by_ids(conn, [transaction_id]).get(transaction_id)
    return row if row is not None and row.status == rules.IN_PROGRESS else None
