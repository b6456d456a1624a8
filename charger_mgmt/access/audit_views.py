"""The audit trail: /api/audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from flask import Blueprint
from sqlalchemy import Engine

from ..database import acts
from ..database.connections import reading
from ..domain.roles import ADMIN
from ..extensions import db
from ..web.answers import Answer, Time
from ..web.endpoint import endpoint
from ..web.fields import about, text
from ..web.pages import NEXT, IdCursor, Limit, Period, page
from ..web.replies import Lines, Reply

blueprint = Blueprint("audit", __name__, url_prefix="/audit")

#: Entries that an export reads at a time.
_PORTION = 500


class Wanted(Period):
    username: Annotated[str, text(description="Only what this account did.")] | None = None
    action: Annotated[str, text(64, description="Only this operationId, or `flask` command.")] | None = None
    result: Annotated[str, text(64, description='Only with this result: "done", or a code.')] | None = None
    q: Annotated[str, text(blanks=True, description="A part of the target.")] | None = None


class AuditQuery(Wanted):
    limit: Limit = 100
    cursor: IdCursor | None = None


class AuditEntry(Answer):
    id: int
    at: Time
    username: Annotated[str | None, about("Who; null: nobody whom we know.")]
    by: Annotated[
        str | None,
        about("By what: log-in, key, provider (a token of the identity provider), reset link, command line."),
    ]
    key_id: int | None
    action: Annotated[str, about("The operationId of the request, or the `flask` command.")]
    target: Annotated[str, about("The path of the request, or what the command was given.")]
    details: Annotated[dict[str, Any] | None, about("What was asked for; secrets are ***.")]
    result: Annotated[
        str,
        about(
            '"done": it has been stored, a call has been ordered; else the code of the problem that was answered. What was'
            " ordered and did not come to a good end has two entries."
        ),
    ]
    address: str | None


@blueprint.get("")
@endpoint(access=ADMIN, whole_fleet=True, answers={200: ("The entries.", NEXT)})
def list_audit(query: AuditQuery) -> Reply[list[AuditEntry]]:
    """Who did what, newest first."""
    with reading(db.engine) as conn:
        rows = acts.listed(conn, **_filters(query), before=query.cursor, limit=query.limit + 1)
    return page(rows, query.limit, AuditEntry.of, lambda row: (row.id,))


@blueprint.get("/export")
@endpoint(access=ADMIN, whole_fleet=True, answers={200: "One entry a line, newest first."})
def export_audit(query: Wanted) -> Lines:
    """All of it, as JSON lines."""
    return Lines(_exported(db.engine, _filters(query)))


def _exported(engine: Engine, filters: dict[str, Any]) -> Iterator[bytes]:
    """A portion at a time, so that it neither fills the memory nor holds a database connection."""
    before = None
    while True:
        with reading(engine) as conn:
            rows = acts.listed(conn, **filters, before=before, limit=_PORTION)
        for row in rows:
            yield msgspec.json.encode(AuditEntry.of(row)) + b"\n"
        if len(rows) < _PORTION:
            return
        before = rows[-1].id


def _filters(query: Wanted) -> dict[str, Any]:
    return {
        "username": query.username,
        "action": query.action,
        "result": query.result,
        "q": query.q,
        "since": query.since,
        "until": query.until,
    }
