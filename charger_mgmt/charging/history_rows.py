"""Charging sessions as operators read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from .. import clock
from ..database import pages
from ..database.models import Charger, MeterValue, Transaction
from ..database.pages import Page
from ..domain.roles import Sites
from ..domain.transactions import IN_PROGRESS

#: Hardly any session lasts longer.
LONG = timedelta(days=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC) + LONG
#: How far back the sessions of some chargers are looked for at a time; None: all of them.
_SPANS = (timedelta(hours=6), timedelta(days=2), timedelta(days=16), timedelta(days=128), None)

_BY_CHARGER_AND_START = "FORCE INDEX (ix_transactions_charger_id_effective_start)"
_BY_END = "FORCE INDEX (ix_transactions_effective_end)"
#: Chargers whose history is longer than what the whole fleet has begun since.
_MANY = 200

_T = Transaction.__table__.c
_C = Charger.__table__.c
#: Looked up for each row of the page: a join makes MariaDB read all chargers and sort all sessions first.
_IDENTITY = select(_C.identity).where(_C.id == _T.charger_id).scalar_subquery().label("identity")
_SESSION = select(Transaction.__table__, _IDENTITY)
_SITE = select(_C.site_id).where(_C.id == _T.charger_id).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Filters:
    """Which sessions: those that overlap [from, to) and match whatever else is given."""

    charger_id: int | None = None
    #: Only of these chargers; None: of all.
    charger_ids: Sequence[int] | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None
    connector_id: int | None = None
    id_tag: str | None = None
    #: Those of chargers that had not been approved; else these are left out.
    unapproved: bool = False


def listed(
    conn: Connection, filters: Filters, *, before: tuple[datetime, int] | None, limit: int
) -> Sequence[Row[Any]]:
    """Sessions, newest effective start first; those below the key (effective_start, id) `before`.

    Of the sessions that overlap [from, to) nearly all began less than LONG before it: they stand together in
    the index by start. The few that began earlier come after them in the order and are looked for by their
    end, only when the page has room for them; a walk down the index would read all of the history.
    """
    if filters.charger_ids is not None and filters.status != IN_PROGRESS:  # those are few, and have an index
        return _of_some(conn, filters, before, limit)
    return _listed(conn, filters, before, limit)


def _of_some(
    conn: Connection, filters: Filters, before: tuple[datetime, int] | None, limit: int
) -> Sequence[Row[Any]]:
    """The sessions of some chargers, which no index has in the order of their start.

    They are looked for in spans of time, each longer than the one before, until the page is full: so a page of a busy site
    reads hours of its history, and only that of a site where little happens reads all of it.
    """
    if not filters.charger_ids:
        return ()
    until = clock.now() + LONG
    if before is not None:
        until = min(until, before[0] + timedelta(milliseconds=1))
    if filters.until is not None:
        until = min(until, filters.until)
    rows: list[Row[Any]] = []
    for span in _SPANS:
        since = None if span is None else until - span
        if since is None or since <= max(filters.since or _EARLIEST, _EARLIEST):
            return [*rows, *_listed(conn, filters, before, limit - len(rows))]
        rows += _listed(conn, filters, before, limit - len(rows), not_before=since)
        if len(rows) == limit:
            break
        filters, until = replace(filters, until=since), since
    return rows


def _listed(
    conn: Connection,
    filters: Filters,
    before: tuple[datetime, int] | None,
    limit: int,
    *,
    not_before: datetime | None = None,
) -> Sequence[Row[Any]]:
    query = _page(filters, before)
    newest_first = query.order_by(_T.effective_start.desc(), _T.id.desc()).limit(limit)
    if not_before is not None:
        newest_first = newest_first.where(_T.effective_start >= not_before)
    if filters.charger_id is not None or (filters.charger_ids is not None and filters.status != IN_PROGRESS):
        # Left alone, MariaDB reads all of a charger's history down to the page: it takes the charger for
        # the better key and forgets the time (measured: 1.5 s instead of 9 ms).
        newest_first = newest_first.with_hint(Transaction.__table__, _BY_CHARGER_AND_START, "mysql")
    if filters.since is None:
        return conn.execute(newest_first).all()
    since = filters.since
    floor = max(since, _EARLIEST) - LONG
    if not_before is not None:
        floor = max(floor, not_before)
    running = or_(_T.effective_end.is_(None), _T.effective_end > since)
    # A session without duration counts at its start.
    overlapping = or_(running, _T.effective_start >= since)
    rows = conn.execute(newest_first.where(_T.effective_start >= floor, overlapping)).all()
    room = limit - len(rows)
    if not room or not_before is not None:
        return rows
    # An order that no index gives: with the plain one MySQL would walk down the index by start after all.
    start = func.coalesce(_T.effective_start, _T.effective_start)
    long_ones = query.where(_T.effective_start < floor, running).order_by(start.desc(), _T.id.desc())
    if filters.charger_ids is not None and len(filters.charger_ids) > _MANY:
        # By their end they are found among all; by their charger all of the history would be read.
        long_ones = long_ones.with_hint(Transaction.__table__, _BY_END, "mysql")
    return [*rows, *conn.execute(long_ones.limit(room))]


def _page(filters: Filters, before: tuple[datetime, int] | None) -> Select[Any]:
    """The sessions that match everything but `since`, in no order."""
    query = _SESSION.where(_T.unapproved.is_(filters.unapproved))
    if filters.charger_id is not None:
        query = query.where(_T.charger_id == filters.charger_id)
    if filters.charger_ids is not None:
        query = query.where(_T.charger_id.in_(filters.charger_ids))
    if filters.until is not None:
        query = query.where(_T.effective_start < filters.until)
    if filters.status is not None:
        query = query.where(_T.status == filters.status)
    if filters.connector_id is not None:
        query = query.where(_T.connector_id == filters.connector_id)
    if filters.id_tag is not None:
        query = query.where(func.lower(_T.id_tag) == filters.id_tag.lower())
    if before is not None:
        start, last_id = before
        query = query.where(
            _T.effective_start <= start,  # alone it lets the index jump to the page
            or_(_T.effective_start < start, and_(_T.effective_start == start, _T.id < last_id)),
        )
    return query


def by_id(conn: Connection, transaction_id: int, sites: Sites = None) -> Row[Any] | None:
    return conn.execute(_of(sites).where(_T.id == transaction_id)).first()


def _of(sites: Sites) -> Select[Any]:
    """Sessions of chargers at these sites."""
    return _SESSION if sites is None else _SESSION.where(_SITE.in_(sorted(sites)))


def by_session(conn: Connection, charger_id: int, session_id: str) -> Row[Any] | None:
    """The newest session of one charger that goes by this sessionId."""
    query = _SESSION.where(_T.charger_id == charger_id, _T.session_id == session_id)
    return conn.execute(query.order_by(_T.id.desc()).limit(1)).first()


def named(
    conn: Connection, session_id: str, sites: Sites = None
) -> tuple[Sequence[Row[Any]], Row[Any] | None]:
    """The open sessions of any charger at these sites with this sessionId (two at most), and the newest ended one."""
    query = _of(sites).where(_T.session_id == session_id).order_by(_T.id.desc())
    open_ones = conn.execute(query.where(_T.status == IN_PROGRESS).limit(2)).all()
    return open_ones, None if open_ones else conn.execute(query.limit(1)).first()


def status_of(conn: Connection, transaction_id: int) -> str | None:
    return conn.scalar(select(_T.status).where(_T.id == transaction_id))


def meter_values(
    conn: Connection, transaction_id: int, *, measurand: str | None, after: int | None, limit: int
) -> Page:
    """Samples of a session in the order of their arrival; those with an id above `after`."""
    c = MeterValue.__table__.c
    query = select(MeterValue.__table__).where(c.transaction_id == transaction_id)
    if measurand is not None:
        query = query.where(c.measurand == measurand)
    if after is not None:
        query = query.where(c.id > after)
    return pages.fitting(conn, query, c.raw, order=c.id, limit=limit)
