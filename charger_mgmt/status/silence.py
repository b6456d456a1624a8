"""Who is silent: the sweep that marks chargers Unavailable, and the return of those that speak again.

All of it runs on the database's clock and as conditional updates, so several processes may do it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from ..database import bulk, watch
from ..database.models import Charger, StatusChange
from ..domain.status import UNAVAILABLE
from .connector_status import summary_change

_C = Charger.__table__.c
#: So many chargers go into one statement.
PORTION = 1000


def note_seen(conn: Connection, charger_ids: Iterable[int]) -> None:
    """These chargers have spoken within the last second or two; the silent ones get their status back."""
    now = watch.database_now(conn)
    ids = bulk.distinct(charger_ids)
    for first in range(0, len(ids), PORTION):
        portion = ids[first : first + PORTION]
        returning = conn.execute(
            select(_C.id, _C.reported_status)
            .where(_C.id.in_(portion), _C.silent.is_(True))
            .order_by(_C.id)
            .with_for_update()
        ).all()
        conn.execute(update(Charger.__table__).where(_C.id.in_(portion)).values(last_seen_at=now))
        if returning:
            _change(conn, [row.id for row in returning], silent=False, status=_C.reported_status)
            _record(
                conn,
                ((row.id, row.reported_status) for row in returning if row.reported_status != UNAVAILABLE),
                now,
            )


def grant(conn: Connection, charger_ids: Iterable[int]) -> None:
    """These chargers get a whole limit from now on, if they are not silent already."""
    now, ids = watch.database_now(conn), bulk.distinct(charger_ids)
    for first in range(0, len(ids), PORTION):
        conn.execute(
            update(Charger.__table__)
            .where(_C.id.in_(ids[first : first + PORTION]), _C.silent.is_(False), _C.last_seen_at < now)
            .values(last_seen_at=now)
        )


def begin_anew(conn: Connection) -> None:
    """Every charger gets a whole limit from now on: we were not listening, or the clock was set.

    After a clock was set back, a time of last hearing may lie ahead: as long as it does, nobody would
    notice the silence.
    """
    watch.resume(conn)
    now = watch.database_now(conn)
    conn.execute(update(Charger.__table__).where(_C.last_seen_at > now).values(last_seen_at=now))


def sweep(conn: Connection, limit: timedelta) -> Sequence[str]:
    """Mark the chargers Unavailable that have been silent for longer than `limit`; returns who they are.

    After a start or an outage of our own nobody is judged until a whole limit has passed.
    """
    now = watch.database_now(conn)
    if not watch.resumed_since(conn, limit, now):
        return []
    silent = conn.execute(
        select(_C.id, _C.identity, _C.status)
        .where(_C.silent.is_(False), _C.last_seen_at < now - limit)
        .order_by(_C.id)
        .limit(PORTION)
        .with_for_update()
    ).all()
    if silent:
        _change(conn, [row.id for row in silent], silent=True, status=UNAVAILABLE)
        _record(conn, ((row.id, UNAVAILABLE) for row in silent if row.status != UNAVAILABLE), now)
    return [row.identity for row in silent]


def _change(conn: Connection, ids: list[int], *, silent: bool, status: str | ColumnElement[Any]) -> None:
    conn.execute(
        update(Charger.__table__)
        .where(_C.id.in_(ids), _C.silent.is_(not silent))
        .values(silent=silent, status=status)
    )


def _record(conn: Connection, words: Iterable[tuple[int, str]], now: datetime) -> None:
    bulk.insert(conn, StatusChange.__table__, [summary_change(i, word, now) for i, word in words])
