"""Which start is which, which time counts, what a session is worth."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from charger_mgmt.domain import transactions as rules

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def start_key(**changes):
    fields = {
        "charger_id": 1,
        "connector_id": 1,
        "id_tag": "CARD-9",
        "timestamp": NOW,
        "meter_start": 1500,
    }
    return rules.start_key(**(fields | changes))


@pytest.mark.parametrize(
    "change",
    [
        {"charger_id": 2},
        {"connector_id": 2},
        {"connector_id": None},
        {"id_tag": "CARD-8"},
        {"timestamp": NOW + timedelta(milliseconds=1)},
        {"timestamp": None},
        {"timestamp": ""},
        {"meter_start": 1501},
        {"meter_start": None},
        {"meter_start": 0},
    ],
)
def test_a_start_that_differs_anywhere_is_another_start(change):
    assert start_key(**change) != start_key()


def test_the_same_instant_in_another_zone_is_the_same_start():
    there = NOW.astimezone(UTC).replace(tzinfo=UTC)
    assert start_key(timestamp=there) == start_key()


def test_the_case_of_a_tag_and_the_form_of_a_reading_do_not_make_another_start():
    assert start_key(id_tag="card-9 ", meter_start=Decimal("1500.0")) == start_key()


def test_the_parts_of_a_key_cannot_run_into_each_other():
    assert start_key(connector_id=1, id_tag="1A") != start_key(connector_id=11, id_tag="A")


@pytest.mark.parametrize(
    ("moment", "believed"),
    [
        (NOW, True),
        (NOW - timedelta(days=60), True),  # an offline queue
        (NOW + timedelta(minutes=9), True),
        (NOW + 2 * HOUR, False),  # local time labelled Z
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (NOW - timedelta(days=500), True),
        (NOW - timedelta(days=5 * 365), True),
        (NOW - timedelta(days=5 * 366), False),
        (datetime(2000, 1, 1, tzinfo=UTC), False),
        (None, False),
    ],
)
def test_the_chargers_time_counts_where_it_can_be_believed(moment, believed):
    assert rules.believed(moment, NOW, rules.BEHIND) is believed


def test_energy_is_the_difference_of_the_readings():
    assert rules.energy(1_500_000, 9_000_000, HOUR) == (7_500_000, set())


def test_a_register_that_went_back_yields_no_energy_never_a_negative_one():
    assert rules.energy(9_000_000, 1_500_000, HOUR) == (None, {rules.REGISTER_WENT_BACK})


def test_without_a_first_reading_the_energy_is_unknown_not_the_whole_register():
    assert rules.energy(None, 8_000_000_000, HOUR) == (None, {rules.NO_METER_START})


def test_more_than_any_charger_delivers_is_flagged():
    eight_megawatt_hours = 8_000_000_000
    assert rules.energy(0, eight_megawatt_hours, HOUR) == (eight_megawatt_hours, {rules.ENERGY_IMPLAUSIBLE})


def test_readings_too_far_apart_for_the_database_yield_no_energy():
    assert rules.energy(-rules.LARGEST_MWH, rules.LARGEST_MWH, HOUR) == (None, {rules.ENERGY_IMPLAUSIBLE})


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (1500, 1_500_000),
        (Decimal("12.345"), 12_345),
        ("678901234.123", 678901234123),
        (-5, -5000),
        (None, None),
        (10**17, None),
        (Decimal("NaN"), None),
        (Decimal("1E+999999"), None),
    ],
)
def test_readings_become_whole_milliwatt_hours(reading, expected):
    assert rules.milliwatt_hours(reading) == expected


def test_flags_stand_once_each_and_sorted():
    assert (
        rules.join_flags("gap superseded", {"gap"}, "clock-implausible") == "clock-implausible gap superseded"
    )
