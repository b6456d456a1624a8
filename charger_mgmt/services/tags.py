"""idTags as operators keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Row
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..errors import Conflict, InvalidInput, NotFound
from ..store import tags
from ..store.connections import reading, writing

#: An operator's word on a tag (ConcurrentTx is never one: it is found out at a start).
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")
#: CiString20Type (section 7): printable ASCII; blanks at the ends would be lost in comparisons.
_TAG = re.compile(r"[!-~](?:[ -~]{0,18}[!-~])?")


def check_id_tag(name: str, id_tag: str) -> str:
    """The idTag, if it can be one. Raises InvalidInput naming the field."""
    if not _TAG.fullmatch(id_tag):
        message = "must be 1 to 20 printable ASCII characters without blanks at the ends"
        raise InvalidInput(f"{name}: {message}", {name: message})
    return id_tag


def create(engine: Engine, id_tag: str, values: Mapping[str, Any]) -> Row[Any]:
    """Raises Conflict when the tag is known, in whatever case."""
    try:
        with writing(engine) as conn:
            tags.add(conn, id_tag, clock.now(), **values)
    except IntegrityError:
        raise Conflict(f"The tag {id_tag} exists already.") from None
    return find(engine, id_tag)


def find(engine: Engine, id_tag: str) -> Row[Any]:
    """Raises NotFound."""
    with reading(engine) as conn:
        row = tags.find(conn, id_tag)
    if row is None:
        raise NotFound(f"There is no tag {id_tag!r}.")
    return row


def listed(engine: Engine, *, status: str | None, after: str | None, limit: int) -> Sequence[Row[Any]]:
    with reading(engine) as conn:
        return tags.listed(conn, status=status, after=after, limit=limit)


def change(engine: Engine, id_tag: str, values: Mapping[str, Any]) -> Row[Any]:
    """Raises NotFound."""
    with writing(engine) as conn:
        row = tags.find(conn, id_tag)
        if row is None:
            raise NotFound(f"There is no tag {id_tag!r}.")
        if values:
            tags.change(conn, row.id, **values)
    return find(engine, id_tag)
