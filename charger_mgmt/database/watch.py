"""The one row that says since when chargers are watched, and the database's own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, DateTime, func, select, text, type_coerce

from . import bulk
from .models import Watch


def database_now(conn: Connection) -> datetime:
    """The database's clock, which all processes share: aware UTC, milliseconds."""
    if conn.dialect.name == "sqlite":
        now = select(type_coerce(func.strftime("%Y-%m-%d %H:%M:%f000", "now"), DateTime))
        return conn.execute(now).scalar_one().replace(tzinfo=UTC)
    told: datetime = conn.execute(text("SELECT UTC_TIMESTAMP(3)")).scalar_one()
    return told.replace(tzinfo=UTC)


def test_write(conn: Connection) -> None:
    """A write that proves, once committed, that the database takes commits."""
    now = database_now(conn)
    changed = conn.execute(Watch.__table__.update().where(Watch.id == 1).values(written_at=now))
    if not changed.rowcount:
        bulk.insert_new(conn, Watch.__table__, [{"id": 1, "resumed_at": now, "written_at": now}])


def resume(conn: Connection) -> None:
    """Give every charger a whole limit from now on: we ourselves were not listening until now."""
    now = database_now(conn)
    row = {"id": 1, "resumed_at": now, "written_at": now}
    bulk.upsert(conn, Watch.__table__, [row], ["id"])


def resumed_since(conn: Connection, longest: timedelta, now: datetime) -> bool:
    """Whether chargers have been watched without a gap for at least `longest`."""
    since = conn.scalar(select(Watch.resumed_at).where(Watch.id == 1))
    return since is not None and since <= now - longest
