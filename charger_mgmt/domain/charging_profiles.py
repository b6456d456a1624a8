"""Charging profiles (OCPP 1.6 sections 3.13, 7.8 to 7.14): what may be sent, and what limit they come to.

A profile is kept in the specification's own shape (csChargingProfiles). Limits are decimals; amperes are per phase, watts in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

MAX: Final = "ChargePointMaxProfile"
DEFAULT: Final = "TxDefaultProfile"
OF_SESSION: Final = "TxProfile"
PURPOSES: Final = (MAX, DEFAULT, OF_SESSION)
AMPERES: Final = "A"
WATTS: Final = "W"
#: Of a period that does not say on how many phases (section 7.14).
PHASES = 3
#: What an ampere on a phase comes to, in watts, where the meter does not say.
VOLTS = 230
_REPEATS: Final = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}


def problems(
    profile: Mapping[str, Any], connector_id: int | None, *, at_start: bool = False
) -> dict[str, str]:
    """What is wrong with a profile that fits the schema, by JSON pointer: what a charger would refuse or misunderstand.

    `connector_id` None: nobody has said where it goes. `at_start`: it goes with a RemoteStartTransaction.
    """
    wrong: dict[str, str] = {}
    purpose, kind = profile["chargingProfilePurpose"], profile["chargingProfileKind"]
    schedule = profile["chargingSchedule"]
    periods = schedule["chargingSchedulePeriod"]
    if purpose == MAX and connector_id not in (None, 0):
        wrong["/connectorId"] = f"must be 0 for a {MAX} (section 3.13.1)"
    if purpose == MAX and kind == "Relative":
        wrong["/chargingProfileKind"] = (
            f"must not be Relative for a {MAX}: there is no session that it could begin with"
        )
    if purpose == OF_SESSION and connector_id == 0:
        wrong["/connectorId"] = f"must not be 0 for a {OF_SESSION} (section 3.13.1)"
    if at_start and purpose != OF_SESSION:
        wrong["/chargingProfilePurpose"] = f"must be {OF_SESSION} with a remote start (section 5.16.2)"
    if at_start and "transactionId" in profile:
        wrong["/transactionId"] = (
            "must be absent with a remote start: there is no transaction yet (errata 3.41)"
        )
    if purpose == OF_SESSION and not at_start and connector_id is not None and "transactionId" not in profile:
        wrong["/transactionId"] = f"is needed for a {OF_SESSION}"
    if purpose != OF_SESSION and "transactionId" in profile:
        wrong["/transactionId"] = f"belongs to a {OF_SESSION} only"
    if ("recurrencyKind" in profile) != (kind == "Recurring"):
        wrong["/recurrencyKind"] = "goes with the kind Recurring, and only with it (errata 3.56)"
    if kind == "Relative" and "startSchedule" in schedule:
        wrong["/chargingSchedule/startSchedule"] = "must be absent for the kind Relative (section 7.13)"
    if kind != "Relative" and "startSchedule" not in schedule:
        wrong["/chargingSchedule/startSchedule"] = f"is needed for the kind {kind} (section 7.13)"
    if profile["stackLevel"] < 0:
        wrong["/stackLevel"] = "must not be negative (section 7.8)"
    if schedule.get("duration", 1) < 1:
        wrong["/chargingSchedule/duration"] = "must be at least one second"
    if schedule.get("minChargingRate", 0) < 0:
        wrong["/chargingSchedule/minChargingRate"] = "must not be negative"
    for number, period in enumerate(periods):
        where = f"/chargingSchedule/chargingSchedulePeriod/{number}"
        if period["limit"] < 0:
            wrong[f"{where}/limit"] = "must not be negative"
        if not 1 <= period.get("numberPhases", PHASES) <= PHASES:
            wrong[f"{where}/numberPhases"] = f"must be from 1 to {PHASES}"
    starts = [period["startPeriod"] for period in periods]
    if not starts:
        wrong["/chargingSchedule/chargingSchedulePeriod"] = "must have a period"
    elif starts[0] != 0:
        wrong["/chargingSchedule/chargingSchedulePeriod/0/startPeriod"] = "must be 0 (errata 3.45)"
    elif starts != sorted(set(starts)):
        wrong["/chargingSchedule/chargingSchedulePeriod"] = "must be in the order of startPeriod, each once"
    since, until = _moment(profile.get("validFrom")), _moment(profile.get("validTo"))
    if since is not None and until is not None and since >= until:
        wrong["/validTo"] = "must lie after validFrom"
    return wrong


@dataclass(frozen=True, slots=True)
class Installed:
    """A profile where it is: on a connector (0: the whole charger)."""

    connector_id: int
    profile: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """From `start` seconds on there is this limit; None: there is none."""

    start: int
    limit: Decimal | None


def limit_at(
    installed: Iterable[Installed],
    connector_id: int,
    at: datetime,
    unit: str,
    session_began: datetime | None = None,
    would_begin: datetime | None = None,
) -> Decimal | None:
    """The limit of a connector (0: of the whole charger) at a moment: the lower of the charger's and the session's own.

    Of each purpose the profile with the highest stackLevel counts that says something then; TxProfile stands before
    TxDefaultProfile, one of the connector before one of the whole charger (section 3.13.2 and 3.13.3). `session_began`: of
    the session that runs on it; None: there is none, and no TxProfile applies. `would_begin`: then a schedule that is relative to
    the session is taken from here (by default: from this moment).
    """
    mine = [each for each in installed if each.connector_id in (0, connector_id)]
    whole = _prevailing(_of(mine, MAX, 0), at, unit, at)
    if connector_id == 0:
        return whole
    began = session_began or would_begin or at
    own = None
    if session_began is not None:
        own = _prevailing(_of(mine, OF_SESSION, connector_id), at, unit, began)
    for where in (connector_id, 0):
        if own is None:
            own = _prevailing(_of(mine, DEFAULT, where), at, unit, began)
    return min((limit for limit in (whole, own) if limit is not None), default=None)


def composite(
    installed: Sequence[Installed],
    connector_id: int,
    at: datetime,
    duration: int,
    unit: str,
    session_began: datetime | None = None,
) -> list[Step]:
    """The limits of the next `duration` seconds, from `at` on, in steps."""
    moments = {0}
    for each in installed:
        moments |= _turns(each.profile, at, duration, session_began or at)
    steps: list[Step] = []
    for second in sorted(moments):
        moment = at + timedelta(seconds=second)
        limit = limit_at(installed, connector_id, moment, unit, session_began, would_begin=at)
        if not steps or steps[-1].limit != limit:
            steps.append(Step(second, limit))
    return steps


def _of(installed: Iterable[Installed], purpose: str, connector_id: int) -> list[Mapping[str, Any]]:
    return [
        each.profile
        for each in installed
        if each.connector_id == connector_id and each.profile["chargingProfilePurpose"] == purpose
    ]


def _prevailing(
    profiles: Iterable[Mapping[str, Any]], at: datetime, unit: str, session_began: datetime
) -> Decimal | None:
    best: tuple[int, Decimal] | None = None
    for profile in profiles:
        limit = _says(profile, at, unit, session_began)
        if limit is not None and (best is None or profile["stackLevel"] > best[0]):
            best = (profile["stackLevel"], limit)
    return None if best is None else best[1]


def _says(profile: Mapping[str, Any], at: datetime, unit: str, session_began: datetime) -> Decimal | None:
    """The limit that a profile has at a moment, in this unit; None: it says nothing then."""
    since, until = _moment(profile.get("validFrom")), _moment(profile.get("validTo"))
    if (since is not None and at < since) or (until is not None and at >= until):
        return None
    schedule = profile["chargingSchedule"]
    elapsed = (at - _start(profile, at, session_began)).total_seconds()
    if elapsed < 0 or ("duration" in schedule and elapsed >= schedule["duration"]):
        return None
    reached = [each for each in schedule["chargingSchedulePeriod"] if each["startPeriod"] <= elapsed]
    if not reached:
        return None
    return _converted(
        Decimal(str(reached[-1]["limit"])),
        schedule["chargingRateUnit"],
        unit,
        reached[-1].get("numberPhases", PHASES),
    )


def _start(profile: Mapping[str, Any], at: datetime, session_began: datetime) -> datetime:
    """When the schedule has begun that counts at a moment."""
    kind = profile["chargingProfileKind"]
    begins = _moment(profile["chargingSchedule"].get("startSchedule"))
    if kind == "Relative" or begins is None:
        return session_began
    if kind == "Recurring" and at >= begins:
        every = _REPEATS[profile.get("recurrencyKind", "Daily")]
        begins += (at - begins) // every * every
    return begins


def _turns(profile: Mapping[str, Any], at: datetime, duration: int, session_began: datetime) -> set[int]:
    """The seconds from `at` on at which what a profile says may change."""
    schedule = profile["chargingSchedule"]
    moments = [
        moment
        for moment in map(_moment, (profile.get("validFrom"), profile.get("validTo")))
        if moment is not None
    ]
    starts = [_start(profile, at, session_began)]
    if profile["chargingProfileKind"] == "Recurring":
        every = _REPEATS[profile.get("recurrencyKind", "Daily")]
        end = at + timedelta(seconds=duration)
        while starts[-1] < end and len(starts) < 1000:
            starts.append(starts[-1] + every)
    for start in starts:
        offsets = [period["startPeriod"] for period in schedule["chargingSchedulePeriod"]]
        if "duration" in schedule:
            offsets.append(schedule["duration"])
        moments += [start + timedelta(seconds=offset) for offset in offsets]
    seconds = {-((at - moment) // timedelta(seconds=1)) for moment in moments}
    return {second for second in seconds if 0 < second < duration}


def _converted(limit: Decimal, given: str, wanted: str, phases: int) -> Decimal:
    if given == wanted:
        return limit
    per_ampere = Decimal(VOLTS * phases)
    return limit * per_ampere if wanted == WATTS else limit / per_ampere


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
