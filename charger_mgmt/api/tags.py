"""idTags: /api/tags."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from ..extensions import db
from ..services import authorize, tags
from . import shapes
from .central import central
from .parsing import Fields, body, query
from .replies import page, read_cursor, reply

blueprint = Blueprint("tags", __name__, url_prefix="/tags")


@blueprint.get("")
def list_tags() -> Response:
    with query() as given:
        status = given.choice("status", tags.STATUSES, default=None)
        limit = given.whole("limit", default=100, least=1, most=1000)
        (after,) = read_cursor(given.text("cursor", default=None, longest=1000), str) or (None,)
    rows = tags.listed(db.engine, status=status, after=after, limit=limit + 1)
    return page(rows, limit, shapes.tag, lambda row: (row.id_tag_key,))


@blueprint.post("")
def create_tag() -> Response:
    with body() as given:
        id_tag = given.text("idTag", longest=20)
        values = {"status": "Accepted"} | _values(given)
    row = tags.create(db.engine, tags.check_id_tag("idTag", id_tag), _checked(values))
    return reply(shapes.tag(row), 201, {"Location": f"/api/tags/{quote(row.id_tag, safe='')}"})


@blueprint.get("/<id_tag>")
def show_tag(id_tag: str) -> Response:
    with query():
        pass
    return reply(shapes.tag(tags.find(db.engine, id_tag, _unknown())))


@blueprint.patch("/<id_tag>")
def change_tag(id_tag: str) -> Response:
    with body() as given:
        values = _values(given)
        if given.has("idTag") and given.values["idTag"] != id_tag:
            given.wrong("idTag", "cannot be changed")
    return reply(shapes.tag(tags.change(db.engine, id_tag, _checked(values), _unknown())))


def _unknown() -> str:
    """The status of a tag that nobody entered."""
    return authorize.unknown_tag_status(central().settings)


def _values(given: Fields) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if given.has("status"):
        values["status"] = given.choice("status", tags.STATUSES)
    if given.has("expiryDate"):
        values["expiry_date"] = given.moment("expiryDate", null=True)
    if given.has("parentIdTag"):
        values["parent_id_tag"] = given.text("parentIdTag", longest=20, null=True)
    if given.has("maxActiveTransactions"):
        values["max_active_transactions"] = given.whole("maxActiveTransactions", least=1, null=True)
    return values


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    if (parent := values.get("parent_id_tag")) is not None:
        tags.check_id_tag("parentIdTag", parent)
    return values
