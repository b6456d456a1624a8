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


def renew(conn: Connection, process_id: str, sockets: int, *, draining: bool) -> bool:
    """It still does, and holds so many; `draining`: it is about to end. False: it was taken for dead meanwhile, and what it held has been put right."""
    changed = conn.execute(
        update(Lease.__table__)
        .where(_L.id == process_id)
        .values(renewed_at=database_now(conn), sockets=sockets, draining=draining)
    )
    return changed.rowcount == 1


def give_up(conn: Connection, process_id: str) -> None:
    """It serves no longer."""
    conn.execute(delete(Lease.__table__).where(_L.id == process_id))


def every(conn: Connection) -> Sequence[AnyRow]:
    """The processes, the oldest first."""
    return conn.execute(select(Lease.__table__).order_by(_L.started_at, _L.id)).all()


def living(conn: Connection, lease: float) -> list[str]:
    """The ids of those whose lease has not run out, the oldest first."""
    since = database_now(conn) - timedelta(seconds=lease)
    return list(conn.scalars(select(_L.id).where(_L.renewed_at >= since).order_by(_L.started_at, _L.id)))


def run_out(conn: Connection, lease: float) -> list[str]:
    """The ids of those whose lease has run out."""
    before = database_now(conn) - timedelta(seconds=lease)
    return list(conn.scalars(select(_L.id).where(_L.renewed_at < before)))


def bury(conn: Connection, process_id: str, lease: float) -> bool:
    """Take a dead process's row away; False: it has come back, or somebody else was faster."""
    before = database_now(conn) - timedelta(seconds=lease)
    gone = conn.execute(delete(Lease.__table__).where(_L.id == process_id, _L.renewed_at < before))
    return gone.rowcount == 1
