"""StartTransaction, StopTransaction and MeterValues: whatever can be read is read (charger-quirks 13 to 23)."""

from decimal import Decimal

import pytest

from charger_mgmt.dialects.ocpp16.table import check
from charger_mgmt.ocppj import frames

from .test_check import METER, SAMPLE, START, STOP


def wire(action, payload_text):
    """A payload as it comes off the wire."""
    call = frames.decode(f'[2,"1","{action}",{payload_text}]')
    assert isinstance(call, frames.Call)
    return call.payload


def samples(*sampled):
    """The samples that are read from one meter value, and what was odd."""
    checked = check(
        "MeterValues",
        METER | {"meterValue": [{"timestamp": "2025-03-30T12:30:00Z", "sampledValue": list(sampled)}]},
    )
    values = checked.payload["meterValue"]
    return (values[0]["sampledValue"] if values else []), checked.oddities


@pytest.mark.parametrize(
    ("field", "sent", "read", "oddity"),
    [
        ("connectorId", "2", 2, "text-as-number"),
        ("connectorId", Decimal("2.0"), 2, None),
        ("connectorId", 0, 0, None),
        ("meterStart", "12.5", Decimal("12.5"), "fractional-meter"),
        ("meterStart", " 100 ", 100, "text-as-number"),
        ("meterStart", Decimal("678901234.123456"), Decimal("678901234.123456"), "fractional-meter"),
        ("meterStart", Decimal("1E+3"), 1000, None),
        ("meterStart", -5, -5, None),
        ("idTag", 123456, "123456", "number-as-text"),
        ("idTag", "x" * 300, "x" * 300, "overlong-text"),
        ("idTag", " ", " ", "empty-text"),
        ("idTag", "a;b", "a;b", None),
        ("timestamp", "1970-01-01T00:00:12", "1970-01-01T00:00:12", None),
        ("timestamp", "2025-03-30T12:00:00.1234567+02", "2025-03-30T12:00:00.1234567+02", None),
        ("timestamp", "soon", "soon", "unreadable-timestamp"),
        ("reservationId", "4", 4, "text-as-number"),
    ],
)
def test_a_start_is_read_in_the_right_types(field, sent, read, oddity):
    checked = check("StartTransaction", START | {field: sent})
    assert checked.payload == START | {field: read}
    assert type(checked.payload[field]) is type(read)
    if oddity is None:
        assert checked.oddities == ()
    else:
        assert oddity in checked.oddities


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("connectorId", "one"),
        ("connectorId", -1),
        ("connectorId", 2**31),
        ("connectorId", True),
        ("meterStart", "lots"),
        ("meterStart", "12,5"),
        ("meterStart", ""),
        ("meterStart", Decimal("1E+30")),
        ("meterStart", Decimal("1E+999999")),
        pytest.param("meterStart", 10**4000, id="4001 digits"),
        ("meterStart", []),
        ("meterStart", False),
        ("idTag", {}),
        ("timestamp", []),
    ],
)
def test_a_field_that_cannot_be_read_is_absent_and_the_rest_stays(field, sent):
    checked = check("StartTransaction", START | {field: sent})
    assert checked.payload == {key: value for key, value in START.items() if key != field}
    assert "unreadable-field" in checked.oddities


def test_an_empty_start_is_read_as_nothing_at_all():
    checked = check("StartTransaction", {})
    assert checked.payload == {}
    assert checked.oddities == ("missing-field",)
    assert checked.violation is None


def test_nulls_and_fields_of_others_are_left_out():
    checked = check("StartTransaction", START | {"reservationId": None, "vendorData": {"a": [1]}})
    assert checked.payload == START
    assert checked.oddities == ("extra-field", "null-dropped")


@pytest.mark.parametrize("transaction_id", [0, -1, 2**31, 2**63, 10**30])
def test_a_stop_keeps_its_transaction_id_of_any_size(transaction_id):
    checked = check(
        "StopTransaction", wire("StopTransaction", f'{{"transactionId":{transaction_id},"meterStop":1}}')
    )
    assert checked.payload == {"transactionId": transaction_id, "meterStop": 1}
    assert "odd-transaction-id" in checked.oddities


def test_a_transaction_id_as_text_is_a_number():
    assert check("StopTransaction", STOP | {"transactionId": "7"}).payload == STOP


def test_a_transaction_id_that_is_no_number_is_absent():
    assert "transactionId" not in check("StopTransaction", STOP | {"transactionId": "TXN-1"}).payload


@pytest.mark.parametrize(
    ("sent", "read", "oddities"),
    [
        ("EVDisconnected", "EVDisconnected", ()),
        ("evdisconnected", "EVDisconnected", ("respelled",)),
        ("Deauthorized", "DeAuthorized", ("respelled",)),
        ("MeteorStrike", "Other", ("unknown-reason",)),
    ],
)
def test_a_reason_is_one_of_the_specification_s(sent, read, oddities):
    checked = check("StopTransaction", STOP | {"reason": sent})
    assert (checked.payload["reason"], checked.oddities) == (read, oddities)


@pytest.mark.parametrize("sent", [None, "", 5, []])
def test_a_reason_that_is_none_is_absent(sent):
    assert check("StopTransaction", STOP | {"reason": sent}).payload == STOP


def test_an_overlong_tag_does_not_keep_a_stop_out():
    assert check("StopTransaction", STOP | {"idTag": "x" * 40}).payload["idTag"] == "x" * 40


