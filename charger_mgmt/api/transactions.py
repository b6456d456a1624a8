"""Charging sessions: /api/transactions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response

from ..domain import identities
from ..domain.transactions import COMPLETED, IN_PROGRESS, INTERRUPTED
from ..errors import InvalidInput, NotFound
from ..extensions import db
from ..services import history, sessions
from ..services.sessions import Progress
from ..services.tags import check_id_tag
from . import shapes
from .central import central, operator
from .parsing import Fields, body, optional_body, period, query
from .replies import command_link, next_link, page, read_cursor, reply

blueprint = Blueprint("transactions", __name__, url_prefix="/transactions")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@blueprint.post("/<charger_id>/start")
def start_transaction(charger_id: str) -> Response:
    with body() as given:
        session_id = given.text("sessionId")
        connector_id = given.whole("connectorId", default=None, least=1, null=True)
        id_tag = given.text("idTag", default=None, longest=20, null=True)
    if id_tag is not None:
        check_id_tag("idTag", id_tag)
    progress = sessions.start(
        central(),
        db.engine,
        charger_id,
        session_id,
        connector_id=connector_id,
        id_tag=id_tag,
        requested_by=operator(),
    )
    if progress.transaction_id is None:
        return _progress("Start accepted by the charger", progress, 202)
    return _progress("Transaction started", progress, 200 if progress.repeated else 201)


@blueprint.post("/<transaction_id>/end")
def end_transaction(transaction_id: str) -> Response:
    with optional_body() as given:
        force = given.flag("force", default=False)
    progress = sessions.end(central(), db.engine, transaction_id, force=force, requested_by=operator())
    if progress.status == COMPLETED:
        return _progress("Transaction ended", progress, 200)
    if force:
        return _progress("Transaction given up", progress, 200)
    return _progress("Stop accepted by the charger", progress, 202)


@blueprint.post("/<transaction_id>/close")
def close_transaction(transaction_id: str) -> Response:
    """For a session whose charger never reported the end; no charger is asked."""
    with body() as given:
        reason = given.text("reason")
    progress = sessions.close(db.engine, transaction_id, reason, requested_by=operator())
    return _progress("Transaction closed", progress, 200)


@blueprint.get("/charger/<charger_id>")
def list_of_charger(charger_id: str) -> Response:
    with query() as given:
        return _listed(given, charger_id)


@blueprint.get("")
def list_transactions() -> Response:
    with query() as given:
        return _listed(given, given.text("chargerId", default=None))


@blueprint.get("/<transaction_id>")
def show_transaction(transaction_id: str) -> Response:
    with query() as given:
        measurand = given.text("measurand", default=None, longest=64)
        limit = given.whole("limit", default=100, least=1, most=1000)
        (after,) = read_cursor(given.text("cursor", default=None, longest=1000), int) or (None,)
    number = sessions.transaction_id(transaction_id)
    if number is None:
        raise NotFound(f"There is no transaction {transaction_id[:40]!r}.")
    row, (samples, fitting) = history.session(
        db.engine, number, measurand=measurand, after=after, limit=limit
    )
    document = shapes.transaction(row)
    document["meterValues"] = [shapes.meter_value(sample) for sample in samples[:fitting]]
    more = len(samples) > fitting
    return reply(document, headers=next_link((samples[fitting - 1].id,)) if more else None)


def _listed(given: Fields, identity: str | None) -> Response:
    """The page of the history that the query asks for."""
    since, until = period(given)
    filters = history.Filters(
        since=since,
        until=until,
        status=given.choice("status", (IN_PROGRESS, COMPLETED, INTERRUPTED), default=None),
        connector_id=given.whole("connectorId", default=None),
        id_tag=given.text("idTag", default=None),
        unapproved=given.flag("unapproved", default=False),
    )
    limit = given.whole("limit", default=100, least=1, most=1000)
    before = _start_key(given.text("cursor", default=None, longest=1000))
    given.check()
    rows = history.listed(db.engine, filters, identity=identity, before=before, limit=limit + 1)
    return page(rows, limit, shapes.transaction, lambda row: (_milliseconds(row.effective_start), row.id))


def _progress(message: str, progress: Progress, status: int) -> Response:
    answer: dict[str, Any] = {
        "message": message,
        "transactionId": progress.transaction_id,
        "chargerId": identities.to_json(progress.identity),
        "sessionId": progress.session_id,
        "status": progress.status,
        "commandId": progress.command_id,
        "idTagStatus": progress.id_tag_status,
    }
    if progress.command_id is None:
        return reply(answer, status)
    return reply(answer, status, command_link(progress.identity, progress.command_id))


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _start_key(cursor: str | None) -> tuple[datetime, int] | None:
    key = read_cursor(cursor, int, int)
    if key is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=key[0]), key[1]
    except OverflowError:
        message = "is out of range"
        raise InvalidInput(f"cursor: {message}", {"cursor": message}) from None
