"""The people who may use the REST API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from ..database.models import User

_COLUMNS: tuple[Any, ...] = (User.id, User.username, User.password_hash, User.active)
_USER = select(*_COLUMNS)


def by_name(conn: Connection, username: str) -> Row[Any] | None:
    """`id, username, password_hash, active` of the user with exactly this name."""
    return conn.execute(_USER.where(User.username == username)).first()


def by_id(conn: Connection, user_id: int) -> Row[Any] | None:
    return conn.execute(_USER.where(User.id == user_id)).first()


def count(conn: Connection) -> int:
    return conn.scalar(select(func.count()).select_from(User)) or 0


def add(conn: Connection, username: str, password_hash: str, now: datetime) -> None:
    conn.execute(
        insert(User).values(username=username, password_hash=password_hash, active=True, created_at=now)
    )


def change(conn: Connection, user_id: int, **values: Any) -> None:
    conn.execute(update(User).where(User.id == user_id).values(**values))