def test_the_stop_s_own_samples_are_read_like_meter_values():
    data = [{"timestamp": "2025-03-30T13:00:00Z", "sampledValue": [{"value": 5}, {}]}]
    checked = check("StopTransaction", STOP | {"transactionData": data})
    assert checked.payload["transactionData"] == [
        {"timestamp": "2025-03-30T13:00:00Z", "sampledValue": [{"value": "5"}]}
    ]


def test_a_minimal_sample_is_read():
    assert samples({"value": "123"}) == ([{"value": "123"}], ())


def test_a_sample_as_a_json_number_passes_through_exactly():
    payload = wire(
        "MeterValues",
        '{"connectorId":1,"meterValue":[{"timestamp":"2025-03-30T12:30:00Z","sampledValue":'
        '[{"value":678901234.123456},{"value":17},{"value":0.10},{"value":1e2},{"value":-0.5}]}]}',
    )
    checked = check("MeterValues", payload)
    assert [sample["value"] for sample in checked.payload["meterValue"][0]["sampledValue"]] == [
        "678901234.123456",
        "17",
        "0.10",
        "100",
        "-0.5",
    ]
    assert checked.oddities == ("number-as-text",)


@pytest.mark.parametrize(
    ("sent", "read", "oddities"),
    [
        ({"value": " 5 "}, {"value": "5"}, ("padded-text",)),
        ({"value": ""}, {"value": ""}, ("empty-text",)),
        ({"value": "n/a"}, {"value": "n/a"}, ()),
        ({"value": "5", "unit": "Hz"}, {"value": "5", "unit": "Hertz"}, ("respelled",)),
        ({"value": "5", "unit": "Celcius"}, {"value": "5", "unit": "Celsius"}, ("respelled",)),
        ({"value": "5", "unit": "Celsius"}, {"value": "5", "unit": "Celsius"}, ()),
        ({"value": "5", "unit": "kwh"}, {"value": "5", "unit": "kWh"}, ("respelled",)),
        ({"value": "5", "unit": "furlong"}, {"value": "5", "unit": "furlong"}, ("unknown-unit",)),
        ({"value": "5", "unit": "u" * 99}, {"value": "5"}, ("unknown-unit", "unreadable-field")),
        ({"value": "5", "unit": None}, {"value": "5"}, ("null-dropped",)),
        ({"value": "5", "unit": ""}, {"value": "5"}, ("empty-text",)),
        (
            {"value": "5", "measurand": "Power.Dream"},
            {"value": "5", "measurand": "Power.Dream"},
            ("unknown-measurand",),
        ),
        ({"value": "5", "context": "Sample"}, {"value": "5", "context": "Sample"}, ("unknown-context",)),
        ({"value": "5", "phase": "L4"}, {"value": "5", "phase": "L4"}, ("unknown-phase",)),
        ({"value": "5", "location": "Moon"}, {"value": "5", "location": "Moon"}, ("unknown-location",)),
        ({"value": "5", "format": "Cooked"}, {"value": "5", "format": "Cooked"}, ("unknown-format",)),
        ({"value": "5", "extra": 1}, {"value": "5"}, ("extra-field",)),
        ({"value": "OCMF|{}", "format": "SignedData"}, {"value": "OCMF|{}", "format": "SignedData"}, ()),
    ],
)
def test_an_odd_sample_is_kept_with_what_could_be_read(sent, read, oddities):
    assert samples(sent) == ([read], oddities)


@pytest.mark.parametrize(
    "bad", [{}, {"value": None}, {"value": True}, {"value": []}, "5", None, {"value": "5", "measurand": 7}]
)
def test_a_bad_sample_is_gone_and_its_neighbours_stay(bad):
    read, oddities = samples(bad, SAMPLE)
    assert read == [SAMPLE]
    assert "bad-sample" in oddities


@pytest.mark.parametrize("empty", [[], None, {}, "text", 5])
def test_meter_values_without_a_sample_leave_an_empty_list_or_none(empty):
    checked = check("MeterValues", {"connectorId": 1, "meterValue": empty})
    assert checked.payload.get("meterValue", []) == []
    assert checked.violation is None


def test_an_empty_sampled_value_costs_only_its_own_meter_value():
    good = METER["meterValue"][0]
    checked = check(
        "MeterValues",
        METER | {"meterValue": [{"timestamp": "2025-03-30T12:30:00Z", "sampledValue": []}, good]},
    )
    assert checked.payload["meterValue"] == [good]
    assert checked.oddities == ("empty-meter-value",)


def test_a_meter_value_without_its_list_is_read_as_one():
    checked = check("MeterValues", {"connectorId": 1, "meterValue": {"sampledValue": SAMPLE}})
    assert checked.payload == {"connectorId": 1, "meterValue": [{"sampledValue": [SAMPLE]}]}


def test_a_transaction_id_of_minus_one_is_kept_in_meter_values():
    assert check("MeterValues", METER | {"transactionId": -1}).payload == METER | {"transactionId": -1}


@pytest.mark.parametrize("payload", [[], "x", 5, True])
def test_a_payload_that_is_no_object_holds_nothing(payload):
    checked = check("StopTransaction", payload)
    assert (checked.payload, checked.oddities, checked.violation) == ({}, ("unreadable-field",), None)


def test_thousands_of_faults_are_read_within_bounds():
    checked = check(
        "MeterValues", METER | {"meterValue": [{"sampledValue": [{"value": 1, "unit": "x"}] * 20_000}]}
    )
    assert len(checked.payload["meterValue"][0]["sampledValue"]) == 20_000
