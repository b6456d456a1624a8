"""Accounts, as the database has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from ..database.models import User
from ..domain.roles import ADMIN

_U = User.__table__.c
_USER = select(User.__table__)


def by_name(conn: Connection, username: str, *, lock: bool = False) -> Row[Any] | None:
    """The account with exactly this name."""
    query = _USER.where(_U.username == username)
    row = conn.execute(query.with_for_update() if lock else query).first()
    # MariaDB's comparison ignores blanks at the end.
    return row if row is not None and row.username == username else None


def by_id(conn: Connection, user_id: int) -> Row[Any] | None:
    return conn.execute(_USER.where(_U.id == user_id)).first()


def by_subject(conn: Connection, issuer: str, subject: str) -> Row[Any] | None:
    """The account of whom an outside provider means."""
    row = conn.execute(_USER.where(_U.issuer == issuer, _U.subject == subject)).first()
    return row if row is not None and row.subject == subject else None


def listed(
    conn: Connection, *, role: str | None, active: bool | None, after: str | None, limit: int
) -> Sequence[Row[Any]]:
    """Accounts by name; those beyond `after`."""
    query = _USER.order_by(_U.username).limit(limit)
    if role is not None:
        query = query.where(_U.role == role)
    if active is not None:
        query = query.where(_U.active.is_(active))
    return conn.execute(query.where(_U.username > after) if after is not None else query).all()


def count(conn: Connection) -> int:
    return conn.scalar(select(func.count()).select_from(User)) or 0


def lock_admins(conn: Connection) -> None:
    """Two who take away each other's rights come one after the other."""
    conn.execute(select(_U.id).where(_U.role == ADMIN).order_by(_U.id).with_for_update()).all()


def chiefs(conn: Connection) -> int:
    """How many there are who can do everything with nobody's help: active admins of the whole fleet with a password."""
    wanted = (_U.role == ADMIN, _U.active.is_(True), _U.sites.is_(None), _U.password_hash != "")
    return conn.scalar(select(func.count()).select_from(User).where(*wanted)) or 0


def add(conn: Connection, username: str, now: datetime, **values: Any) -> None:
    conn.execute(insert(User.__table__).values(username=username, active=True, created_at=now, **values))


def change(conn: Connection, user_id: int, **values: Any) -> None:
    conn.execute(update(User.__table__).where(_U.id == user_id).values(**values))
