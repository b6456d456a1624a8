"""What may be sent (X-28), and what limit profiles come to: against a plain, slow model, second by second."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charger_mgmt.domain.charging_profiles import Installed, Step, composite, limit_at, problems

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def profile(
    purpose: str = "TxDefaultProfile",
    kind: str = "Absolute",
    level: int = 0,
    periods: tuple[tuple[int, float], ...] = ((0, 16.0),),
    unit: str = "A",
    **fields: Any,
) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": start, "limit": limit} for start, limit in periods],
    }
    for name in ("startSchedule", "duration"):
        if name in fields:
            schedule[name] = fields.pop(name)
    if kind != "Relative":
        schedule.setdefault("startSchedule", at(0))
    made = {
        "chargingProfileId": 1,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    }
    if kind == "Recurring":
        made["recurrencyKind"] = "Daily"
    return made | fields


@pytest.mark.parametrize(
    ("made", "connector"),
    [
        (profile(), 0),
        (profile(), 3),
        (profile("ChargePointMaxProfile"), 0),
        (profile("TxProfile", transactionId=7), 1),
        (profile("TxProfile", "Relative", transactionId=7), 1),
        (profile(kind="Recurring"), 1),
        (profile(periods=((0, 16), (60, 8), (120, 0))), 1),
        (profile(validFrom=at(0), validTo=at(60)), 1),
    ],
)
def test_what_is_right_may_be_sent(made: dict[str, Any], connector: int) -> None:
    assert problems(made, connector) == {}


@pytest.mark.parametrize(
    ("made", "connector", "wrong"),
    [
        (profile("ChargePointMaxProfile"), 1, "/connectorId"),
        (profile("ChargePointMaxProfile", "Relative"), 0, "/chargingProfileKind"),
        (profile("TxProfile", transactionId=7), 0, "/connectorId"),
        (profile("TxProfile"), 1, "/transactionId"),
        (profile(transactionId=7), 1, "/transactionId"),
        (profile(recurrencyKind="Daily"), 1, "/recurrencyKind"),
        (
            {**profile(kind="Recurring"), "recurrencyKind": "Weekly"} | {"chargingProfileKind": "Absolute"},
            1,
            "/recurrencyKind",
        ),
        (profile(kind="Relative", startSchedule=at(0)), 1, "/chargingSchedule/startSchedule"),
        (profile(periods=((1, 16),)), 1, "/chargingSchedule/chargingSchedulePeriod/0/startPeriod"),
        (profile(periods=((0, 16), (60, 8), (60, 6))), 1, "/chargingSchedule/chargingSchedulePeriod"),
        (profile(periods=((0, 16), (60, 8), (30, 6))), 1, "/chargingSchedule/chargingSchedulePeriod"),
        (profile(periods=()), 1, "/chargingSchedule/chargingSchedulePeriod"),
        (profile(validFrom=at(60), validTo=at(60)), 1, "/validTo"),
        (profile(level=-1), 1, "/stackLevel"),
        (profile(periods=((0, -6),)), 1, "/chargingSchedule/chargingSchedulePeriod/0/limit"),
        (profile(periods=((-5, 6),)), 1, "/chargingSchedule/chargingSchedulePeriod/0/startPeriod"),
        (profile(duration=0), 1, "/chargingSchedule/duration"),
    ],
)
def test_X_28_what_a_charger_would_refuse_is_refused_here(
    made: dict[str, Any], connector: int, wrong: str
) -> None:
    assert set(problems(made, connector)) == {wrong}


def test_X_28_a_remote_start_has_a_profile_without_a_transaction() -> None:
    assert problems(profile("TxProfile", "Relative"), 1, at_start=True) == {}
    assert set(problems(profile("TxProfile", transactionId=7), 1, at_start=True)) == {"/transactionId"}
    assert set(problems(profile(), 1, at_start=True)) == {"/chargingProfilePurpose"}


def test_an_absolute_schedule_without_its_start_is_refused() -> None:
    made = profile()
    del made["chargingSchedule"]["startSchedule"]
    assert set(problems(made, 1)) == {"/chargingSchedule/startSchedule"}


def limits(
    *installed: tuple[int, dict[str, Any]], connector: int = 1, seconds: int = 0, **more: Any
) -> Decimal | None:
    moment = NOON + timedelta(seconds=seconds)
    return limit_at([Installed(*each) for each in installed], connector, moment, "A", **more)


def test_the_higher_stack_level_counts_while_it_says_something() -> None:
    high = profile(level=5, periods=((0, 6),), duration=60)
    low = profile(level=0, periods=((0, 16),))
    assert limits((1, low), (1, high)) == 6
    assert limits((1, low), (1, high), seconds=60) == 16


def test_the_chargers_limit_bounds_the_sessions() -> None:
    whole = profile("ChargePointMaxProfile", periods=((0, 10),))
    assert limits((0, whole), (1, profile(periods=((0, 16),)))) == 10
    assert limits((0, whole), (1, profile(periods=((0, 6),)))) == 6
    assert limits((0, whole), (1, profile()), connector=0) == 10


def test_a_profile_of_the_session_stands_before_the_default_while_it_runs() -> None:
    own = profile("TxProfile", "Relative", periods=((0, 32), (60, 8)), transactionId=7)
    assert limits((1, profile()), (1, own)) == 16
    assert limits((1, profile()), (1, own), session_began=NOON) == 32
    assert limits((1, profile()), (1, own), session_began=NOON - timedelta(seconds=90)) == 8


def test_the_connectors_default_stands_before_the_chargers() -> None:
    assert limits((0, profile(level=9, periods=((0, 6),))), (1, profile(periods=((0, 20),)))) == 20
    assert limits((0, profile(periods=((0, 6),))), (2, profile())) == 6


def test_watts_and_amperes_are_held_against_each_other() -> None:
    watts = profile("ChargePointMaxProfile", periods=((0, 6900.0),), unit="W")
    assert limits((0, watts), (1, profile(periods=((0, 16),)))) == 10


def test_nothing_installed_is_no_limit() -> None:
    assert limits() is None
    assert composite([], 1, NOON, 600, "A") == [Step(0, None)]


KINDS = st.sampled_from(["Absolute", "Relative", "Recurring"])


@st.composite
def profiles(draw: st.DrawFn) -> Installed:
    purpose = draw(st.sampled_from(["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]))
    kind = "Absolute" if purpose == "ChargePointMaxProfile" else draw(KINDS)
    starts = sorted(draw(st.sets(st.integers(1, 200), max_size=3)))
    periods = tuple((start, draw(st.integers(0, 40))) for start in (0, *starts))
    fields: dict[str, Any] = {}
    begin = draw(st.integers(-150, 150))
    if kind != "Relative":
        fields["startSchedule"] = at(
            begin - draw(st.sampled_from([0, 86_400, 172_800])) if kind == "Recurring" else begin
        )
    if draw(st.booleans()):
        fields["duration"] = draw(st.integers(1, 250))
    if draw(st.booleans()):
        fields["validFrom"] = at(draw(st.integers(-100, 200)))
    if draw(st.booleans()):
        fields["validTo"] = at(draw(st.integers(-50, 300)))
    where = 0 if purpose == "ChargePointMaxProfile" else draw(st.sampled_from([1, 2]))
    if purpose == "TxDefaultProfile":
        where = draw(st.sampled_from([0, 1, 2]))
    unit = draw(st.sampled_from(["A", "W"]))
    made = profile(purpose, kind, draw(st.integers(0, 3)), periods, unit, **fields)
    return Installed(where, made)


def _slow_limit(
    installed: list[Installed], connector: int, moment: datetime, began: datetime | None
) -> Decimal | None:
    """The rules once more, as sentences: no cleverness, no sharing with what is tested."""

    def says(made: dict[str, Any]) -> Decimal | None:
        for name, outside in (
            ("validFrom", lambda edge: moment < edge),
            ("validTo", lambda edge: moment >= edge),
        ):
            if name in made and outside(datetime.fromisoformat(made[name])):
                return None
        schedule = made["chargingSchedule"]
        if made["chargingProfileKind"] == "Relative":
            start = began or NOON
        else:
            start = datetime.fromisoformat(schedule["startSchedule"])
            while made["chargingProfileKind"] == "Recurring" and start + timedelta(days=1) <= moment:
                start += timedelta(days=1)
        second = (moment - start).total_seconds()
        if second < 0 or second >= schedule.get("duration", 10**9):
            return None
        value = None
        for period in schedule["chargingSchedulePeriod"]:
            if period["startPeriod"] <= second:
                value = Decimal(str(period["limit"]))
        return value / 690 if value is not None and schedule["chargingRateUnit"] == "W" else value

    def best(purpose: str, where: int) -> Decimal | None:
        speaking = [
            (each.profile["stackLevel"], -number, said)
            for number, each in enumerate(installed)
            if each.profile["chargingProfilePurpose"] == purpose
            and each.connector_id == where
            and (said := says(dict(each.profile))) is not None
        ]
        return max(speaking)[2] if speaking else None

    own = best("TxProfile", connector) if began is not None else None
    if own is None:
        own = best("TxDefaultProfile", connector)
    if own is None:
        own = best("TxDefaultProfile", 0)
    whole = best("ChargePointMaxProfile", 0)
    found = [limit for limit in (own, whole) if limit is not None]
    return min(found) if found else None


@given(st.lists(profiles(), max_size=6), st.sampled_from([None, -40, 0]), st.integers(1, 400))
def test_the_steps_are_what_the_slow_model_says_every_second(
    installed: list[Installed], began: int | None, duration: int
) -> None:
    session = None if began is None else NOON + timedelta(seconds=began)
    before = copy.deepcopy(installed)
    steps = composite(installed, 1, NOON, duration, "A", session)
    assert installed == before
    assert steps[0].start == 0
    assert [step.start for step in steps] == sorted({step.start for step in steps})
    assert all(one.limit != other.limit for one, other in pairwise(steps))
    for second in range(duration):
        expected = _slow_limit(installed, 1, NOON + timedelta(seconds=second), session)
        reached = [step for step in steps if step.start <= second][-1]
        assert reached.limit == expected, second
