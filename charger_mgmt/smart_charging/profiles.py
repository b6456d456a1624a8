"""Operators' charging profiles: the library, what is installed where, and the one limit of a charger (section 3.13)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

import gevent
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..central import Central
from ..commands import outbox
from ..commands.outbox import SYSTEM, CommandOutcome, dispatch, queue
from ..configuration import value_rows
from ..database import transactions
from ..database.base import AnyRow
from ..database.chargers import find as find_charger
from ..database.connections import reading, writing
from ..dialects.ocpp16 import form
from ..domain import charging_profiles as rules
from ..domain.charging_profiles import Installed, Step
from ..domain.transactions import IN_PROGRESS
from ..errors import ChargerManagementError, Conflict, InvalidInput, NotFound
from ..web.replies import time_text
from . import profile_rows

log = logging.getLogger(__name__)

#: A schedule begins so long ago, that no clock that is a little late leaves a gap (section 5.16.4).
IN_THE_PAST = timedelta(seconds=60)
TRY_AGAIN = timedelta(minutes=5)
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Placed:
    """A profile at a charger, and how the call ended that was about it."""

    row: AnyRow
    outcome: CommandOutcome | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the installed profiles come to by our own reckoning, and what the charger says (None: nothing)."""

    began: datetime
    steps: Sequence[Step]
    outcome: CommandOutcome


# The library


def library(engine: Engine, *, after: str | None, limit: int) -> Sequence[Row[Any]]:
    with reading(engine) as conn:
        return profile_rows.library(conn, after=after, limit=limit)


def of_library(engine: Engine, number: int) -> AnyRow:
    """Raises NotFound."""
    with reading(engine) as conn:
        return _of_library(conn, number)


def add_to_library(engine: Engine, name: str, profile: Mapping[str, Any], *, created_by: str) -> AnyRow:
    """Raises InvalidInput, Conflict when the name is taken."""
    _check(profile, None)
    try:
        with writing(engine) as conn:
            number = profile_rows.add_to_library(
                conn, name=name, profile=dict(profile), created_by=created_by, created_at=clock.now()
            )
            return _of_library(conn, number)
    except IntegrityError:
        raise Conflict(f"There is a charging profile {name!r} already.") from None


def drop_from_library(engine: Engine, number: int) -> None:
    """What is installed stays. Raises NotFound."""
    with writing(engine) as conn:
        _of_library(conn, number)
        profile_rows.drop_from_library(conn, number)


# At a charger


def listed(engine: Engine, identity: str, **filters: Any) -> Sequence[Row[Any]]:
    """As profile_rows.listed. Raises NotFound."""
    with reading(engine) as conn:
        return profile_rows.listed(conn, find_charger(conn, identity).id, **filters)


def install(
    central: Central,
    engine: Engine,
    identity: str,
    *,
    connector_id: int,
    profile: Mapping[str, Any] | None,
    library_id: int | None,
    transaction_id: int | None,
    requested_by: str,
) -> Placed:
    """Send a profile to a charger, and wait for its answer.

    It is checked first: by the schema, by section 3.13, and by what the charger has told of its limits. Raises InvalidInput,
    NotFound, Conflict (a session that is over, or elsewhere), ChargerOffline, BusAway.
    """
    with central.feed.listening(identity) as heard:
        deadline = clock.monotonic() + central.settings.operator_wait
        with writing(engine) as conn:
            charger = find_charger(conn, identity, lock=True)
            if library_id is not None:
                profile = _of_library(conn, library_id).profile
            made = dict(profile or {})
            if transaction_id is not None:
                made["transactionId"] = transaction_id
                _check_session(conn, charger.id, connector_id, transaction_id)
            _check(made, connector_id)
            _check_limits(conn, charger.id, made)
            number = _add(conn, charger.id, connector_id, made, library_id, requested_by)
            row = profile_rows.by_id(conn, number)
            assert row is not None
            payload = {"connectorId": connector_id, "csChargingProfiles": row.profile}
            command = queue(conn, central, charger, "SetChargingProfile", payload, requested_by=requested_by)
        outcome = dispatch(central, command, heard, deadline)
    return Placed(_placed(engine, number), outcome)


def clear(
    central: Central, engine: Engine, identity: str, profile_id: int, *, requested_by: str
) -> CommandOutcome:
    """Have a charger forget one profile. Raises NotFound, ChargerOffline, BusAway."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        if profile_rows.by_profile_id(conn, charger.id, profile_id) is None:
            raise NotFound(f"Charger {identity} has no charging profile {profile_id}.")
    wait = central.settings.operator_wait
    return outbox.send(
        central, identity, "ClearChargingProfile", {"id": profile_id}, requested_by=requested_by, wait=wait
    )


def schedule(
    central: Central,
    engine: Engine,
    identity: str,
    *,
    connector_id: int,
    duration: int,
    unit: str,
    requested_by: str,
) -> Schedule:
    """The limits of the next seconds: by our own reckoning, and by the charger's. Raises as outbox.send does."""
    now = clock.now()
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        rows = profile_rows.installed(conn, charger.id)
        sessions = transactions.open_sessions(conn, [charger.id]).get(charger.id, ())
    began = max((row.effective_start for row in sessions if row.connector_id == connector_id), default=None)
    installed = [Installed(row.connector_id, row.profile) for row in rows]
    steps = rules.composite(installed, connector_id, now, duration, unit, began)
    payload = {"connectorId": connector_id, "duration": duration, "chargingRateUnit": unit}
    wait = central.settings.operator_wait
    outcome = outbox.send(
        central, identity, "GetCompositeSchedule", payload, requested_by=requested_by, wait=wait
    )
    return Schedule(now, steps, outcome)


