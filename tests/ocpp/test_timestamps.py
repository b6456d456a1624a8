"""Timestamps: every form that chargers write, and the one that they all read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from charger_mgmt.dialects import timestamps

NOON = datetime(2025, 3, 30, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-30T12:00:00Z",
        "2025-03-30T12:00:00z",
        "2025-03-30t12:00:00Z",
        "2025-03-30 12:00:00Z",
        "2025-03-30 12:00:00 Z",
        "2025-03-30T12:00:00",
        "2025-03-30T12:00",
        "2025-03-30T12:00Z",
        "2025-3-30T12:00:00Z",
        " 2025-03-30T12:00:00Z ",
        "2025-03-30T14:00:00+02:00",
        "2025-03-30T14:00:00+0200",
        "2025-03-30T14:00:00+02",
        "2025-03-30T14:00:00 +02:00",
        "2025-03-30T06:30:00-05:30",
        "2025-03-30T12:00:00.0Z",
        "2025-03-30T12:00:00.Z",
        "2025-03-30T12:00:00,000Z",
        "2025-03-30T12:00:00.0000000Z",
        "2025-03-30T12:00:00.000000000000+00:00",
        "2025-03-30T12:00:00 UTC",
    ],
)
def test_every_form_of_noon_is_noon(text):
    moment = timestamps.parse(text)
    assert moment == NOON
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)


def test_digits_after_the_millisecond_are_cut_off():
    moment = timestamps.parse("2025-03-30T12:00:00.12345678Z")
    assert moment == NOON.replace(microsecond=123_000)


def test_a_short_fraction_is_a_fraction():
    assert timestamps.parse("2025-03-30T12:00:00.5+00:00") == NOON.replace(microsecond=500_000)


def test_the_year_1970_is_a_moment():
    assert timestamps.parse("1970-01-01T00:00:00Z") == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_leap_second_is_the_second_before():
    assert timestamps.parse("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2025-03-30",
        "0000-00-00T00:00:00Z",
        "2025-02-30T12:00:00Z",
        "2025-03-30T25:00:00Z",
        "2025-03-30T12:61:00Z",
        "2025-03-30T12:00:99Z",
        "2025-03-30T12:00:00+99:00",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-02:00",
        "1743336000",
        "2025-03-30T12:00:00Z" + "0" * 1000,
        "٢٠٢٥-03-30T12:00:00Z",
        None,
        1743336000,
        [],
    ],
)
def test_what_names_no_moment_is_none(text):
    assert timestamps.parse(text) is None


def test_what_is_written_is_plain():
    assert timestamps.format(NOON) == "2025-03-30T12:00:00Z"
    assert timestamps.format(NOON.replace(microsecond=999_999)) == "2025-03-30T12:00:00Z"


def test_what_is_written_is_in_utc():
    summer = NOON.astimezone(timezone(timedelta(hours=2)))
    assert timestamps.format(summer) == "2025-03-30T12:00:00Z"
    assert timestamps.format(NOON.replace(tzinfo=None)) == "2025-03-30T12:00:00Z"


def test_what_is_written_can_be_read():
    assert timestamps.parse(timestamps.format(NOON)) == NOON
