"""Chargers: /api/chargers."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from ..domain import identities
from ..domain.status import SUMMARIES
from ..errors import NotFound
from ..extensions import db
from ..services import chargers, connectors, oddities
from . import shapes
from .central import central, operator
from .parsing import Fields, body, optional_body, period, query, whole_id
from .replies import page, read_cursor, reply

blueprint = Blueprint("chargers", __name__, url_prefix="/chargers")
_COUNTRY = re.compile(r"[A-Z]{2}")
_PLACE = {
    "name": ("name", 255),
    "address": ("address", 255),
    "city": ("city", 255),
    "postalCode": ("postal_code", 32),
}


@blueprint.get("")
def list_chargers() -> Response:
    with query() as given:
        limit = given.whole("limit", default=1000, least=1, most=10_000)
        filters = {
            "status": given.choice("status", SUMMARIES, default=None),
            "has_fault": given.flag("hasFault", default=None),
            "connected": given.flag("connected", default=None),
            "q": given.text("q", default=None, blanks=True),
        }
        cursor = given.text("cursor", default=None, longest=1000)
    (after,) = read_cursor(cursor, str) or (None,)
    rows, faults = chargers.listed(db.engine, **filters, after=after, limit=limit + 1)
    return page(
        rows,
        limit,
        lambda row: shapes.charger_summary(row, faults.get(row[0], ())),
        lambda row: (row.identity,),
    )


@blueprint.post("")
def create_charger() -> Response:
    with body() as given:
        identity = _identity(given)
        changes = _changes(given)
    details = chargers.create(db.engine, identity, changes)
    location = {"Location": f"/api/chargers/{quote(identity, safe='')}"}
    return reply(shapes.charger_details(details), 201, location)


@blueprint.get("/<charger_id>")
def show_charger(charger_id: str) -> Response:
    with query():
        pass
    return reply(shapes.charger_details(chargers.details(db.engine, charger_id)))


@blueprint.patch("/<charger_id>")
def change_charger(charger_id: str) -> Response:
    with body() as given:
        changes = _changes(given)
    return reply(shapes.charger_details(chargers.change(central(), db.engine, charger_id, changes)))


@blueprint.delete("/<charger_id>")
def remove_charger(charger_id: str) -> Response:
    """Its sessions stay."""
    with query():
        pass
    chargers.remove(central(), db.engine, charger_id, requested_by=operator())
    return Response(status=204)


@blueprint.post("/<charger_id>/disconnect")
def disconnect_charger(charger_id: str) -> Response:
    """It dials anew."""
    with optional_body():
        pass
    chargers.disconnect(central(), db.engine, charger_id, requested_by=operator())
    return Response(status=204)


@blueprint.get("/<charger_id>/status-history")
def list_status_changes(charger_id: str) -> Response:
    with query() as given:
        connector_id = given.whole("connectorId", default=None)
        since, until = period(given)
        limit, before = _page_of_ids(given)
    rows = chargers.status_history(
        db.engine,
        charger_id,
        connector_id=connector_id,
        since=since,
        until=until,
        before=before,
        limit=limit + 1,
    )
    return page(rows, limit, shapes.status_change, lambda row: (row.id,))


@blueprint.get("/<charger_id>/meter-values")
def list_meter_values(charger_id: str) -> Response:
    """Samples that belong to no session; those of a session are with the session."""
    with query() as given:
        connector_id = given.whole("connectorId", default=None)
        measurand = given.text("measurand", default=None, longest=64)
        since, until = period(given)
        limit, before = _page_of_ids(given)
    rows, fitting = chargers.meter_values(
        db.engine,
        charger_id,
        connector_id=connector_id,
        measurand=measurand,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    return page(rows, fitting, shapes.lone_meter_value, lambda row: (row.id,))


@blueprint.delete("/<charger_id>/connectors/<connector_id>")
def remove_connector(charger_id: str, connector_id: str) -> Response:
    with query():
        pass
    number = whole_id(connector_id)
    if number is None:
        raise NotFound(f"There is no connector {connector_id[:40]!r}.")
    connectors.remove(db.engine, charger_id, number, requested_by=operator())
    return Response(status=204)


@blueprint.get("/<charger_id>/events")
def list_events(charger_id: str) -> Response:
    with query() as given:
        kind = given.text("kind", default=None, longest=48)
        since, until = period(given)
        limit, before = _page_of_ids(given)
    rows, fitting = chargers.events(
        db.engine, charger_id, kind=kind, since=since, until=until, before=before, limit=limit
    )
    return page(rows, fitting, shapes.event, lambda row: (row.id,))


@blueprint.get("/<charger_id>/oddities")
def list_oddities(charger_id: str) -> Response:
    with query():
        pass
    return reply([shapes.oddity(row) for row in oddities.listed(db.engine, charger_id)])


def _page_of_ids(given: Fields) -> tuple[int, int | None]:
    limit = given.whole("limit", default=100, least=1, most=1000)
    (before,) = read_cursor(given.text("cursor", default=None, longest=1000), int) or (None,)
    return limit, before


def _identity(given: Fields) -> Any:
    """The body's chargerId, a string or a JSON integer, as the identity that it stands for."""
    if not given.has("chargerId"):
        return given.wrong("chargerId", "is missing")
    value = given.values["chargerId"]
    try:
        return identities.from_json(value)
    except ValueError as error:
        return given.wrong("chargerId", str(error))


def _changes(given: Fields) -> dict[str, Any]:
    """The columns that a body names, and `password`; what it does not name stays as it is."""
    changes: dict[str, Any] = {}
    for name, (column, longest) in _PLACE.items():
        if given.has(name):
            changes[column] = given.text(name, longest=longest, null=True)
    if given.has("country"):
        changes["country"] = country = given.text("country", null=True)
        if country is not None and not _COUNTRY.fullmatch(country):
            given.wrong("country", "must be an ISO 3166 code of two capital letters")
    for name, limit in (("latitude", 90), ("longitude", 180)):
        if given.has(name):
            degrees = given.number(name, least=-limit, most=limit, null=True)
            changes[name] = None if degrees is None else float(round(degrees, 6))
    if given.has("password"):
        changes["password"] = given.text("password", null=True, blanks=True)
    for name, column in (
        ("approved", "approved"),
        ("allowMissingSubprotocol", "allow_missing_subprotocol"),
        ("automaticCalls", "automatic_calls"),
        ("strict", "strict"),
        ("blocked", "blocked"),
        ("allowWithoutPassword", "allow_without_password"),
    ):
        if given.has(name):
            changes[column] = given.flag(name)
    if given.has("boundDialect"):
        changes["bound_dialect"] = bound = given.choice("boundDialect", ("ocpp1.6", "flat"), null=True)
        changes["dialect_pinned"] = bound is not None
    return changes
