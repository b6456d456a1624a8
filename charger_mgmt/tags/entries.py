"""idTags as operators keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..database.connections import reading, writing
from ..domain.roles import Sites
from ..errors import Conflict, NotFound
from . import tag_rows

#: An operator's word on a tag (ConcurrentTx is never one: it is found out at a start).
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")


def create(engine: Engine, id_tag: str, values: Mapping[str, Any]) -> Row[Any] | SeenTag:
    """Raises Conflict when the tag is known, in whatever case."""
    try:
        with writing(engine) as conn:
            tag_rows.add(conn, id_tag, clock.now(), **values)
    except IntegrityError:
        raise Conflict(f"The tag {id_tag} exists already.") from None
    return find(engine, id_tag, values["status"])


@dataclass(frozen=True, slots=True)
class SeenTag:
    """A tag that nobody entered and that sessions name: what it is answered, and when it first came."""

    id_tag: str
    status: str
    created_at: datetime
    expiry_date: None = None
    parent_id_tag: None = None
    max_active_transactions: None = None
    session_energy_mwh: None = None
    session_minutes: None = None


def find(engine: Engine, id_tag: str, unknown: str, sites: Sites = None) -> Row[Any] | SeenTag:
    """The tag; `unknown` is the status of one that nobody entered, but sessions at these sites name. Raises NotFound."""
    with reading(engine) as conn:
        return tag_rows.find(conn, id_tag) or _seen(conn, id_tag, unknown, sites)


def _seen(conn: Connection, id_tag: str, unknown: str, sites: Sites = None) -> SeenTag:
    row = tag_rows.first_session(conn, id_tag, sites)
    if row is None:
        raise NotFound(f"There is no tag {id_tag!r}.")
    return SeenTag(row.id_tag, unknown, row.start_received_at)


def listed(engine: Engine, *, status: str | None, after: str | None, limit: int) -> Sequence[Row[Any]]:
    with reading(engine) as conn:
        return tag_rows.listed(conn, status=status, after=after, limit=limit)


def change(engine: Engine, id_tag: str, values: Mapping[str, Any], unknown: str) -> Row[Any] | SeenTag:
    """Change a tag; one that is known only from sessions is entered by it. Raises NotFound, Conflict."""
    try:
        with writing(engine) as conn:
            row = tag_rows.find(conn, id_tag)
            if row is not None:
                if values:
                    tag_rows.change(conn, row.id, **values)
            else:
                seen = _seen(conn, id_tag, unknown)
                if values:
                    tag_rows.add(conn, seen.id_tag, clock.now(), **{"status": unknown} | dict(values))
    except IntegrityError:
        raise Conflict(f"The tag {id_tag} is being entered by somebody else; try again.") from None
    return find(engine, id_tag, unknown)
