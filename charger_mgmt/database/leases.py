"""Processes that serve on one database together: each has a row, which it renews, and which says that it lives.

All times are the database's. What a process held may be put right by another one only once its lease has run out;
whoever takes the row away has that to do. `lease` is in seconds (the setting LEASE_SECONDS).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update

from ..settings import VERSION
from .base import AnyRow
from .models import Lease
from .watch import database_now

_L = Lease.__table__.c


def take(conn: Connection, process_id: str) -> None:
    """This process serves from now on."""
    now = database_now(conn)
    conn.execute(
        insert(Lease.__table__).values(
            id=process_id,
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            server_pid=os.getppid(),
            version=VERSION,
            started_at=now,
            renewed_at=now,
        )
    )


def renew(conn: Connection, process_id: str, sockets: int, *, draining: bool) -> float | None:
    """It still does, and holds so many; `draining`: it is about to end.

    Returns the seconds since it was last renewed. None: it was taken for dead meanwhile, and what it held has been put right.
    """
    now = database_now(conn)
    renewed_at = conn.scalar(select(_L.renewed_at).where(_L.id == process_id).with_for_update())
    if renewed_at is None:
        return None
    renewed = update(Lease.__table__).where(_L.id == process_id)
    conn.execute(renewed.values(renewed_at=now, sockets=sockets, draining=draining))
    return float((now - renewed_at).total_seconds())


def give_up(conn: Connection, process_id: str) -> None:
    """It serves no longer."""
    conn.execute(delete(Lease.__table__).where(_L.id == process_id))


def forget_all(conn: Connection) -> None:
    """None of them serves any more."""
    conn.execute(delete(Lease.__table__))


def every(conn: Connection) -> Sequence[AnyRow]:
    """The processes, the oldest first."""
    return conn.execute(select(Lease.__table__).order_by(_L.started_at, _L.id)).all()


def living(conn: Connection, lease: float) -> list[str]:
    """The ids of those whose lease has not run out, the oldest first."""
    since = database_now(conn) - timedelta(seconds=lease)
    return list(conn.scalars(select(_L.id).where(_L.renewed_at >= since).order_by(_L.started_at, _L.id)))


def run_out(conn: Connection, lease: float, *, seen_by: str, within: float) -> list[str]:
    """The ids of those whose lease has run out, as `seen_by` a process that has renewed its own `within` so many seconds.

    One that has not stood still itself, and the others on its machine with it, whatever its own clock says.
    """
    now = database_now(conn)
    ours = conn.scalar(select(_L.renewed_at).where(_L.id == seen_by))
    if ours is None or ours < now - timedelta(seconds=within):
        return []
    return list(conn.scalars(select(_L.id).where(_L.renewed_at < now - timedelta(seconds=lease))))


def bury(conn: Connection, process_id: str, lease: float) -> bool:
    """Take a dead process's row away; False: it has come back, or somebody else was faster."""
    before = database_now(conn) - timedelta(seconds=lease)
    gone = conn.execute(delete(Lease.__table__).where(_L.id == process_id, _L.renewed_at < before))
    return gone.rowcount == 1
