"""The journal of messages: /api/messages, /api/chargers/{chargerId}/messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from flask import Blueprint
from sqlalchemy import Connection, Row, select

from ..database import chargers
from ..database.chargers import find as find_charger
from ..database.connections import reading
from ..database.models import Charger, Message
from ..domain import identities
from ..domain.roles import VIEWER, Sites
from ..extensions import db
from ..web.answers import Answer, ChargerId, Time
from ..web.endpoint import endpoint
from ..web.fields import ChargerName, about, choice, text
from ..web.pages import NEXT, IdCursor, Limit, Period, page
from ..web.process import sites
from ..web.replies import Reply

blueprint = Blueprint("messages", __name__)

KINDS = ("call", "result", "error", "other")
_M = Message.__table__.c
_C = Charger.__table__.c


class MessagesOfChargerQuery(Period):
    action: Annotated[str, text(64, description="Only of this action, calls and answers.")] | None = None
    kind: Annotated[str, choice(KINDS, description="Only these.")] | None = None
    direction: Annotated[str, choice(("in", "out"), description="in: from the charger.")] | None = None
    message_id: Annotated[str, text(64, description="Only with this id.")] | None = None
    q: Annotated[str, text(blanks=True, description="A part of the text.")] | None = None
    limit: Limit = 100
    cursor: IdCursor | None = None


class MessagesQuery(MessagesOfChargerQuery):
    charger_id: Annotated[str, text(description="Only of this charger.")] | None = None


class JournalMessage(Answer):
    id: int
    charger_id: ChargerId
    identity: str
    at: Time
    direction: Annotated[str, choice(("in", "out"), description="in: from the charger.")]
    kind: Annotated[str, choice(KINDS)]
    action: str | None
    message_id: str | None
    text: Annotated[str, about("As it went, but for secrets (***), and for what is beyond 8,000 characters.")]
    size: Annotated[int, about("In characters.")]
    round_trip_ms: Annotated[int | None, about("Of an answer: since its call.")]
    outcome: Annotated[str | None, about("Of an answer: its status, or the code of its error.")]

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        direction = "out" if row.outgoing else "in"
        return super().of(row, charger_id=identities.to_json(row.identity), direction=direction, **given)


@blueprint.get("/chargers/<charger_id>/messages")
@endpoint(access=VIEWER, answers={200: ("The messages.", NEXT)}, errors=("not-found",))
def list_messages_of_charger(
    charger_id: ChargerName, query: MessagesOfChargerQuery
) -> Reply[list[JournalMessage]]:
    """What went over a charger's socket, newest first, as far as it is kept."""
    return _listed(query, charger_id)


@blueprint.get("/messages")
@endpoint(access=VIEWER, answers={200: ("The messages.", NEXT)}, errors=("not-found",))
def list_messages(query: MessagesQuery) -> Reply[list[JournalMessage]]:
    """What went over chargers' sockets, newest first, as far as it is kept."""
    return _listed(query, query.charger_id)


def _listed(query: MessagesOfChargerQuery, identity: str | None) -> Reply[list[JournalMessage]]:
    with reading(db.engine) as conn:
        rows = _rows(conn, query, identity, sites())
    return page(rows, query.limit, JournalMessage.of, lambda row: (row.id,))


def _rows(
    conn: Connection, query: MessagesOfChargerQuery, identity: str | None, seen: Sites
) -> Sequence[Row[Any]]:
    wanted = select(Message.__table__, _C.identity).join(Charger.__table__, _C.id == _M.charger_id)
    if identity is not None:
        wanted = wanted.where(_M.charger_id == find_charger(conn, identity, removed=True, sites=seen).id)
    if seen is not None:
        wanted = wanted.where(chargers.at(seen))
    for column, value in (
        (_M.action, query.action),
        (_M.kind, query.kind),
        (_M.message_id, query.message_id),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if query.direction is not None:
        wanted = wanted.where(_M.outgoing.is_(query.direction == "out"))
    if query.q is not None:
        wanted = wanted.where(_M.text.contains(query.q, autoescape=True))
    if query.since is not None:
        wanted = wanted.where(_M.at >= query.since)
    if query.until is not None:
        wanted = wanted.where(_M.at < query.until)
    if query.cursor is not None:
        wanted = wanted.where(_M.id < query.cursor)
    return conn.execute(wanted.order_by(_M.id.desc()).limit(query.limit + 1)).all()
