"""Operators' log-ins: each is one row, from the password to the end of its last refresh token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, insert, select, update

from ..database.base import AnyRow
from ..database.models import LogIn, User

_L = LogIn.__table__.c
_U = User.__table__.c


def add(
    conn: Connection,
    user_id: int,
    key: str,
    refresh_key: str,
    address: str,
    user_agent: str | None,
    now: datetime,
) -> None:
    conn.execute(
        insert(LogIn.__table__).values(
            user_id=user_id,
            log_in_key=key,
            refresh_key=refresh_key,
            address=address,
            user_agent=user_agent,
            created_at=now,
            refreshed_at=now,
        )
    )


@dataclass(frozen=True, slots=True)
class Since:
    """Log-ins that began, or were last refreshed, before these moments are over."""

    began: datetime
    refreshed: datetime


def _living(since: Since) -> ColumnElement[bool]:
    return and_(_L.ended_at.is_(None), _L.created_at > since.began, _L.refreshed_at > since.refreshed)


def living(conn: Connection, user_id: int, key: str, since: Since) -> AnyRow | None:
    """`id, username, role, sites, refresh_key` of a log-in that has not ended, of an account that is active."""
    return conn.execute(
        select(_U.id, _U.username, _U.role, _U.sites, _L.refresh_key)
        .join(LogIn.__table__, _L.user_id == _U.id)
        .where(_L.log_in_key == key, _L.user_id == user_id, _living(since), _U.active.is_(True))
    ).first()


def listed(conn: Connection, user_id: int, since: Since) -> Sequence[Row[Any]]:
    """The log-ins of an account that have not ended, the newest first."""
    query = select(LogIn.__table__).where(_L.user_id == user_id, _living(since))
    return conn.execute(query.order_by(_L.id.desc()).limit(1000)).all()


def refresh(conn: Connection, key: str, before: str, after: str, now: datetime) -> bool:
    """The next refresh token takes the place of this one; False: this one has been used before."""
    changed = conn.execute(
        update(LogIn.__table__)
        .where(_L.log_in_key == key, _L.refresh_key == before, _L.ended_at.is_(None))
        .values(refresh_key=after, refreshed_at=now)
    )
    return changed.rowcount == 1


def end(conn: Connection, key: str, now: datetime) -> None:
    conn.execute(
        update(LogIn.__table__).where(_L.log_in_key == key, _L.ended_at.is_(None)).values(ended_at=now)
    )


def end_one(conn: Connection, user_id: int, log_in_id: int, now: datetime) -> bool:
    """End one log-in of an account by its number; False: there is none that could be ended."""
    mine = (_L.id == log_in_id, _L.user_id == user_id, _L.ended_at.is_(None))
    return conn.execute(update(LogIn.__table__).where(*mine).values(ended_at=now)).rowcount == 1


def end_all(conn: Connection, user_id: int, now: datetime) -> None:
    """End every log-in of an account."""
    conn.execute(
        update(LogIn.__table__).where(_L.user_id == user_id, _L.ended_at.is_(None)).values(ended_at=now)
    )


def came_from(conn: Connection, user_id: int, address: str, since: datetime) -> bool:
    """Whether the account has logged in from this address since then."""
    wanted = exists().where(_L.user_id == user_id, _L.address == address, _L.created_at >= since)
    return bool(conn.scalar(select(wanted)))
