"""What a sampled value says."""

from datetime import UTC, datetime

import pytest

from charger_mgmt.dialects.ocpp16 import facts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def read_one(**sampled):
    group = {"timestamp": "2026-11-22T12:00:00Z", "sampledValue": [sampled]}
    (sample,) = facts.samples([group])
    return sample


def test_a_bare_value_is_the_import_register_in_watt_hours():
    sample = read_one(value="123")
    assert (sample.measurand, sample.unit, sample.context, sample.location, sample.phase) == (
        "Energy.Active.Import.Register",
        "Wh",
        "Sample.Periodic",
        "Outlet",
        None,
    )
    assert sample.value_micro == 123_000_000
    assert sample.register_mwh() == 123_000


def test_a_long_reading_keeps_every_digit():
    assert read_one(value="678901234.123456").value_micro == 678901234123456


def test_kilowatt_hours_are_read_as_such():
    assert read_one(value="1.5", unit="kWh").register_mwh() == 1_500_000


@pytest.mark.parametrize(
    "sampled",
    [
        {"measurand": "Power.Active.Import", "unit": "W"},
        {"measurand": "Energy.Active.Import.Interval"},
        {"location": "Inlet"},
        {"unit": "varh"},
    ],
)
def test_only_an_energy_register_of_the_outlets_side_can_be_the_meter(sampled):
    assert read_one(value="5", **sampled).register_mwh() is None


@pytest.mark.parametrize("value", ["", "abc", "1e999999", "NaN", "Infinity", "9" * 70, "99999999999999999"])
def test_what_is_no_number_stays_unknown_and_keeps_its_text(value):
    sample = read_one(value=value)
    assert sample.value_micro is None
    assert sample.raw == value


def test_signed_data_is_kept_as_it_is():
    sample = read_one(value="A1B2C3", format="SignedData")
    assert (sample.format, sample.value_micro, sample.raw) == ("SignedData", None, "A1B2C3")


def key_of(sample, *, believed=True, session=7):
    return sample.key(1, 1, session, believed=believed)


def test_the_same_sample_in_meter_values_and_in_the_stop_is_one():
    assert key_of(read_one(value="123")) == key_of(read_one(value=" 123 ", unit="Wh"))


@pytest.mark.parametrize(
    "other",
    [
        {"value": "124"},
        {"value": "123", "phase": "L1"},
        {"value": "123", "context": "Transaction.End"},
        {"value": "123", "measurand": "Energy.Active.Export.Register"},
        {"value": "123", "location": "Inlet"},
        {"value": "123", "unit": "kWh"},
    ],
)
def test_a_sample_that_differs_anywhere_is_another(other):
    assert key_of(read_one(**other)) != key_of(read_one(value="123"))


def test_with_a_clock_that_restarts_the_session_tells_equal_samples_apart():
    group = {"timestamp": "1970-01-01T00:01:00Z", "sampledValue": [{"value": "230", "measurand": "Voltage"}]}
    (sample,) = facts.samples([group])
    assert key_of(sample, believed=False, session=7) != key_of(sample, believed=False, session=8)


def test_with_a_good_clock_the_session_does_not_matter():
    assert key_of(read_one(value="123"), session=7) == key_of(read_one(value="123"), session=None)
