"""Who is silent: the sweep that marks chargers Unavailable, and the return of those that speak again.

All of it runs on the database's clock and as conditional updates, so several processes may do it at once. Locks are
taken in one order, as by whoever stores a status: the charger's row, then its sighting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from ..database import bulk, sightings, watch
from ..database.base import AnyRow
from ..database.models import Charger, StatusChange
from ..domain.status import UNAVAILABLE
from .connector_status import summary_change

_C = Charger.__table__.c
#: So many chargers go into one statement.
PORTION = 1000


def note_seen(conn: Connection, charger_ids: Iterable[int]) -> None:
    """These chargers have spoken within the last second or two; the silent ones get their status back."""
    now = watch.database_now(conn)
    for portion in _portions(charger_ids):
        if returning := sightings.silent_ones(conn, portion):
            _return(conn, returning, now)
        sightings.note(conn, portion, now)


def grant(conn: Connection, charger_ids: Iterable[int]) -> None:
    """These chargers get a whole limit from now on, if they are not silent already."""
    now = watch.database_now(conn)
    for portion in _portions(charger_ids):
        sightings.grant(conn, portion, now)


def begin_anew(conn: Connection) -> None:
    """Every charger gets a whole limit from now on: we were not listening, or the clock was set.

    After a clock was set back, a time of last hearing may lie ahead: as long as it does, nobody would
    notice the silence.
    """
    watch.resume(conn)
    sightings.none_ahead(conn, watch.database_now(conn))


def sweep(conn: Connection, limit: timedelta) -> Sequence[str]:
    """Mark the chargers Unavailable that have been silent for longer than `limit`; returns who they are.

    After a start or an outage of our own nobody is judged until a whole limit has passed.
    """
    now = watch.database_now(conn)
    if heard := sightings.heard_silent_ones(conn, now - limit, PORTION):
        _return(conn, heard, now)  # they spoke just as they were marked
    if not watch.resumed_since(conn, limit, now):
        return []
    found = sightings.overdue(conn, now - limit, PORTION)
    if not found:
        return []
    rows = {row.id: row for row in _locked(conn, found)}
    silent = [rows[number] for number in sightings.still_overdue(conn, list(rows), now - limit)]
    if silent:
        _change(conn, [row.id for row in silent], silent=True, status=UNAVAILABLE)
        _record(conn, ((row.id, UNAVAILABLE) for row in silent if row.status != UNAVAILABLE), now)
    return [row.identity for row in silent]


def _portions(charger_ids: Iterable[int]) -> Iterator[list[int]]:
    ids = bulk.distinct(charger_ids)
    for first in range(0, len(ids), PORTION):
        yield ids[first : first + PORTION]


def _return(conn: Connection, charger_ids: list[int], now: datetime) -> None:
    """They are silent no longer."""
    rows = _locked(conn, charger_ids)
    _change(conn, [row.id for row in rows], silent=False, status=_C.reported_status)
    back = [row for row in rows if row.silent and row.reported_status != UNAVAILABLE]
    _record(conn, ((row.id, row.reported_status) for row in back), now)


def _locked(conn: Connection, charger_ids: list[int]) -> Sequence[AnyRow]:
    columns = (_C.id, _C.identity, _C.status, _C.reported_status, _C.silent)
    return conn.execute(
        select(*columns).where(_C.id.in_(charger_ids)).order_by(_C.id).with_for_update()
    ).all()


def _change(conn: Connection, ids: list[int], *, silent: bool, status: str | ColumnElement[Any]) -> None:
    conn.execute(
        update(Charger.__table__)
        .where(_C.id.in_(ids), _C.silent.is_(not silent))
        .values(silent=silent, status=status)
    )
    sightings.set_silent(conn, ids, silent)


def _record(conn: Connection, words: Iterable[tuple[int, str]], now: datetime) -> None:
    bulk.insert(conn, StatusChange.__table__, [summary_change(i, word, now) for i, word in words])
