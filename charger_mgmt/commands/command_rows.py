"""Calls to chargers and their lives."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from ..database import pages
from ..database.models import Command
from ..database.pages import Page
from ..database.watch import database_now

_C = Command.__table__.c

QUEUED = "queued"
SENT = "sent"
ACCEPTED = "accepted"
REJECTED = "rejected"
ERROR = "error"
TIMED_OUT = "timed out"
LATE_ANSWER = "late answer"
CHARGER_GONE = "charger gone"
STATES = (QUEUED, SENT, ACCEPTED, REJECTED, ERROR, TIMED_OUT, LATE_ANSWER, CHARGER_GONE)

#: From which states each state may be reached; a row in any other state stays as it is.
_BEFORE = {
    ACCEPTED: (SENT,),
    REJECTED: (SENT,),
    ERROR: (QUEUED, SENT),
    TIMED_OUT: (QUEUED, SENT),
    CHARGER_GONE: (QUEUED, SENT),
    LATE_ANSWER: (TIMED_OUT, CHARGER_GONE),
}


def add(conn: Connection, **values: Any) -> int:
    """A new row, queued; its id."""
    key = conn.execute(insert(Command.__table__).values(state=QUEUED, **values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def claim(conn: Connection, command_id: int, now: datetime) -> bool:
    """Let a queued command be sent, unless its time is over (by the database's clock: two hosts' may differ) or somebody
    else has given it up. Returns whether it may.
    """
    changed = conn.execute(
        update(Command.__table__)
        .where(_C.id == command_id, _C.state == QUEUED, _C.expires_at >= database_now(conn))
        .values(state=SENT, sent_at=now)
    )
    return changed.rowcount == 1


def move(
    conn: Connection, command_id: int, state: str, *, only_from: str | None = None, **values: Any
) -> bool:
    """Let a command enter a state, if it may from where it is. Returns whether it did."""
    changed = conn.execute(
        update(Command.__table__)
        .where(_C.id == command_id, _C.state.in_((only_from,) if only_from else _BEFORE[state]))
        .values(state=state, **values)
    )
    return changed.rowcount == 1


def expire(conn: Connection) -> int:
    """End the calls that nobody has sent in their time, a minute later: their owner has not heard of them. Returns how many."""
    late = _C.expires_at < database_now(conn) - timedelta(minutes=1)
    ids = conn.scalars(select(_C.id).where(_C.state == QUEUED, late).limit(1000)).all()
    if not ids:
        return 0
    return conn.execute(
        update(Command.__table__)
        .where(_C.id.in_(ids), _C.state == QUEUED)
        .values(state=ERROR, error_code="NotSent", error_description="The call was not sent in its time.")
    ).rowcount


def by_id(conn: Connection, command_id: int) -> Row[Any] | None:
    return conn.execute(select(Command.__table__).where(_C.id == command_id)).first()


def of_charger(
    conn: Connection,
    charger_id: int,
    *,
    state: str | None,
    action: str | None,
    before: int | None,
    limit: int,
) -> Page:
    """A charger's commands, newest first; those with an id below `before`."""
    query = select(Command.__table__).where(_C.charger_id == charger_id)
    if state is not None:
        query = query.where(_C.state == state)
    if action is not None:
        query = query.where(_C.action == action)
    return pages.newest(conn, query, _C.payload, _C.response, row_id=_C.id, before=before, limit=limit)


def newest_start(conn: Connection, charger_id: int, session_id: str) -> Row[Any] | None:
    """The last RemoteStartTransaction that was made for this sessionId."""
    return conn.execute(
        select(Command.__table__)
        .where(
            _C.charger_id == charger_id,
            _C.session_id == session_id,
            _C.action == "RemoteStartTransaction",
        )
        .order_by(_C.id.desc())
        .limit(1)
    ).first()


def transaction_of(conn: Connection, command_id: int) -> int | None:
    """The transaction that a remote start caused, once its StartTransaction has come."""
    return conn.scalar(select(_C.transaction_id).where(_C.id == command_id))


def put_right(conn: Connection, process_id: str) -> int:
    """What other processes left queued or sent will get no answer there any more. Returns how many."""
    return _end(conn, (_C.process_id != process_id) | _C.process_id.is_(None))


def put_right_of(conn: Connection, process_id: str) -> int:
    """The process is dead: what it left queued or sent will get no answer any more. Returns how many."""
    return _end(conn, _C.process_id == process_id)


def owners(conn: Connection) -> set[str]:
    """The processes that have something queued or sent."""
    found = select(_C.process_id).where(_C.state.in_((QUEUED, SENT))).distinct()
    return set(conn.scalars(found)) - {None}


def _end(conn: Connection, left: ColumnElement[bool]) -> int:
    """Queued was never written to a socket; sent has an unknown outcome."""
    table = update(Command.__table__).where(left)
    gone = conn.execute(table.where(_C.state == QUEUED).values(state=CHARGER_GONE))
    unknown = conn.execute(table.where(_C.state == SENT).values(state=TIMED_OUT))
    return gone.rowcount + unknown.rowcount
