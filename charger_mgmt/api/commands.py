"""Calls to a charger: /api/chargers/{chargerId}/commands."""

from __future__ import annotations

from flask import Blueprint, Response

from ..dialects.ocpp16 import form as schemas
from ..errors import CallErrored, InvalidInput, NotFound
from ..extensions import db
from ..services import commands
from ..services.calls import CALLS
from ..store.commands import STATES
from . import shapes
from .central import central, operator
from .parsing import json_object, query
from .replies import command_link, page, read_cursor, reply

blueprint = Blueprint("commands", __name__, url_prefix="/chargers/<charger_id>/commands")


@blueprint.post("/<action>")
def send_command(charger_id: str, action: str) -> Response:
    """200: the charger answered, whatever it said; 202: it has not yet."""
    if action not in CALLS:
        raise NotFound(f"There is no command {action[:50]!r}; there are {', '.join(CALLS)}.")
    payload = json_object()
    if violations := schemas.check_request(action, payload):
        raise InvalidInput(f"The payload is no valid {action}.", {p or "/": text for p, text in violations})
    wait = central().settings.operator_wait
    outcome = commands.send(central(), charger_id, action, payload, requested_by=operator(), wait=wait)
    if outcome.error is not None and not isinstance(outcome.error, CallErrored):
        raise outcome.error
    row = commands.find(db.engine, charger_id, outcome.command_id)
    link = command_link(charger_id, outcome.command_id)
    return reply(shapes.command(row, charger_id), 202 if outcome.waiting else 200, link)


@blueprint.get("")
def list_commands(charger_id: str) -> Response:
    with query() as given:
        state = given.choice("state", STATES, default=None)
        action = given.text("action", default=None, longest=64)
        limit = given.whole("limit", default=100, least=1, most=1000)
        (before,) = read_cursor(given.text("cursor", default=None, longest=1000), int) or (None,)
    rows, fitting = commands.listed(
        db.engine, charger_id, state=state, action=action, before=before, limit=limit
    )
    return page(rows, fitting, lambda row: shapes.command(row, charger_id), lambda row: (row.id,))


@blueprint.get("/<command_id>")
def show_command(charger_id: str, command_id: str) -> Response:
    with query():
        pass
    if not (command_id.isascii() and command_id.isdigit() and len(command_id) < 19):
        raise NotFound(f"There is no command {command_id[:40]!r}.")
    return reply(shapes.command(commands.find(db.engine, charger_id, int(command_id)), charger_id))
