"""Chargers' messages that could not be turned into rows: /api/inbox."""

from flask import Blueprint, Response

from ..extensions import db
from ..services import chargers
from ..services.inbox import KINDS
from . import shapes
from .parsing import query
from .replies import page, read_cursor

blueprint = Blueprint("inbox", __name__, url_prefix="/inbox")


@blueprint.get("")
def list_inbox() -> Response:
    with query() as given:
        identity = given.text("chargerId", default=None)
        kind = given.choice("kind", KINDS, default=None)
        limit = given.whole("limit", default=100, least=1, most=1000)
        (before,) = read_cursor(given.text("cursor", default=None, longest=1000), int) or (None,)
    rows, fitting = chargers.inbox(db.engine, identity=identity, kind=kind, before=before, limit=limit)
    return page(rows, fitting, shapes.inbox_message, lambda row: (row.id,))
