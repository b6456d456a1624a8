"""idTags as operators keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..errors import Conflict, InvalidInput, NotFound
from ..store import tags
from ..store.connections import reading, writing

#: An operator's word on a tag (ConcurrentTx is never one: it is found out at a start).
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")
#: CiString20Type (section 7): printable ASCII; blanks at the ends would be lost in comparisons.
#: What clients take out of an address before they send it (RFC 3986 section 5.2.4), escaped or not.
RELATIVE = (".", "..")
_TAG = re.compile(r"[!-~](?:[ -~]{0,18}[!-~])?")


def check_id_tag(name: str, id_tag: str) -> str:
    """The idTag, if it can be one. Raises InvalidInput naming the field."""
    message = None
    if not _TAG.fullmatch(id_tag):
        message = "must be 1 to 20 printable ASCII characters without blanks at the ends"
    elif id_tag in RELATIVE:
        message = "must not be a relative path: nobody could name it in an address"
    if message is not None:
        raise InvalidInput(f"{name}: {message}", {name: message})
    return id_tag


def create(engine: Engine, id_tag: str, values: Mapping[str, Any]) -> Row[Any] | SeenTag:
    """Raises Conflict when the tag is known, in whatever case."""
    try:
        with writing(engine) as conn:
            tags.add(conn, id_tag, clock.now(), **values)
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


def find(engine: Engine, id_tag: str, unknown: str) -> Row[Any] | SeenTag:
    """The tag; `unknown` is the status of one that nobody entered, but sessions name. Raises NotFound."""
    with reading(engine) as conn:
        return tags.find(conn, id_tag) or _seen(conn, id_tag, unknown)


def _seen(conn: Connection, id_tag: str, unknown: str) -> SeenTag:
    row = tags.first_session(conn, id_tag)
    if row is None:
        raise NotFound(f"There is no tag {id_tag!r}.")
    return SeenTag(row.id_tag, unknown, row.start_received_at)


def listed(engine: Engine, *, status: str | None, after: str | None, limit: int) -> Sequence[Row[Any]]:
    with reading(engine) as conn:
        return tags.listed(conn, status=status, after=after, limit=limit)


def change(engine: Engine, id_tag: str, values: Mapping[str, Any], unknown: str) -> Row[Any] | SeenTag:
    """Change a tag; one that is known only from sessions is entered by it. Raises NotFound, Conflict."""
    try:
        with writing(engine) as conn:
            row = tags.find(conn, id_tag)
            if row is not None:
                if values:
                    tags.change(conn, row.id, **values)
            else:
                seen = _seen(conn, id_tag, unknown)
                if values:
                    tags.add(conn, seen.id_tag, clock.now(), **{"status": unknown} | dict(values))
    except IntegrityError:
        raise Conflict(f"The tag {id_tag} is being entered by somebody else; try again.") from None
    return find(engine, id_tag, unknown)
