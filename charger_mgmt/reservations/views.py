"""Reservations: /api/reservations."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Blueprint
from msgspec import Meta

from .. import clock
from ..domain import identities
from ..domain import reservations as rules
from ..domain.roles import OPERATOR, VIEWER
from ..errors import CommandRefused
from ..extensions import db
from ..web.answers import Answer, ChargerId, Time
from ..web.endpoint import endpoint
from ..web.fields import LARGEST, IdTag, Moment, RowId, about, choice, meta, text
from ..web.pages import NEXT, IdCursor, Limit, page
from ..web.process import central, operator, sites
from ..web.reading import Sent
from ..web.replies import LOCATION, RELATED, Reply, command_link
from . import bookings
from .bookings import Booking

blueprint = Blueprint("reservations", __name__, url_prefix="/reservations")

State = Annotated[
    str,
    choice(
        rules.STATES,
        "ReservationState",
        description="requested: its answer is not known; active: it keeps the connector; refused; used: a session named it;"
        " cancelled; lost: it has none by this number; ended: its connector was Faulted, Unavailable, or let go of it; expired.",
    ),
]


class NewReservation(Sent):
    charger_id: Annotated[
        str,
        meta(
            identities.from_json,
            instead={"type": ["string", "integer"]},
            description="The charger's identity.",
            examples=[1, "CP001"],
        ),
    ]
    id_tag: IdTag
    expiry_date: Annotated[Moment, about("Until when; at most 30 days ahead.")]
    connector_id: Annotated[
        int, Meta(ge=0, le=LARGEST, description="0: any, for chargers with ReserveConnectorZeroSupported.")
    ] = 0


class ReservationsQuery(Sent):
    charger_id: Annotated[str, text(description="Only at this charger.")] | None = None
    state: Annotated[str, choice(rules.STATES, description="Only in this state.")] | None = None
    limit: Limit = 100
    cursor: IdCursor | None = None


class Reservation(Answer):
    reservation_id: int
    charger_id: ChargerId
    identity: str
    connector_id: int
    id_tag: str
    parent_id_tag: Annotated[str | None, about("Every card of this group may use it.")]
    expiry_date: Time
    state: State
    answer: Annotated[str | None, about("The charger's own word, or why there is none.")]
    command_id: int | None
    transaction_id: Annotated[int | None, about("The session that used it.")]
    requested_by: str
    created_at: Time
    ended_at: Time | None

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        over = row.state in rules.OPEN and row.expires_at <= clock.now()
        return super().of(
            row,
            reservation_id=row.id,
            charger_id=identities.to_json(row.identity),
            expiry_date=row.expires_at,
            state=rules.EXPIRED if over else row.state,
            ended_at=row.expires_at if over else row.ended_at,
            **given,
        )


#: What asking a charger can meet.
_AT_THE_CHARGER = (
    "not-found",
    "conflict",
    "charger-offline",
    "charger-busy",
    "command-refused",
    "charger-error",
    "outcome-unknown",
    "bus-away",
)


@blueprint.post("")
@endpoint(
    access=OPERATOR,
    answers={
        201: ("The charger keeps the connector.", LOCATION | RELATED),
        202: ("It has not answered yet: the reservation is requested.", LOCATION | RELATED),
    },
    errors=("tag-refused", *_AT_THE_CHARGER),
)
def make_reservation(body: NewReservation) -> Reply[Reservation]:
    """Reserve a connector for a tag.

    What the charger refuses stays in the list, with its word (409 here). A `…/start` by another tag on that connector is refused meanwhile.
    """
    booking = bookings.reserve(
        central(),
        db.engine,
        body.charger_id,
        connector_id=body.connector_id,
        id_tag=body.id_tag,
        expires_at=body.expiry_date,
        sites=sites(),
        requested_by=operator(),
    )
    row = booking.row
    if row.state == rules.REFUSED:
        _raise(booking, f"Charger {row.identity} did not reserve: {row.answer}.")
    headers = {"Location": f"/api/reservations/{row.id}"} | _related(booking)
    return Reply(Reservation.of(row), 202 if row.state == rules.REQUESTED else 201, headers)


@blueprint.get("")
@endpoint(access=VIEWER, answers={200: ("The reservations.", NEXT)}, errors=("not-found",))
def list_reservations(query: ReservationsQuery) -> Reply[list[Reservation]]:
    """Reservations, newest first."""
    rows = bookings.listed(
        db.engine,
        identity=query.charger_id,
        sites=sites(),
        state=query.state,
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page(rows, query.limit, Reservation.of, lambda row: (row.id,))


@blueprint.get("/<reservation_id>")
@endpoint(access=VIEWER, answers={200: "The reservation."}, errors=("not-found",))
def show_reservation(reservation_id: RowId) -> Reservation:
    """One reservation."""
    return Reservation.of(bookings.find(db.engine, reservation_id, sites()))


@blueprint.post("/<reservation_id>/cancel")
@endpoint(
    access=OPERATOR,
    answers={
        200: ("Cancelled, or over before; `state` tells how.", RELATED),
        202: ("The charger has not answered yet.", RELATED),
    },
    errors=_AT_THE_CHARGER,
)
def cancel_reservation(reservation_id: RowId) -> Reply[Reservation]:
    """Cancel a reservation.

    A charger that knows none by this number says so: then its state is "lost" (409).
    """
    booking = bookings.cancel(central(), db.engine, reservation_id, sites=sites(), requested_by=operator())
    row = booking.row
    if row.state == rules.LOST:
        _raise(booking, f"Charger {row.identity} knows no reservation {row.id}.")
    if row.state in rules.OPEN and booking.outcome is not None and not booking.outcome.waiting:
        _raise(booking, f"Charger {row.identity} did not cancel.")
    waiting = row.state in rules.OPEN
    return Reply(Reservation.of(row), 202 if waiting else 200, _related(booking))


def _raise(booking: Booking, message: str) -> None:
    """Raise what kept the charger from doing it."""
    outcome = booking.outcome
    error = outcome.error if outcome is not None and outcome.error is not None else CommandRefused(message)
    if outcome is not None:
        error.command = (outcome.identity, outcome.command_id)
    raise error


def _related(booking: Booking) -> dict[str, str]:
    if booking.outcome is None:
        return {}
    return command_link(booking.outcome.identity, booking.outcome.command_id)
