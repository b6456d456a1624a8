"""Chargers as operators see them, one by one and as lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    func,
    insert,
    literal,
    or_,
    outerjoin,
    select,
    update,
)

from ..domain.roles import Sites
from ..domain.status import FAULTED
from ..domain.transactions import IN_PROGRESS
from ..errors import NotFound
from . import bulk, pages
from .base import UtcDateTime
from .models import (
    Charger,
    ChargerEvent,
    ChargerOddity,
    Connector,
    Inbox,
    MeterValue,
    Sighting,
    StatusChange,
    Transaction,
)
from .pages import Page

_C = Charger.__table__.c
#: What a list shows of each charger.
LISTED: tuple[Any, ...] = (
    _C.id,
    _C.identity,
    _C.status,
    _C.has_fault,
    _C.connected,
    _C.connected_since,
    _C.disconnected_at,
    _C.disconnected_reason,
    _C.registration,
    _C.approved,
    _C.dialect,
    _C.blocked,
    Sighting.seen_at.label("last_seen_at"),
    _C.vendor,
    _C.model,
    _C.firmware_version,
    _C.name,
    _C.city,
    _C.country,
    _C.latitude,
    _C.longitude,
    _C.site_id,
)
#: What decides about a charger's socket.
ADMITTED: tuple[Any, ...] = (
    _C.id,
    _C.identity,
    _C.connected,
    _C.registration,
    _C.approved,
    _C.blocked,
    _C.bound_dialect,
    _C.dialect_pinned,
    _C.password_hash,
    _C.pending_password_hashes,
    _C.allow_without_password,
    _C.allow_missing_subprotocol,
)
_BY_IDENTITIES = select(*ADMITTED).where(bulk.among(_C.identity, "identities"), _C.removed_at.is_(None))
_T = Transaction.__table__.c
_OPEN: tuple[Any, ...] = (_T.id, _T.connector_id, _T.session_id, _T.id_tag, _T.effective_start)
#: Where `q` looks.
_SEARCHED = (_C.identity, _C.name, _C.city, _C.vendor, _C.model)


def listed(
    conn: Connection,
    *,
    status: str | None = None,
    has_fault: bool | None = None,
    connected: bool | None = None,
    site_id: int | None = None,
    sites: Sites = None,
    q: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Sequence[Row[Any]]:
    """Rows of LISTED by identity (byte order), of these sites; `q` is a part of a name, whatever its case."""
    seen = outerjoin(Charger, Sighting, Sighting.charger_id == Charger.id)
    query = select(*LISTED).select_from(seen).where(_C.removed_at.is_(None)).order_by(_C.identity)
    if status is not None:
        query = query.where(_C.status == status)
    if has_fault is not None:
        query = query.where(_C.has_fault.is_(has_fault))
    if connected is not None:
        query = query.where(_C.connected.is_(connected))
    if site_id is not None:
        query = query.where(_C.site_id == site_id)
    if sites is not None:
        query = query.where(at(sites))
    if q is not None:
        query = query.where(or_(*(func.lower(c).contains(q.lower(), autoescape=True) for c in _SEARCHED)))
    if after is not None:
        query = query.where(_C.identity > after)
    if limit is not None:
        query = query.limit(limit)
    return conn.execute(query).all()


def at(sites: Collection[int]) -> ColumnElement[bool]:
    """The charger belongs to one of these sites."""
    return _C.site_id.in_(sorted(sites))


def ids_at(conn: Connection, sites: Collection[int]) -> Sequence[int]:
    """Of all chargers at these sites, also of those that an operator has removed: their sessions stay."""
    return conn.scalars(select(_C.id).where(at(sites))).all()


def by_identities(conn: Connection, identities: Iterable[str]) -> dict[str, Row[Any]]:
    """Identity → what decides about its socket (ADMITTED), of those that are known and were not removed."""
    rows = conn.execute(_BY_IDENTITIES, {"identities": [bulk.storable(identity) for identity in identities]})
    return {row.identity: row for row in rows}


def by_identity(
    conn: Connection, identity: str, *, lock: bool = False, removed: bool = False
) -> Row[Any] | None:
    """The whole row, password hash included; `lock` keeps others from changing it until the commit.

    None for a charger that an operator has removed, unless `removed` ones are asked for, too.
    """
    query = select(Charger.__table__).where(_C.identity == identity)
    if not removed:
        query = query.where(_C.removed_at.is_(None))
    row = conn.execute(query.with_for_update() if lock else query).first()
    # MariaDB's comparison ignores blanks at the end.
    return row if row is not None and row.identity == identity else None


def add(conn: Connection, identity: str, now: datetime, **values: Any) -> None:
    conn.execute(insert(Charger.__table__).values(identity=identity, created_at=now, **values))


def change(conn: Connection, charger_id: int, **values: Any) -> None:
    conn.execute(update(Charger.__table__).where(_C.id == charger_id).values(**values))


def remove(conn: Connection, charger_id: int, now: datetime) -> None:
    """The charger is gone: what it is and may is forgotten, what it did is kept."""
    for table in (Connector.__table__, ChargerOddity.__table__):
        conn.execute(delete(table).where(table.c.charger_id == charger_id))
    change(
        conn,
        charger_id,
        removed_at=now,
        connected=False,
        password_hash=None,
        pending_password_hashes=None,
        status="Unavailable",
        reported_status="Unavailable",
        has_fault=False,
    )


def settle_password(conn: Connection, charger_id: int, pending: str, used: str, left: str | None) -> None:
    """The charger has used the password with this hash; nothing changes if other keys are `pending` by now."""
    conn.execute(
        update(Charger.__table__)
        .where(_C.id == charger_id, _C.pending_password_hashes == pending)
        .values(password_hash=used, pending_password_hashes=left)
    )


def connectors(conn: Connection, charger_id: int) -> Sequence[Row[Any]]:
    c = Connector.__table__.c
    return conn.execute(
        select(Connector.__table__).where(c.charger_id == charger_id).order_by(c.connector_id)
    ).all()


def faults(conn: Connection, charger_ids: Iterable[int]) -> Sequence[Row[Any]]:
    """The Faulted connectors of these chargers: every column of each, by charger and connectorId."""
    c = Connector.__table__.c
    wanted = list(charger_ids)
    rows: list[Row[Any]] = []
    for start in range(0, len(wanted), 1000):
        query = select(Connector.__table__).where(
            c.charger_id.in_(wanted[start : start + 1000]), c.status == FAULTED, c.retired_at.is_(None)
        )
        rows.extend(conn.execute(query.order_by(c.charger_id, c.connector_id)))
    return rows


def open_transactions(conn: Connection, charger_id: int) -> Sequence[Row[Any]]:
    """`id, connector_id, session_id, id_tag, effective_start` of the sessions in progress."""
    return conn.execute(
        select(*_OPEN).where(_T.status == IN_PROGRESS, _T.charger_id == charger_id).order_by(_T.id)
    ).all()


def status_history(
    conn: Connection,
    charger_id: int,
    *,
    connector_id: int | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Status changes received in [since, until), newest first; those with an id below `before`."""
    c = StatusChange.__table__.c
    query = _within(
        select(StatusChange.__table__).where(c.charger_id == charger_id), c.received_at, since, until
    )
    if connector_id is not None:
        query = query.where(c.connector_id == connector_id)
    if before is not None:
        query = query.where(c.id < before)
    return conn.execute(query.order_by(c.id.desc()).limit(limit)).all()


