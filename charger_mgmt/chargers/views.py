"""Chargers: /api/chargers."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import quote

from flask import Blueprint
from msgspec import UNSET, Meta, UnsetType, structs

from ..domain import identities
from ..domain.roles import ADMIN, OPERATOR, VIEWER
from ..errors import NotFound
from ..extensions import db
from ..status import connectors
from ..web.answers import ChargerStatus
from ..web.endpoint import endpoint
from ..web.fields import (
    LARGEST,
    ChargerName,
    ConnectorFilter,
    Country,
    Measurand,
    Name,
    SiteFilter,
    about,
    coordinate,
    meta,
    text,
)
from ..web.pages import NEXT, Journal, NameCursor, page
from ..web.process import central, operator, sites
from ..web.reading import Sent
from ..web.replies import LOCATION, Reply
from . import administration, oddities
from .answers import (
    BoundDialect,
    Charger,
    ChargerDetails,
    ChargerEvent,
    Conformance,
    Deviation,
    LoneMeterValue,
    Oddity,
    StatusChange,
)

blueprint = Blueprint("chargers", __name__, url_prefix="/chargers")

#: As identities.problem has it, for the characters up to U+02FF.
_IDENTITY = (
    r"^(?!\.{1,2}$)[!-.0-9;-~\u00a1-\u00ac\u00ae-\u02ff]"
    r"([ !-.0-9;-~\u00a1-\u00ac\u00ae-\u02ff]{0,126}[!-.0-9;-~\u00a1-\u00ac\u00ae-\u02ff])?$"
)
_PASSWORD = r"^(?:[ -~]{16,64}|(?:[0-9A-Fa-f]{2}){16,64})$"


def _connector_number(segment: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,8}", segment):  # in the one spelling that it has: 65, never 065
        raise NotFound(f"There is no connector {segment[:40]!r}.")
    return int(segment)


ConnectorNumber = Annotated[int, meta(_connector_number, description="0 is the charger's main part.")]


class ChargersQuery(Sent):
    status: Annotated[ChargerStatus | None, about("Only these.")] = None
    has_fault: Annotated[bool | None, about("Only with, or only without, a fault.")] = None
    connected: Annotated[bool | None, about("Only connected, or only unconnected ones.")] = None
    site_id: SiteFilter | None = None
    q: (
        Annotated[
            str,
            text(
                blanks=True, description="A part of identity, name, city, vendor or model, in whatever case."
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Rows per page.")] = 1000
    cursor: NameCursor | None = None


class StatusHistoryQuery(Journal):
    connector_id: ConnectorFilter | None = None


class MeterValuesQuery(Journal):
    connector_id: ConnectorFilter | None = None
    measurand: Measurand | None = None


class EventsQuery(Journal):
    kind: Annotated[str, text(48, description="Only this kind.")] | None = None


class ChargerChanges(Sent):
    name: Name | UnsetType | None = UNSET
    address: Name | UnsetType | None = UNSET
    city: Name | UnsetType | None = UNSET
    postal_code: Annotated[str, text(32)] | UnsetType | None = UNSET
    country: Country | UnsetType | None = UNSET
    latitude: Annotated[float, coordinate(90)] | UnsetType | None = UNSET
    longitude: Annotated[float, coordinate(180)] | UnsetType | None = UNSET
    password: (
        Annotated[
            str,
            text(
                blanks=True,
                secret=True,
                instead={"type": "string", "minLength": 16, "maxLength": 128, "pattern": _PASSWORD},
                description="The HTTP Basic password, 16 to 64 bytes of UTF-8 or hex digits; null: the charger has none. A"
                " new one ends its socket.",
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    approved: Annotated[
        bool | UnsetType,
        about(
            "true: accepted at its next BootNotification, for which a connected Pending charger is asked at"
            " once; what it has stored so far joins the history. false: its socket ends, and it is not let in (403)."
        ),
    ] = UNSET
    allow_missing_subprotocol: Annotated[
        bool | UnsetType, about("Lets it connect without offering a WebSocket subprotocol.")
    ] = UNSET
    automatic_calls: Annotated[bool | UnsetType, about("Whether the system may send it calls by itself.")] = (
        UNSET
    )
    journal: (
        Annotated[
            bool,
            about("Whether its messages are kept (`…/messages`); null: as MESSAGE_JOURNAL_PERCENT has it."),
        ]
        | UnsetType
        | None
    ) = UNSET
    strict: Annotated[
        bool | UnsetType,
        about(
            "Hold its messages to the letter of the specification; else what the meaning survives is taken."
        ),
    ] = UNSET
    blocked: Annotated[
        bool | UnsetType,
        about("true: its socket ends, and it is not let in (403) until this is false again."),
    ] = UNSET
    allow_without_password: Annotated[
        bool | UnsetType,
        about("Let it in without a password although CHARGER_AUTH=password; each time is logged."),
    ] = UNSET
    bound_dialect: BoundDialect | UnsetType | None = UNSET
    site_id: (
        Annotated[int, Meta(ge=1, le=LARGEST, description="Of `/api/sites`; null: it belongs to none.")]
        | UnsetType
        | None
    ) = UNSET

    def columns(self) -> dict[str, Any]:
        """What was sent, by its column, and `password`; what was not sent stays as it is."""
        values = structs.asdict(self)
        values.pop("charger_id", None)
        changes = {name: value for name, value in values.items() if value is not UNSET}
        if "bound_dialect" in changes:
            changes["dialect_pinned"] = changes["bound_dialect"] is not None
        return changes


class NewCharger(ChargerChanges, kw_only=True):
    """A charger before it first dials in; approved unless `approved` is false."""

    charger_id: Annotated[
        str,
        meta(
            identities.from_json,
            instead={
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": identities.LARGEST_NUMBER},
                    {"type": "string", "pattern": _IDENTITY},
                ]
            },
            description="The identity the charger dials in with. Besides the characters of the pattern any other printable"
            " one will do, but / and :.",
            examples=[1, "CP001"],
        ),
    ]


@blueprint.get("")
@endpoint(access=VIEWER, answers={200: ("The chargers.", NEXT)})
def list_chargers(query: ChargersQuery) -> Reply[list[Charger]]:
    """All chargers, by identity (byte order)."""
    rows, faults = administration.listed(
        db.engine,
        status=query.status,
        has_fault=query.has_fault,
        connected=query.connected,
        site_id=query.site_id,
        sites=sites(),
        q=query.q,
        after=query.cursor,
        limit=query.limit + 1,
    )
    return page(
        rows,
        query.limit,
        lambda row: Charger.listed(row, faults.get(row[0], ())),
        lambda row: (row.identity,),
    )


@blueprint.post("")
@endpoint(access=ADMIN, answers={201: ("Created.", LOCATION)}, errors=("conflict",))
def create_charger(body: NewCharger) -> Reply[ChargerDetails]:
    """Create a charger before it dials in."""
    details = administration.create(db.engine, body.charger_id, body.columns(), sites())
    location = {"Location": f"/api/chargers/{quote(body.charger_id, safe='')}"}
    return Reply(ChargerDetails.about(details), headers=location)


@blueprint.get("/<charger_id>")
@endpoint(access=VIEWER, answers={200: "The charger."}, errors=("not-found",))
def show_charger(charger_id: ChargerName) -> ChargerDetails:
    """One charger, with its connectors and open transactions."""
    return ChargerDetails.about(administration.details(db.engine, charger_id))


@blueprint.patch("/<charger_id>")
@endpoint(access=ADMIN, answers={200: "The charger as it is now."}, errors=("not-found",))
def change_charger(charger_id: ChargerName, body: ChargerChanges) -> ChargerDetails:
    """Approve a charger, set its password, say where it stands."""
    details = administration.change(central(), db.engine, charger_id, body.columns(), sites())
    return ChargerDetails.about(details)


@blueprint.delete("/<charger_id>")
@endpoint(access=ADMIN, answers={204: "It is gone."}, errors=("not-found", "conflict"))
def remove_charger(charger_id: ChargerName) -> None:
    """Remove a charger: nobody knows it any more, its sessions stay.

    Its socket ends. Should it dial in again it is a new one, by the rules of onboarding.
    """
    administration.remove(central(), db.engine, charger_id)


@blueprint.post("/<charger_id>/disconnect")
@endpoint(
    access=OPERATOR, answers={204: "Its socket has been closed."}, errors=("not-found", "charger-offline")
)
def disconnect_charger(charger_id: ChargerName) -> None:
    """End a charger's socket, so that it dials anew."""
    administration.disconnect(central(), db.engine, charger_id)


