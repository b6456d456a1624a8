"""Chargers' messages that could not be turned into rows: /api/inbox."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Blueprint

from ..domain import identities
from ..domain.roles import VIEWER
from ..extensions import db
from ..intake.inbox import KINDS
from ..web.answers import Answer, ChargerId, Time
from ..web.endpoint import endpoint
from ..web.fields import about, choice, text
from ..web.pages import NEXT, IdCursor, Limit, page
from ..web.process import sites
from ..web.reading import Sent
from ..web.replies import Reply
from . import administration

blueprint = Blueprint("inbox", __name__, url_prefix="/inbox")


class InboxQuery(Sent):
    charger_id: Annotated[str, text(description="Only this charger.")] | None = None
    kind: Annotated[str, choice(KINDS, description="Only this kind.")] | None = None
    limit: Limit = 100
    cursor: IdCursor | None = None


class InboxMessage(Answer):
    id: int
    charger_id: ChargerId
    identity: str
    kind: Annotated[str, choice(KINDS)]
    action: str
    message_id: str | None
    raw: Annotated[str, about("The message as it came.")]
    reason: str
    transaction_id: int | None
    received_at: Time

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        return super().of(row, charger_id=identities.to_json(row.identity), **given)


@blueprint.get("")
@endpoint(access=VIEWER, answers={200: ("The messages.", NEXT)}, errors=("not-found",))
def list_inbox(query: InboxQuery) -> Reply[list[InboxMessage]]:
    """Chargers' messages that could not be turned into rows, newest first."""
    rows, fitting = administration.inbox(
        db.engine,
        identity=query.charger_id,
        kind=query.kind,
        sites=sites(),
        before=query.cursor,
        limit=query.limit,
    )
    return page(rows, fitting, InboxMessage.of, lambda row: (row.id,))
