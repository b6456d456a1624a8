"""Keys of machines, as the database has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from ..database.base import AnyRow
from ..database.models import ApiKey, User

_K = ApiKey.__table__.c
_U = User.__table__.c
_SHOWN = select(ApiKey.__table__, _U.username, _U.active.label("user_active")).join(
    User.__table__, _U.id == _K.user_id
)
#: How exactly it is known when a key was last used.
USED_EVERY = timedelta(minutes=1)


def living(conn: Connection, key_hash: str, now: datetime) -> AnyRow | None:
    """The key, with `username`, `user_role` and `user_sites`, if neither it nor its account has ended."""
    return conn.execute(
        select(
            ApiKey.__table__,
            _U.username,
            _U.role.label("user_role"),
            _U.sites.label("user_sites"),
        )
        .join(User.__table__, _U.id == _K.user_id)
        .where(_K.key_hash == key_hash, _K.ended_at.is_(None), _K.expires_at > now, _U.active.is_(True))
    ).first()


def used(conn: Connection, key_id: int, address: str, now: datetime) -> None:
    conn.execute(
        update(ApiKey.__table__)
        .where(_K.id == key_id, or_(_K.last_used_at.is_(None), _K.last_used_at < now - USED_EVERY))
        .values(last_used_at=now, last_used_from=address)
    )


def listed(conn: Connection, *, user_id: int | None, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Keys with their `username` and `user_active`, newest first; those with an id below `before`."""
    query = _SHOWN.order_by(_K.id.desc()).limit(limit)
    if user_id is not None:
        query = query.where(_K.user_id == user_id)
    return conn.execute(query.where(_K.id < before) if before is not None else query).all()


def by_id(conn: Connection, key_id: int) -> AnyRow | None:
    return conn.execute(_SHOWN.where(_K.id == key_id)).first()


def add(conn: Connection, **values: Any) -> int:
    made = conn.execute(insert(ApiKey.__table__).values(**values))
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def change(conn: Connection, key_id: int, **values: Any) -> None:
    conn.execute(update(ApiKey.__table__).where(_K.id == key_id).values(**values))


def end_all(conn: Connection, user_id: int, now: datetime) -> None:
    """End every key of an account."""
    conn.execute(
        update(ApiKey.__table__).where(_K.user_id == user_id, _K.ended_at.is_(None)).values(ended_at=now)
    )