# The one limit


def limit(
    central: Central,
    engine: Engine,
    identity: str,
    *,
    watts: Decimal,
    until: datetime | None,
    requested_by: str,
) -> AnyRow:
    """Limit what a whole charger takes, until a moment (None: for good); whoever is away is limited when it comes.

    It is a ChargePointMaxProfile at the highest stack level that the charger has, in the unit that it takes; after a boot it is sent again.
    Raises NotFound, InvalidInput.
    """
    now = clock.now()
    if until is not None and until <= now:
        raise InvalidInput("until: has passed", {"until": "has passed"})
    with writing(engine) as conn:
        charger = find_charger(conn, identity, lock=True)
        told = _told(conn, charger.id)
        before = profile_rows.kept(conn, charger.id, now)
        begins = now - IN_THE_PAST
        profile: dict[str, Any] = {
            "stackLevel": told.level,
            "chargingProfilePurpose": rules.MAX,
            "chargingProfileKind": "Absolute",
            "validFrom": time_text(begins),
            "chargingSchedule": {
                "chargingRateUnit": told.unit,
                "startSchedule": time_text(begins),
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": _in_unit(watts, told.unit)}],
            },
        }
        if until is not None:
            profile["validTo"] = time_text(until)
            profile["chargingSchedule"]["duration"] = max(1, round((until - begins).total_seconds()))
        number = _add(conn, charger.id, 0, profile, None, requested_by, kept=True)
        if before is not None:
            state = profile_rows.REPLACED if before.state == profile_rows.REQUESTED else before.state
            profile_rows.change(conn, before.id, kept=False, state=state)
        row = profile_rows.by_id(conn, number)
        assert row is not None
    if central.owner_of(charger) is not None:
        gevent.spawn(_place, central, identity, row, requested_by)
    return row


def limited(engine: Engine, identity: str) -> AnyRow | None:
    """The limit of a whole charger that is wanted now. Raises NotFound."""
    with reading(engine) as conn:
        return profile_rows.kept(conn, find_charger(conn, identity).id, clock.now())


def unlimit(central: Central, engine: Engine, identity: str, *, requested_by: str) -> None:
    """Take the limit of a whole charger away. Raises NotFound."""
    with writing(engine) as conn:
        charger = find_charger(conn, identity)
        row = profile_rows.kept(conn, charger.id, clock.now())
        if row is None:
            return
        there = row.state == profile_rows.INSTALLED
        profile_rows.change(conn, row.id, kept=False, state=row.state if there else profile_rows.CLEARED)
    if central.owner_of(charger) is not None:
        gevent.spawn(_forget, central, identity, row.profile_id, requested_by)


def apply_waiting(central: Central) -> None:
    """Send the limits that chargers do not have (yet, or since they booted). To be called now and then, by who leads."""
    now = clock.now()
    with central.database.engine.connect() as conn:
        rows = profile_rows.waiting(conn, now, now - TRY_AGAIN, _AT_ONCE)
    for row in rows:
        gevent.spawn(_place, central, row.identity, row, SYSTEM)


def _place(central: Central, identity: str, row: AnyRow, requested_by: str) -> None:
    try:
        with central.database.writing() as conn:
            profile_rows.change(conn, row.id, tried_at=clock.now())
        payload = {"connectorId": row.connector_id, "csChargingProfiles": row.profile}
        outbox.send(
            central,
            identity,
            "SetChargingProfile",
            payload,
            requested_by=requested_by,
            wait=central.settings.call_timeout,
        )
    except ChargerManagementError as error:
        log.info("charger %s: its limit is not installed: %s", identity, error)
    except Exception:
        log.exception("charger %s: its limit could not be installed", identity)


def _forget(central: Central, identity: str, profile_id: int, requested_by: str) -> None:
    try:
        outbox.send(
            central,
            identity,
            "ClearChargingProfile",
            {"id": profile_id},
            requested_by=requested_by,
            wait=central.settings.call_timeout,
        )
    except ChargerManagementError as error:
        log.info("charger %s: its limit is not cleared: %s", identity, error)
    except Exception:
        log.exception("charger %s: its limit could not be cleared", identity)


# What is asked of a profile


@dataclass(frozen=True, slots=True)
class _Told:
    level: int
    unit: str
    units: frozenset[str]
    highest: int | None
    periods: int | None


