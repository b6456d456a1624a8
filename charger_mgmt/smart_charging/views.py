"""Charging profiles: /api/charging-profiles, /api/chargers/{chargerId}/charging-profiles, …/limit, …/composite-schedule."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

import msgspec
from flask import Blueprint
from msgspec import Meta

from ..domain import charging_profiles as rules
from ..domain.roles import OPERATOR, VIEWER
from ..errors import CallErrored, CommandRefused
from ..extensions import db
from ..web.answers import Answer, Number, Time
from ..web.endpoint import endpoint
from ..web.fields import LARGEST, ChargerName, Moment, Name, RowId, about, choice, meta
from ..web.pages import NEXT, IdCursor, Limit, NameCursor, page
from ..web.process import central, operator
from ..web.reading import Sent
from ..web.replies import LOCATION, RELATED, Reply, command_link, time_text
from . import profile_rows, profiles

blueprint = Blueprint("charging_profiles", __name__)

_AT = "/chargers/<charger_id>/charging-profiles"
_A_WEEK = 7 * 24 * 3600


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object in the shape of csChargingProfiles")
    return value


def _watts(value: Any) -> Decimal:
    number = Decimal(str(value)) if type(value) in (int, float) else Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= 10_000:
        raise ValueError("must be a number of kilowatts from 0 to 10000")
    return number * 1000


Profile = Annotated[
    dict[str, Any],
    meta(
        _object,
        instead={"type": "object"},
        description="In the shape of csChargingProfiles (OCPP 1.6 section 7.8), without chargingProfileId and transactionId: checked by"
        " the schema and by section 3.13.",
    ),
]
Kilowatts = Annotated[
    Decimal,
    meta(
        _watts,
        instead={"type": "number", "minimum": 0, "maximum": 10_000},
        description="In kilowatts, of the whole charger.",
    ),
]


class LibraryQuery(Sent):
    limit: Limit = 100
    cursor: NameCursor | None = None


class NewProfile(Sent):
    name: Name
    profile: Profile


class InstallRequest(Sent):
    connector_id: Annotated[int, Meta(ge=0, le=LARGEST, description="0: the whole charger.")]
    profile: Annotated[Profile | None, about("Either this or one of the library.")] = None
    library_id: Annotated[int, Meta(ge=1, le=LARGEST, description="One of the library.")] | None = None
    transaction_id: (
        Annotated[int, Meta(ge=1, le=LARGEST, description="The session that a TxProfile is for.")] | None
    ) = None

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> dict[str, str]:
        if (values.get("profile") is None) == (values.get("library_id") is None):
            return {"profile": "give either this or libraryId"}
        return {}


class InstalledQuery(Sent):
    state: Annotated[str, choice(profile_rows.STATES, description="Only in this state.")] | None = None
    limit: Limit = 100
    cursor: IdCursor | None = None


class ScheduleRequest(Sent):
    connector_id: Annotated[int, Meta(ge=0, le=LARGEST, description="0: of the whole charger.")] = 0
    duration: Annotated[int, Meta(ge=1, le=_A_WEEK, description="In seconds, from now.")] = 86_400
    unit: Annotated[str, choice((rules.WATTS, rules.AMPERES), description="W in all, A per phase.")] = (
        rules.WATTS
    )


class LimitRequest(Sent):
    kilowatts: Kilowatts
    until: Annotated[Moment | None, about("Until when; without one for good.")] = None


class LibraryProfile(Answer):
    library_id: int
    name: str
    profile: dict[str, Any]
    created_by: str
    created_at: Time

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        return super().of(row, library_id=row.id, **given)


class InstalledProfile(Answer):
    charging_profile_id: int
    connector_id: int
    purpose: str
    stack_level: int
    profile: dict[str, Any]
    transaction_id: int | None
    library_id: int | None
    state: Annotated[
        str,
        choice(
            profile_rows.STATES,
            description="requested: its answer is not known; replaced: another one has its id, or its purpose and stack level.",
        ),
    ]
    answer: Annotated[str | None, about("The charger's word, or why there is none.")]
    answered_at: Time | None
    kept: Annotated[bool, about("The charger's limit: it is sent again after each boot.")]
    expires_at: Time | None
    requested_by: str
    created_at: Time

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        return super().of(row, charging_profile_id=row.profile_id, **given)


class Step(Answer):
    start_period: Annotated[int, about("Seconds from `start` on.")]
    limit: Annotated[Number | None, about("Null: there is none.")]


class CompositeSchedule(Answer):
    start: Time
    duration: int
    unit: str
    computed: Annotated[list[Step], about("By our own reckoning, from the profiles that are installed.")]
    reported: Annotated[dict[str, Any] | None, about("The charger's chargingSchedule; null: it gave none.")]
    report_start: Annotated[str | None, about("From when on, by the charger's own word.")]
    status: Annotated[str | None, about("The charger's word; null: it has not answered.")]


class ChargerLimit(Answer):
    kilowatts: Annotated[Number | None, about("Null: it is not limited.")]
    until: Time | None
    state: (
        Annotated[
            str,
            choice(
                (profile_rows.REQUESTED, profile_rows.INSTALLED),
                description="requested: it does not have it yet.",
            ),
        ]
        | None
    )
    answer: str | None
    charging_profile_id: int | None


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


@blueprint.get("/charging-profiles")
@endpoint(access=VIEWER, answers={200: ("The profiles.", NEXT)})
def list_charging_profiles(query: LibraryQuery) -> Reply[list[LibraryProfile]]:
    """The library of charging profiles, by name."""
    rows = profiles.library(db.engine, after=query.cursor, limit=query.limit + 1)
    return page(rows, query.limit, LibraryProfile.of, lambda row: (row.name,))


@blueprint.post("/charging-profiles")
@endpoint(access=OPERATOR, whole_fleet=True, answers={201: ("Created.", LOCATION)}, errors=("conflict",))
def create_charging_profile(body: NewProfile) -> Reply[LibraryProfile]:
    """Put a charging profile into the library."""
    row = profiles.add_to_library(db.engine, body.name, body.profile, created_by=operator())
    return Reply(LibraryProfile.of(row), headers={"Location": f"/api/charging-profiles/{row.id}"})


@blueprint.get("/charging-profiles/<library_id>")
@endpoint(access=VIEWER, answers={200: "The profile."}, errors=("not-found",))
def show_charging_profile(library_id: RowId) -> LibraryProfile:
    """One charging profile of the library."""
    return LibraryProfile.of(profiles.of_library(db.engine, library_id))


@blueprint.delete("/charging-profiles/<library_id>")
@endpoint(access=OPERATOR, whole_fleet=True, answers={204: "It is gone."}, errors=("not-found",))
def remove_charging_profile(library_id: RowId) -> None:
    """Take a charging profile out of the library; where it is installed it stays."""
    profiles.drop_from_library(db.engine, library_id)


@blueprint.get(_AT)
@endpoint(access=VIEWER, answers={200: ("The profiles.", NEXT)}, errors=("not-found",))
def list_installed_profiles(charger_id: ChargerName, query: InstalledQuery) -> Reply[list[InstalledProfile]]:
    """Charging profiles at a charger, newest first, also those that are no more there."""
    rows = profiles.listed(
        db.engine, charger_id, state=query.state, before=query.cursor, limit=query.limit + 1
    )
    return page(rows, query.limit, InstalledProfile.of, lambda row: (row.id,))


@blueprint.post(_AT)
@endpoint(
    access=OPERATOR,
    answers={
        201: ("It is installed.", RELATED),
        202: ("The charger has not answered yet.", RELATED),
    },
    errors=_AT_THE_CHARGER,
)
def install_charging_profile(charger_id: ChargerName, body: InstallRequest) -> Reply[InstalledProfile]:
    """Install a charging profile at a charger, a connector or a session.

    It is checked by section 3.13 and by what the charger has told of its limits before it is sent.
    """
    placed = profiles.install(
        central(),
        db.engine,
        charger_id,
        connector_id=body.connector_id,
        profile=body.profile,
        library_id=body.library_id,
        transaction_id=body.transaction_id,
        requested_by=operator(),
    )
    row, outcome = placed.row, placed.outcome
    assert outcome is not None
    if row.state == profile_rows.REFUSED:
        error = outcome.error or CommandRefused(f"Charger {charger_id} did not install it: {row.answer}.")
        error.command = (outcome.identity, outcome.command_id)
        raise error
    link = command_link(charger_id, outcome.command_id)
    return Reply(InstalledProfile.of(row), 202 if row.state == profile_rows.REQUESTED else 201, link)


@blueprint.delete(f"{_AT}/<profile_id>")
@endpoint(
    access=OPERATOR,
    answers={204: ("It is cleared.", RELATED), 202: ("The charger has not answered yet.", RELATED)},
    errors=_AT_THE_CHARGER,
)
def clear_charging_profile(charger_id: ChargerName, profile_id: RowId) -> Reply[None]:
    """Have a charger forget a charging profile."""
    outcome = profiles.clear(central(), db.engine, charger_id, profile_id, requested_by=operator())
    if outcome.error is not None:
        raise outcome.error
    return Reply(None, 202 if outcome.waiting else 204, command_link(charger_id, outcome.command_id))


@blueprint.post("/chargers/<charger_id>/composite-schedule")
@endpoint(
    access=OPERATOR,
    answers={200: "Both reckonings."},
    errors=("not-found", "conflict", "charger-offline", "charger-busy", "outcome-unknown", "bus-away"),
    optional_body=True,
)
def ask_composite_schedule(charger_id: ChargerName, body: ScheduleRequest) -> CompositeSchedule:
    """What limits a connector has, by our own reckoning and by the charger's (GetCompositeSchedule).

    Watts and amperes are held against each other at 230 V.
    """
    found = profiles.schedule(
        central(),
        db.engine,
        charger_id,
        connector_id=body.connector_id,
        duration=body.duration,
        unit=body.unit,
        requested_by=operator(),
    )
    if found.outcome.error is not None and not isinstance(found.outcome.error, CallErrored):
        raise found.outcome.error
    said = found.outcome.response or {}
    return CompositeSchedule(
        start=time_text(found.began) or "",
        duration=body.duration,
        unit=body.unit,
        computed=[Step(step.start, _number(step.limit)) for step in found.steps],
        reported=said.get("chargingSchedule"),
        report_start=said.get("scheduleStart"),
        status=said.get("status"),
    )


@blueprint.get("/chargers/<charger_id>/limit")
@endpoint(access=VIEWER, answers={200: "The limit."}, errors=("not-found",))
def show_limit(charger_id: ChargerName) -> ChargerLimit:
    """What an operator has limited a charger to."""
    return _limit(profiles.limited(db.engine, charger_id))


@blueprint.post("/chargers/<charger_id>/limit")
@endpoint(
    access=OPERATOR,
    answers={200: "It is noted; `state` tells whether the charger has it."},
    errors=("not-found",),
)
def limit_charger(charger_id: ChargerName, body: LimitRequest) -> ChargerLimit:
    """Limit what a whole charger takes: "11 kW until 18:00".

    It goes out at once, or when the charger comes, and again after each boot.
    """
    row = profiles.limit(
        central(),
        db.engine,
        charger_id,
        watts=body.kilowatts,
        until=body.until,
        requested_by=operator(),
    )
    return _limit(row)


@blueprint.delete("/chargers/<charger_id>/limit")
@endpoint(access=OPERATOR, answers={204: "It is not limited any more."}, errors=("not-found",))
def unlimit_charger(charger_id: ChargerName) -> None:
    """Take a charger's limit away."""
    profiles.unlimit(central(), db.engine, charger_id, requested_by=operator())


def _limit(row: Any) -> ChargerLimit:
    if row is None:
        return ChargerLimit(None, None, None, None, None)
    schedule = row.profile["chargingSchedule"]
    value = Decimal(str(schedule["chargingSchedulePeriod"][0]["limit"]))
    if schedule["chargingRateUnit"] == rules.AMPERES:
        value *= rules.VOLTS * rules.PHASES
    return ChargerLimit(
        _number(value / 1000), time_text(row.expires_at), row.state, row.answer, row.profile_id
    )


def _number(value: Decimal | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(format(value.normalize(), "f").encode())