def events(
    conn: Connection,
    charger_id: int,
    *,
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> Page:
    """Events received in [since, until), newest first; those with an id below `before`."""
    c = ChargerEvent.__table__.c
    query = _within(
        select(ChargerEvent.__table__).where(c.charger_id == charger_id), c.received_at, since, until
    )
    if kind is not None:
        query = query.where(c.kind == kind)
    return pages.newest(conn, query, c.detail, row_id=c.id, before=before, limit=limit)


def meter_values(
    conn: Connection,
    charger_id: int,
    *,
    connector_id: int | None,
    measurand: str | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> Page:
    """Samples that belong to no session, newest first; those with an id below `before`.

    Their time is the charger's, or ours where it gave none.
    """
    c = MeterValue.__table__.c
    query = select(MeterValue.__table__).where(c.charger_id == charger_id, c.transaction_id.is_(None))
    if connector_id is not None:
        query = query.where(c.connector_id == connector_id)
    if measurand is not None:
        query = query.where(c.measurand == measurand)
    query = _within(query, func.coalesce(c.timestamp, c.received_at), since, until)
    return pages.newest(conn, query, c.raw, row_id=c.id, before=before, limit=limit)


def inbox(
    conn: Connection,
    *,
    charger_id: int | None,
    kind: str | None,
    sites: Sites,
    before: int | None,
    limit: int,
) -> Page:
    """Messages of chargers at these sites that could not be turned into rows, newest first, with the charger's identity."""
    c = Inbox.__table__.c
    query = select(Inbox.__table__, _C.identity).join(Charger.__table__, _C.id == c.charger_id)
    if charger_id is not None:
        query = query.where(c.charger_id == charger_id)
    if sites is not None:
        query = query.where(at(sites))
    if kind is not None:
        query = query.where(c.kind == kind)
    return pages.newest(conn, query, c.raw, row_id=c.id, before=before, limit=limit)


def _within(
    query: Select[Any], moment: ColumnElement[Any], since: datetime | None, until: datetime | None
) -> Select[Any]:
    if since is not None:
        query = query.where(moment >= literal(since, UtcDateTime))
    return query.where(moment < literal(until, UtcDateTime)) if until is not None else query


def find(
    conn: Connection, identity: str, *, lock: bool = False, removed: bool = False, sites: Sites = None
) -> Row[Any]:
    """The charger's row, also of one that was `removed` if that is asked for. Raises NotFound, also for one at none of
    these sites."""
    charger = by_identity(conn, identity, lock=lock, removed=removed)
    if charger is None or (sites is not None and charger.site_id not in sites):
        raise NotFound(f"There is no charger {identity!r}.")
    return charger
