"""idTags as operators keep them; one-use tags are not theirs and stay out of sight."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from ..database.base import AnyRow
from ..database.models import Charger, Tag, TagRevision, Transaction
from ..domain.authorisation import tag_key
from ..domain.roles import Sites

_T = Tag.__table__.c
_R = TagRevision.__table__.c


def find(conn: Connection, id_tag: str) -> AnyRow | None:
    """The tag by its text, whatever its case."""
    return conn.execute(
        select(Tag.__table__).where(_T.id_tag_key == tag_key(id_tag), _T.command_id.is_(None))
    ).first()


def first_session(conn: Connection, id_tag: str, sites: Sites = None) -> AnyRow | None:
    """`id_tag, start_received_at` of the first session at these sites that names this tag, whatever its case; one-use tags
    are none."""
    one_use = select(_T.id).where(_T.id_tag_key == tag_key(id_tag), _T.command_id.is_not(None)).exists()
    t = Transaction.__table__.c
    query = select(t.id_tag, t.start_received_at).where(func.lower(t.id_tag) == id_tag.lower(), ~one_use)
    if sites is not None:
        query = query.where(t.charger_id.in_(select(Charger.id).where(Charger.site_id.in_(sorted(sites)))))
    return conn.execute(query.order_by(t.id).limit(1)).first()


def listed(conn: Connection, *, status: str | None, after: str | None, limit: int) -> Sequence[Row[Any]]:
    """Tags by their lower-case text; those beyond `after`."""
    query = select(Tag.__table__).where(_T.command_id.is_(None)).order_by(_T.id_tag_key).limit(limit)
    if status is not None:
        query = query.where(_T.status == status)
    return conn.execute(query.where(_T.id_tag_key > after) if after is not None else query).all()


def add(conn: Connection, id_tag: str, now: datetime, **values: Any) -> None:
    if values.get("command_id") is None:
        values["revision"] = _next_revision(conn)
    conn.execute(
        insert(Tag.__table__).values(id_tag=id_tag, id_tag_key=tag_key(id_tag), created_at=now, **values)
    )


def change(conn: Connection, tag_id: int, **values: Any) -> None:
    values["revision"] = _next_revision(conn)
    conn.execute(update(Tag.__table__).where(_T.id == tag_id).values(**values))


def _next_revision(conn: Connection) -> int:
    """The number of this change; the next one waits for our commit."""
    moved = conn.execute(update(TagRevision.__table__).where(_R.id == 1).values(value=_R.value + 1))
    if not moved.rowcount:
        conn.execute(insert(TagRevision.__table__).values(id=1, value=1))
    return revision(conn)


def revision(conn: Connection) -> int:
    """The number of the last change of a tag."""
    return conn.scalar(select(_R.value).where(_R.id == 1)) or 0
