"""Sites, as the database has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ..database.base import AnyRow
from ..database.models import ApiKey, Charger, Site, User
from ..domain.roles import Sites

_S = Site.__table__.c
_C = Charger.__table__.c


def listed(conn: Connection, sites: Sites, *, after: str | None, limit: int) -> Sequence[Row[Any]]:
    """Those of these sites by name; those beyond `after`."""
    query = select(Site.__table__).order_by(_S.name).limit(limit)
    if sites is not None:
        query = query.where(_S.id.in_(sorted(sites)))
    return conn.execute(query.where(_S.name > after) if after is not None else query).all()


def by_id(conn: Connection, site_id: int, *, lock: bool = False) -> AnyRow | None:
    query = select(Site.__table__).where(_S.id == site_id)
    return conn.execute(query.with_for_update() if lock else query).first()


def ids_named(conn: Connection, names: Collection[str]) -> dict[str, int]:
    """Name → id, of those that there are."""
    rows = conn.execute(select(_S.name, _S.id).where(_S.name.in_(sorted(names))))
    return {row.name: row.id for row in rows if row.name in names}


def known(conn: Connection, ids: Collection[int]) -> set[int]:
    """The ids of these that there are."""
    return set(conn.scalars(select(_S.id).where(_S.id.in_(sorted(ids)))))


def add(conn: Connection, now: datetime, **values: Any) -> int:
    made = conn.execute(insert(Site.__table__).values(created_at=now, **values))
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def change(conn: Connection, site_id: int, **values: Any) -> None:
    conn.execute(update(Site.__table__).where(_S.id == site_id).values(**values))


def remove(conn: Connection, site_id: int) -> None:
    """The site is gone, also from the lists of those who were limited to it."""
    for table in (User.__table__, ApiKey.__table__):
        limited = select(table.c.id, table.c.sites).where(table.c.sites.is_not(None))
        for row in conn.execute(limited.order_by(table.c.id).with_for_update()).all():
            if row.sites is not None and site_id in row.sites:
                left = [each for each in row.sites if each != site_id]
                conn.execute(update(table).where(table.c.id == row.id).values(sites=left))
    conn.execute(delete(Site.__table__).where(_S.id == site_id))


def chargers(conn: Connection, site_ids: Collection[int]) -> dict[int, int]:
    """Site → how many chargers it has; those that an operator has removed do not count."""
    rows = conn.execute(
        select(_C.site_id, func.count())
        .where(_C.site_id.in_(sorted(site_ids)), _C.removed_at.is_(None))
        .group_by(_C.site_id)
    )
    return {row[0]: row[1] for row in rows}


def release_removed(conn: Connection, site_id: int) -> None:
    """Chargers that an operator has removed belong to the site no more."""
    conn.execute(
        update(Charger.__table__)
        .where(_C.site_id == site_id, _C.removed_at.is_not(None))
        .values(site_id=None)
    )
