"""Chargers' local lists, and the tags that belong into them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from ..database.base import AnyRow
from ..database.models import Charger, ConfigurationValue, LocalList, Tag

_L = LocalList.__table__.c
_T = Tag.__table__.c
_C = Charger.__table__.c
_V = ConfigurationValue.__table__.c
_ENTRY = (_T.id_tag, _T.status, _T.expiry_date, _T.parent_id_tag)


def of(conn: Connection, charger_id: int) -> AnyRow | None:
    return conn.execute(select(LocalList.__table__).where(_L.charger_id == charger_id)).first()


def change(conn: Connection, charger_id: int, **values: Any) -> None:
    """Note what is known of a charger's list; the first time it is made."""
    if of(conn, charger_id) is None:
        conn.execute(insert(LocalList.__table__).values(charger_id=charger_id, **values))
    else:
        conn.execute(update(LocalList.__table__).where(_L.charger_id == charger_id).values(**values))


def entries(conn: Connection, since: int | None, limit: int | None = None) -> Sequence[AnyRow]:
    """Tags that somebody entered, of which the last change has a number above `since`, the latest first."""
    query = select(*_ENTRY).where(_T.command_id.is_(None)).order_by(_T.revision.desc(), _T.id.desc())
    if since is not None:
        query = query.where(_T.revision > since)
    return conn.execute(query.limit(limit) if limit is not None else query).all()


def count(conn: Connection, since: int | None) -> int:
    query = select(func.count()).select_from(Tag).where(_T.command_id.is_(None))
    return conn.scalar(query.where(_T.revision > since) if since is not None else query) or 0


def limits(conn: Connection, charger_id: int) -> dict[str, str | None]:
    """What the charger has told of its list's limits: key in lower case → value."""
    names = ("localauthlistenabled", "localauthlistmaxlength", "sendlocallistmaxlength")
    rows = conn.execute(
        select(_V.name_key, _V.value).where(_V.charger_id == charger_id, _V.name_key.in_(names))
    )
    return {row.name_key: row.value for row in rows}


def waiting(conn: Connection, revision: int, since: datetime, limit: int) -> Sequence[Row[Any]]:
    """`identity` of connected chargers whose list is to be like the tags, is not, and was not tried since then."""
    return conn.execute(
        select(_C.identity)
        .join(LocalList.__table__, _L.charger_id == _C.id)
        .where(
            _L.wanted.is_(True),
            _L.version >= 0,
            or_(_L.revision.is_(None), _L.revision < revision),
            or_(_L.tried_at.is_(None), _L.tried_at < since),
            _C.connected.is_(True),
            _C.removed_at.is_(None),
            _C.registration == "Accepted",
            _C.automatic_calls.is_(True),
        )
        .limit(limit)
    ).all()
