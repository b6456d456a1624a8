"""Configuration keys of chargers: what they told, what they should be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from ..database import bulk
from ..database.base import AnyRow
from ..database.models import Charger, ConfigurationValue

_V = ConfigurationValue.__table__.c
_C = Charger.__table__.c
#: A key of section 9 has at most so many characters; longer ones are none.
LONGEST_NAME = 50
_LONGEST_VALUE = 10_000


def listed(conn: Connection, charger_id: int) -> Sequence[Row[Any]]:
    return conn.execute(
        select(ConfigurationValue.__table__).where(_V.charger_id == charger_id).order_by(_V.name_key)
    ).all()


def told(
    conn: Connection, charger_id: int, values: Mapping[str, tuple[str | None, bool | None]], now: datetime
) -> None:
    """The charger has told these keys: name → (value, readonly). What differs from what it should be is due again."""
    rows = [
        {
            "charger_id": charger_id,
            "name_key": name.lower(),
            "name": name,
            "value": None if value is None else value[:_LONGEST_VALUE],
            "readonly": readonly,
            "told_at": now,
        }
        for name, (value, readonly) in values.items()
    ]
    if not rows:
        return
    bulk.upsert(conn, ConfigurationValue.__table__, rows, keys=("charger_id", "name_key"))
    conn.execute(
        update(ConfigurationValue.__table__)
        .where(
            _V.charger_id == charger_id,
            _V.name_key.in_([row["name_key"] for row in rows]),
            _V.desired.is_not(None),
            _V.value != _V.desired,
            _V.answer == "Accepted",
        )
        .values(due=True)
    )


def unknown(conn: Connection, charger_id: int, names: Collection[str]) -> None:
    """The charger has no such keys; what they should be is kept."""
    keys = [name.lower() for name in names]
    if keys:
        conn.execute(
            delete(ConfigurationValue.__table__).where(
                _V.charger_id == charger_id, _V.name_key.in_(keys), _V.desired.is_(None)
            )
        )


def answered(
    conn: Connection, charger_id: int, name: str, now: datetime, *, answer: str, value: str | None
) -> None:
    """The charger's word to a ChangeConfiguration of a key that is known; `value`: it has that now."""
    values: dict[str, Any] = {"answer": answer[:64], "answered_at": now, "due": False}
    if value is not None:
        values |= {"value": value, "told_at": now}
    conn.execute(
        update(ConfigurationValue.__table__)
        .where(_V.charger_id == charger_id, _V.name_key == name.lower())
        .values(**values)
    )


def desire(
    conn: Connection,
    charger_ids: Collection[int],
    desired: Mapping[str, str | None],
    now: datetime,
    by: str,
) -> None:
    """What these chargers' keys should be from now on; None: nothing any more."""
    rows = [
        {
            "charger_id": charger_id,
            "name_key": name.lower(),
            "name": name,
            "desired": value,
            "desired_at": None if value is None else now,
            "desired_by": None if value is None else by,
            "answer": None,
            "answered_at": None,
            "due": value is not None,
            "tried_at": None,
        }
        for charger_id in sorted(charger_ids)
        for name, value in desired.items()
    ]
    for start in range(0, len(rows), 500):
        bulk.upsert(
            conn, ConfigurationValue.__table__, rows[start : start + 500], keys=("charger_id", "name_key")
        )


def due(conn: Connection, charger_id: int) -> Sequence[AnyRow]:
    """What is to be sent to a charger: `name, desired`, but for what it has already."""
    has_it = _V.value == _V.desired
    return conn.execute(
        select(_V.name, _V.name_key, _V.desired)
        .where(
            _V.charger_id == charger_id,
            _V.due.is_(True),
            _V.desired.is_not(None),
            or_(_V.value.is_(None), ~has_it),
        )
        .order_by(_V.name_key)
    ).all()


def tried(conn: Connection, charger_id: int, now: datetime) -> None:
    conn.execute(
        update(ConfigurationValue.__table__)
        .where(_V.charger_id == charger_id, _V.due.is_(True))
        .values(tried_at=now)
    )


def waiting(conn: Connection, since: datetime, limit: int) -> Sequence[str]:
    """The identities of connected chargers for which something is due that has not been tried since then."""
    return conn.scalars(
        select(_C.identity)
        .join(ConfigurationValue.__table__, _V.charger_id == _C.id)
        .where(
            _V.due.is_(True),
            or_(_V.tried_at.is_(None), _V.tried_at < since),
            _C.connected.is_(True),
            _C.removed_at.is_(None),
            _C.registration == "Accepted",
            _C.automatic_calls.is_(True),
        )
        .distinct()
        .limit(limit)
    ).all()