def _told(conn: Connection, charger_id: int) -> _Told:
    """What a charger has told of the profiles that it takes (section 9.4)."""
    values = {row.name_key: (row.value or "").strip() for row in value_rows.listed(conn, charger_id)}

    def number(name: str) -> int | None:
        text = values.get(name, "")
        return int(text) if text.isdecimal() and len(text) < 6 else None

    words = values.get("chargingscheduleallowedchargingrateunit", "").lower()
    units = set()
    for unit, spellings in ((rules.WATTS, ("power", "w")), (rules.AMPERES, ("current", "a"))):
        if any(word.strip() in spellings for word in words.replace(";", ",").split(",")):
            units.add(unit)
    highest = number("chargeprofilemaxstacklevel")
    unit = rules.AMPERES if units == {rules.AMPERES} else rules.WATTS
    return _Told(highest or 0, unit, frozenset(units), highest, number("chargingschedulemaxperiods"))


def _check(profile: Mapping[str, Any], connector_id: int | None) -> None:
    """Raises InvalidInput."""
    whole = {"connectorId": connector_id or 0, "csChargingProfiles": {"chargingProfileId": 1} | dict(profile)}
    prefix = "/csChargingProfiles"
    wrong = {
        "profile" + place.removeprefix(prefix): text
        for place, text in form.check_request("SetChargingProfile", whole)
    }
    if "chargingProfileId" in profile:
        wrong["profile/chargingProfileId"] = "is given by this system: leave it out"
    if not wrong:
        found = rules.problems(profile, connector_id)
        wrong = {
            "connectorId" if place == "/connectorId" else f"profile{place}": text
            for place, text in found.items()
        }
    if wrong:
        first, message = next(iter(wrong.items()))
        raise InvalidInput(f"{first}: {message}", wrong)


def _check_limits(conn: Connection, charger_id: int, profile: Mapping[str, Any]) -> None:
    """Raises InvalidInput for what the charger has said that it does not take."""
    told, schedule_ = _told(conn, charger_id), profile["chargingSchedule"]
    wrong = {}
    if told.highest is not None and profile["stackLevel"] > told.highest:
        wrong["profile/stackLevel"] = (
            f"must be at most {told.highest} at this charger (ChargeProfileMaxStackLevel)"
        )
    if told.periods is not None and len(schedule_["chargingSchedulePeriod"]) > told.periods:
        wrong["profile/chargingSchedule/chargingSchedulePeriod"] = (
            f"must have at most {told.periods} periods at this charger (ChargingScheduleMaxPeriods)"
        )
    if told.units and schedule_["chargingRateUnit"] not in told.units:
        wrong["profile/chargingSchedule/chargingRateUnit"] = (
            f"must be {' or '.join(sorted(told.units))} at this charger (ChargingScheduleAllowedChargingRateUnit)"
        )
    if wrong:
        first, message = next(iter(wrong.items()))
        raise InvalidInput(f"{first}: {message}", wrong)


def _check_session(conn: Connection, charger_id: int, connector_id: int, transaction_id: int) -> None:
    row = transactions.by_ids(conn, [transaction_id]).get(transaction_id)
    if row is None or row.charger_id != charger_id:
        raise NotFound(f"There is no transaction {transaction_id} at this charger.")
    if row.status != IN_PROGRESS:
        raise Conflict(f"Transaction {transaction_id} is {row.status}: it takes no profile any more.")
    if row.connector_id != connector_id:
        raise Conflict(
            f"Transaction {transaction_id} runs on connector {row.connector_id}, not {connector_id}."
        )


def _add(
    conn: Connection,
    charger_id: int,
    connector_id: int,
    profile: Mapping[str, Any],
    library_id: int | None,
    requested_by: str,
    *,
    kept: bool = False,
) -> int:
    """A row on its way to the charger, with a chargingProfileId that nobody else has."""
    until = profile.get("validTo")
    number = profile_rows.add(
        conn,
        charger_id=charger_id,
        connector_id=connector_id,
        purpose=profile["chargingProfilePurpose"],
        stack_level=profile["stackLevel"],
        profile=dict(profile),
        transaction_id=profile.get("transactionId"),
        library_id=library_id,
        state=profile_rows.REQUESTED,
        kept=kept,
        expires_at=datetime.fromisoformat(until) if until is not None else None,
        requested_by=requested_by,
        created_at=clock.now(),
    )
    profile_id = profile_rows.FIRST_ID + number
    whole = {"chargingProfileId": profile_id} | dict(profile)
    profile_rows.change(conn, number, profile_id=profile_id, profile=whole)
    return number


def _placed(engine: Engine, number: int) -> AnyRow:
    with reading(engine) as conn:
        row = profile_rows.by_id(conn, number)
    assert row is not None
    return row


def _of_library(conn: Connection, number: int) -> AnyRow:
    row = profile_rows.of_library(conn, number)
    if row is None:
        raise NotFound(f"There is no charging profile {number} in the library.")
    return row


def _in_unit(watts: Decimal, unit: str) -> float:
    """A limit with one decimal (section 7.14), never above what was asked for."""
    value = watts if unit == rules.WATTS else watts / (rules.VOLTS * rules.PHASES)
    return float(value.quantize(Decimal("0.1"), rounding=ROUND_DOWN))
