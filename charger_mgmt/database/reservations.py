"""Reservations: what starts, statuses and answers of chargers change, and operators read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from ..domain import reservations as rules
from ..domain.roles import Sites
from . import chargers
from .base import AnyRow
from .models import Charger, Connector, Reservation

_R = Reservation.__table__.c
_C = Charger.__table__.c
_SHOWN = select(Reservation.__table__, _C.identity, _C.site_id).join(
    Charger.__table__, _C.id == _R.charger_id
)


def add(conn: Connection, **values: Any) -> int:
    made = conn.execute(insert(Reservation.__table__).values(**values))
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def change(conn: Connection, reservation_id: int, **values: Any) -> None:
    conn.execute(update(Reservation.__table__).where(_R.id == reservation_id).values(**values))


def move(
    conn: Connection,
    reservation_id: int,
    charger_id: int,
    state: str,
    now: datetime,
    **values: Any,
) -> bool:
    """Let a charger's reservation enter a state, if it may from where it is. Returns whether it did."""
    ended = None if state in rules.OPEN else now
    moved = conn.execute(
        update(Reservation.__table__)
        .where(_R.id == reservation_id, _R.charger_id == charger_id, _R.state.in_(rules.BEFORE[state]))
        .values(state=state, ended_at=ended, **values)
    )
    return moved.rowcount == 1


def by_id(conn: Connection, reservation_id: int, *, lock: bool = False) -> AnyRow | None:
    """With the charger's `identity` and `site_id`."""
    query = _SHOWN.where(_R.id == reservation_id)
    return conn.execute(query.with_for_update() if lock else query).first()


def listed(
    conn: Connection,
    *,
    charger_id: int | None,
    state: str | None,
    sites: Sites,
    now: datetime,
    before: int | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Newest first; those with an id below `before`, of chargers at these sites.

    One whose time is over is expired, whether or not that has been noted.
    """
    query = _SHOWN.order_by(_R.id.desc()).limit(limit)
    if charger_id is not None:
        query = query.where(_R.charger_id == charger_id)
    over = and_(_R.state.in_(rules.OPEN), _R.expires_at <= now)
    if state in rules.OPEN:
        query = query.where(_R.state == state, _R.expires_at > now)
    elif state is not None:
        query = query.where(or_(_R.state == state, over) if state == rules.EXPIRED else _R.state == state)
    if sites is not None:
        query = query.where(chargers.at(sites))
    return conn.execute(query.where(_R.id < before) if before is not None else query).all()


def open_ones(conn: Connection, charger_ids: Collection[int], now: datetime) -> Sequence[AnyRow]:
    """Those of these chargers that may keep a connector at this moment."""
    return conn.execute(
        select(Reservation.__table__).where(
            _R.charger_id.in_(sorted(charger_ids)), _R.state.in_(rules.OPEN), _R.expires_at > now
        )
    ).all()


def use(conn: Connection, named: Mapping[tuple[int, int], int], now: datetime) -> None:
    """Sessions have begun that name reservations: (charger, reservationId) → transactionId."""
    for (charger_id, reservation_id), transaction_id in named.items():
        if 0 < reservation_id < 2**31:
            move(conn, reservation_id, charger_id, rules.USED, now, transaction_id=transaction_id)


def end(conn: Connection, reported: Mapping[tuple[int, int], str], now: datetime) -> None:
    """Connectors report these statuses, before they are stored: (charger, connectorId) → status.

    Faulted and Unavailable end a reservation, of connector 0 all of the charger's; so does Available after Reserved.
    """
    rows = open_ones(conn, {charger_id for charger_id, _ in reported}, now)
    if not rows:
        return
    c = Connector.__table__.c
    before = conn.execute(
        select(c.charger_id, c.connector_id).where(
            c.charger_id.in_({row.charger_id for row in rows}), c.status == "Reserved"
        )
    )
    kept = {(row.charger_id, row.connector_id) for row in before}
    for row in rows:
        own, whole = (row.charger_id, row.connector_id), (row.charger_id, 0)
        let_go = own in kept and reported.get(own) == "Available"
        if let_go or {reported.get(own), reported.get(whole)} & rules.TERMINATING:
            move(conn, row.id, row.charger_id, rules.ENDED, now)


def expire(conn: Connection, now: datetime) -> int:
    """Those whose time is over. Returns how many there were."""
    changed = conn.execute(
        update(Reservation.__table__)
        .where(or_(_R.state == rules.REQUESTED, _R.state == rules.ACTIVE), _R.expires_at <= now)
        .values(state=rules.EXPIRED, ended_at=_R.expires_at)
    )
    return changed.rowcount