@blueprint.get("/<charger_id>/status-history")
@endpoint(access=VIEWER, answers={200: ("The changes.", NEXT)}, errors=("not-found",))
def list_status_changes(charger_id: ChargerName, query: StatusHistoryQuery) -> Reply[list[StatusChange]]:
    """Status changes, newest first."""
    rows = administration.status_history(
        db.engine,
        charger_id,
        connector_id=query.connector_id,
        since=query.since,
        until=query.until,
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page(rows, query.limit, StatusChange.of, lambda row: (row.id,))


@blueprint.get("/<charger_id>/meter-values")
@endpoint(access=VIEWER, answers={200: ("The samples.", NEXT)}, errors=("not-found",))
def list_meter_values(charger_id: ChargerName, query: MeterValuesQuery) -> Reply[list[LoneMeterValue]]:
    """Meter values that belong to no session, newest first; those of a session are with the session."""
    rows, fitting = administration.meter_values(
        db.engine,
        charger_id,
        connector_id=query.connector_id,
        measurand=query.measurand,
        since=query.since,
        until=query.until,
        before=query.cursor,
        limit=query.limit,
    )
    return page(rows, fitting, LoneMeterValue.of, lambda row: (row.id,))


@blueprint.delete("/<charger_id>/connectors/<connector_id>")
@endpoint(access=ADMIN, answers={204: "It is gone."}, errors=("not-found", "conflict"))
def remove_connector(charger_id: ChargerName, connector_id: ConnectorNumber) -> None:
    """Forget a connector that the charger has no more; it comes back if the charger reports it after all."""
    connectors.remove(db.engine, charger_id, connector_id, requested_by=operator())


@blueprint.get("/<charger_id>/events")
@endpoint(access=VIEWER, answers={200: ("The events.", NEXT)}, errors=("not-found",))
def list_events(charger_id: ChargerName, query: EventsQuery) -> Reply[list[ChargerEvent]]:
    """What else the charger did, newest first."""
    rows, fitting = administration.events(
        db.engine,
        charger_id,
        kind=query.kind,
        since=query.since,
        until=query.until,
        before=query.cursor,
        limit=query.limit,
    )
    return page(rows, fitting, ChargerEvent.of, lambda row: (row.id,))


@blueprint.get("/<charger_id>/oddities")
@endpoint(access=VIEWER, answers={200: "Each kind once, the latest first."}, errors=("not-found",))
def list_oddities(charger_id: ChargerName) -> list[Oddity]:
    """What a charger sends otherwise than the specification has it."""
    return [Oddity.of(row) for row in oddities.listed(db.engine, charger_id)]


@blueprint.get("/<charger_id>/conformance")
@endpoint(access=VIEWER, answers={200: "What was noticed so far."}, errors=("not-found",))
def show_conformance(charger_id: ChargerName) -> Conformance:
    """How far a charger keeps to the specification, and which allowances cover what it does otherwise."""
    charger = administration.details(db.engine, charger_id).charger
    rows = oddities.listed(db.engine, charger_id)
    return Conformance(
        strict=charger.strict,
        allow_missing_subprotocol=charger.allow_missing_subprotocol,
        allow_without_password=charger.allow_without_password,
        deviations=[Deviation.of(row, allowance=oddities.allowance(row.action)) for row in rows],
    )
