"""Charging sessions as chargers' messages need them: many at once, by every name that they go by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, tuple_, update

from ..domain.registration import admits
from ..domain.transactions import IN_PROGRESS
from . import bulk
from .base import AnyRow
from .bulk import among, distinct
from .models import Charger, Command, Transaction

#: The largest transactionId: a signed 32-bit integer.
LARGEST_ID = 2**31 - 1

_T = Transaction.__table__.c
# Reading a column costs more than it seems, so each message reads what it needs.
_RECOGNISED = (_T.id, _T.status, _T.id_tag_status, _T.start_key, _T.start_ordinal, _T.start_timestamp)
_RUNNING = (
    _T.id,
    _T.charger_id,
    _T.connector_id,
    _T.status,
    _T.effective_start,
    _T.meter_start_mwh,
    _T.meter_last_mwh,
    _T.meter_last_at,
    _T.meter_source,
    _T.flags,
)
#: What MeterValues need of a session.
METERED = (*_RUNNING, _T.effective_end, _T.energy_mwh, _T.interrupted_at)
#: What else a start needs of those that are open.
_BEGUN = (*METERED, _T.id_tag, _T.id_tag_status)
#: What StopTransaction needs of it.
STOPPED = (*_RUNNING, _T.start_timestamp, _T.stop_timestamp, _T.meter_stop_mwh, _T.stop_id_tag, _T.reason)
_NAMED = (*dict.fromkeys((*_RECOGNISED, *STOPPED)), _T.session_id, _T.id_tag)

# Made once: to put a statement together costs as much as to execute it.
_BY_START_KEYS = (
    select(*_RECOGNISED).where(among(_T.start_key, "keys")).order_by(_T.start_key, _T.start_ordinal)
)
_IDS_BY_START_KEYS = select(_T.start_key, _T.start_ordinal, _T.id).where(among(_T.start_key, "keys"))
_BY_IDS = {
    columns: select(*columns).where(among(_T.id, "ids")).order_by(_T.id).with_for_update()
    for columns in (METERED, STOPPED)
}
_OPEN = (
    select(*_BEGUN)
    .where(_T.status == IN_PROGRESS, among(_T.charger_id, "charger_ids"))
    .order_by(_T.id)
    .with_for_update()
)
# By the other index, which begins with the status, it would lock other chargers' open sessions as well.
for _each in ("mysql", "mariadb"):
    _OPEN = _OPEN.with_hint(Transaction, "FORCE INDEX (ix_transactions_charger_id_status)", _each)
_C = Command.__table__.c
_CH = Charger.__table__.c
_REMOTE_STARTS = (
    select(_C.id, _C.charger_id, _C.connector_id, _C.id_tag, _C.session_id)
    .where(
        among(_C.charger_id, "charger_ids"),
        _C.action == "RemoteStartTransaction",
        _C.transaction_id.is_(None),
        _C.created_at >= bindparam("since"),
        _C.state.not_in(("queued", "rejected", "error")),
    )
    .order_by(_C.id.desc())
)


def by_start_keys(conn: Connection, keys: Collection[bytes]) -> dict[bytes, AnyRow]:
    """The newest session of each start key."""
    if not keys:
        return {}
    rows = conn.execute(_BY_START_KEYS, {"keys": keys})
    return {bytes(row.start_key): row for row in rows}


def add(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[bytes, int]:
    """Insert sessions, each with a start key of its own; their transactionIds by start key."""
    table = Transaction.__table__
    if conn.dialect.insert_returning:
        returned = bulk.insert_returning(conn, table, rows, ("start_key", "id"))
        return {bytes(key): transaction_id for key, transaction_id in returned}
    bulk.insert(conn, table, rows)
    ids = ids_by_start_keys(conn, [row["start_key"] for row in rows])
    return {row["start_key"]: ids[row["start_key"], row.get("start_ordinal", 0)] for row in rows}


def ids_by_start_keys(conn: Connection, keys: Collection[bytes]) -> dict[tuple[bytes, int], int]:
    """transactionId by (start key, ordinal)."""
    rows = conn.execute(_IDS_BY_START_KEYS, {"keys": keys})
    return {(bytes(key), ordinal): transaction_id for key, ordinal, transaction_id in rows}


def by_sessions(
    conn: Connection, names: Iterable[tuple[int, str]], *, lock: bool = False
) -> dict[tuple[int, str], list[AnyRow]]:
    """Sessions by (charger row id, sessionId), oldest first: a flat charger may count from 1 again."""
    wanted = distinct(names)
    if not wanted:
        return {}
    query = select(*_NAMED).where(tuple_(_T.charger_id, _T.session_id).in_(wanted)).order_by(_T.id)
    found: dict[tuple[int, str], list[AnyRow]] = {}
    for row in conn.execute(query.with_for_update() if lock else query):
        found.setdefault((row.charger_id, row.session_id), []).append(row)
    return found


def by_ids(conn: Connection, ids: Collection[int], columns: tuple[Any, ...] = METERED) -> dict[int, AnyRow]:
    """Sessions by transactionId, locked until the commit; `columns`: METERED or STOPPED."""
    if not ids:
        return {}
    rows = conn.execute(_BY_IDS[columns], {"ids": ids})
    return {row.id: row for row in rows}


def open_sessions(conn: Connection, charger_ids: Collection[int]) -> dict[int, list[AnyRow]]:
    """The sessions in progress of each charger, oldest first, locked until the commit."""
    found: dict[int, list[AnyRow]] = {}
    if charger_ids:
        for row in conn.execute(_OPEN, {"charger_ids": charger_ids}):
            found.setdefault(row.charger_id, []).append(row)
    return found


def latest_of(conn: Connection, charger_id: int, limit: int) -> Sequence[AnyRow]:
    """A charger's newest sessions by start."""
    return conn.execute(
        select(*STOPPED, _T.id_tag)
        .where(_T.charger_id == charger_id)
        .order_by(_T.effective_start.desc(), _T.id.desc())
        .limit(limit)
    ).all()


def remote_starts(conn: Connection, charger_ids: Collection[int], since: datetime) -> Sequence[AnyRow]:
    """Remote starts that may still cause a StartTransaction, newest first."""
    return conn.execute(_REMOTE_STARTS, {"charger_ids": charger_ids, "since": since}).all()


def approve(conn: Connection, charger_id: int) -> None:
    """What the charger stored before it was approved is history now."""
    conn.execute(
        update(Transaction.__table__)
        .where(_T.charger_id == charger_id, _T.unapproved.is_(True))
        .values(unapproved=False)
    )


def unapproved(conn: Connection, charger_ids: Iterable[int], onboarding: str) -> set[int]:
    """Those of the chargers that may not come in: what they store is kept apart until they may.

    Their rows are locked, so that an approval comes before it or after it, and then finds what was stored.
    """
    if onboarding == "open":
        return set()  # who is refused there has no socket
    rows = conn.execute(
        select(_CH.id, _CH.approved)
        .where(_CH.id.in_(distinct(charger_ids)))
        .order_by(_CH.id)
        .with_for_update(read=True)
    )
    return {row.id for row in rows if not admits(row.approved, onboarding)}
