"""Calls to a charger: /api/chargers/{chargerId}/commands."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint

from ..dialects.ocpp16 import form
from ..domain import identities
from ..domain.roles import OPERATOR, VIEWER
from ..errors import CallErrored, InvalidInput, NotFound
from ..extensions import db
from ..web.answers import Answer, ChargerId, Time
from ..web.endpoint import endpoint
from ..web.fields import ChargerName, about, choice, meta, text
from ..web.pages import NEXT, IdCursor, Limit, page
from ..web.process import central, operator
from ..web.reading import Sent
from ..web.replies import RELATED, Reply, command_link
from . import outbox
from .calls import CALLS
from .command_rows import STATES

blueprint = Blueprint("commands", __name__, url_prefix="/chargers/<charger_id>/commands")


def _known_action(segment: str) -> str:
    if segment not in CALLS:
        raise NotFound(f"There is no command {segment[:50]!r}; there are {', '.join(CALLS)}.")
    return segment


def _command_id(segment: str) -> int:
    if not (segment.isascii() and segment.isdigit() and len(segment) < 19):
        raise NotFound(f"There is no command {segment[:40]!r}.")
    return int(segment)


Action = Annotated[
    str,
    meta(
        _known_action,
        instead={"type": "string", "enum": list(CALLS)},
        parameter="action",
        description="The OCPP action.",
    ),
]
CommandId = Annotated[int, meta(_command_id, parameter="commandId", description="The commandId.")]
Payload = Annotated[dict[str, Any], about("The action's OCPP 1.6 request payload; none is {}.")]


class CommandQuery(Sent):
    state: Annotated[str, choice(STATES, description="Only in this state.")] | None = None
    action: Annotated[str, text(64, description="Only this action.")] | None = None
    limit: Limit = 100
    cursor: IdCursor | None = None


class Command(Answer):
    command_id: int
    charger_id: ChargerId
    identity: str
    action: str
    payload: Annotated[dict[str, Any], about("As sent; secrets are shown as ***.")]
    state: Annotated[
        str,
        choice(
            STATES,
            description='"accepted" means no more than that the charger said so. "timed out" and "charger gone" after it was'
            " sent: the outcome is unknown.",
        ),
    ]
    response: dict[str, Any] | None
    error_code: str | None
    error_description: str | None
    message_id: str
    requested_by: Annotated[str, about('A username, or "system".')]
    created_at: Time
    sent_at: Time | None
    answered_at: Time | None
    session_id: str | None
    transaction_id: Annotated[int | None, about("The transaction that a remote start caused.")]

    @classmethod
    def to(cls, identity: str, row: Any) -> Command:
        """A command to the charger with this identity."""
        return cls.of(row, command_id=row.id, charger_id=identities.to_json(identity), identity=identity)


@blueprint.post("/<command>")
@endpoint(
    access=OPERATOR,
    answers={
        200: ('The charger answered, whatever it said; CALLERROR is state "error".', RELATED),
        202: ("It has not answered yet.", RELATED),
    },
    errors=("not-found", "conflict", "charger-offline", "charger-busy", "outcome-unknown", "bus-away"),
    optional_body=True,
)
def send_command(charger_id: ChargerName, command: Action, body: Payload) -> Reply[Command]:
    """Call the charger.

    Validated against the published schema and sent even when it looks pointless. Remote starts and stops to a Pending or
    Rejected charger, and a triggered BootNotification of an Accepted one, are refused with 409 (OCPP 1.6 section 4.2,
    errata 3.40).
    """
    if violations := form.check_request(command, body):
        wrong = {place or "/": text for place, text in violations}
        raise InvalidInput(f"The payload is no valid {command}.", wrong)
    wait = central().settings.operator_wait
    outcome = outbox.send(central(), charger_id, command, body, requested_by=operator(), wait=wait)
    if outcome.error is not None and not isinstance(outcome.error, CallErrored):
        raise outcome.error
    row = outbox.find(db.engine, charger_id, outcome.command_id)
    link = command_link(charger_id, outcome.command_id)
    return Reply(Command.to(charger_id, row), 202 if outcome.waiting else 200, link)


@blueprint.get("")
@endpoint(access=VIEWER, answers={200: ("The commands.", NEXT)}, errors=("not-found",))
def list_commands(charger_id: ChargerName, query: CommandQuery) -> Reply[list[Command]]:
    """Calls to the charger, newest first."""
    rows, fitting = outbox.listed(
        db.engine, charger_id, state=query.state, action=query.action, before=query.cursor, limit=query.limit
    )
    return page(rows, fitting, lambda row: Command.to(charger_id, row), lambda row: (row.id,))


@blueprint.get("/<command>")
@endpoint(access=VIEWER, answers={200: "The command."}, errors=("not-found",))
def show_command(charger_id: ChargerName, command: CommandId) -> Command:
    """One call to the charger."""
    return Command.to(charger_id, outbox.find(db.engine, charger_id, command))
