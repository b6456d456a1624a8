"""Samples are kept, each once."""

import pytest

from charger_mgmt.database.models import Inbox, MeterValue, Transaction
from tests.support.messages import ago


def test_samples_are_rows_of_their_session(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    power = {"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW", "phase": "L1"}
    charger.meters(started, 678901234.123456, power)
    register, second = central.rows(MeterValue)
    assert (register.transaction_id, register.value_micro, register.unit) == (started, 678901234123456, "Wh")
    assert (second.measurand, second.phase, second.value_micro) == ("Power.Active.Import", "L1", 7_400_000)


def test_the_same_samples_again_are_the_same_rows(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    at = ago(minutes=1)
    charger.meters(started, 2000, at=at)
    charger.meters(started, 2000, at=at)
    assert len(central.rows(MeterValue)) == 1


@pytest.mark.parametrize("unknown", [4711, -1, 0, 2**40, None])
def test_x_20_samples_of_an_unknown_session_are_kept_without_one(central, unknown):
    central.charger().meters(unknown, 2000)
    assert central.row(MeterValue).transaction_id is None


def test_samples_without_an_id_belong_to_the_session_open_on_their_connector(central):
    charger = central.charger()
    charger.starts(ago(hours=1), connectorId=2)
    started = charger.starts(ago(hours=1), connectorId=1)["transactionId"]
    charger.meters(None, 2000)
    assert central.row(MeterValue).transaction_id == started


def test_a_box_with_one_outlet_means_it_when_it_says_connector_0(central):
    charger = central.charger()
    charger.reports(0, "Available")
    charger.reports(1, "Charging")
    started = charger.starts(ago(hours=1))["transactionId"]
    charger.meters(None, 2000, connectorId=0)
    row = central.row(MeterValue)
    assert (row.connector_id, row.transaction_id) == (1, started)


def test_the_main_meter_of_a_larger_charger_stays_connector_0(central):
    charger = central.charger()
    for connector in (0, 1, 2):
        charger.reports(connector, "Available")
    charger.starts(ago(hours=1))
    charger.meters(None, 2000, connectorId=0)
    row = central.row(MeterValue)
    assert (row.connector_id, row.transaction_id) == (0, None)


def test_another_chargers_session_gets_no_samples(central):
    theirs = central.charger("CP-B").starts()["transactionId"]
    central.charger("CP-A").meters(theirs, 2000)
    assert central.row(MeterValue).transaction_id is None
    assert central.row(Transaction).meter_last_mwh is None


def test_the_session_remembers_its_last_reading(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    charger.meters(started, 2000, at=ago(minutes=30))
    charger.meters(started, 1500, at=ago(minutes=40))  # an older one that comes late
    row = central.row(Transaction)
    assert (row.meter_last_mwh, row.flags) == (2_000_000, "")


def test_a_register_that_goes_back_is_flagged(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=1000)["transactionId"]
    charger.meters(started, 2000, at=ago(minutes=30))
    charger.meters(started, 5, at=ago(minutes=20))
    assert central.row(Transaction).flags == "register-went-back"


def test_an_hour_without_samples_is_a_gap(central):
    charger = central.charger()
    started = charger.starts(ago(hours=5))["transactionId"]
    charger.meters(started, 2000, at=ago(hours=4.5))
    charger.meters(started, 3000, at=ago(hours=1))
    assert central.row(Transaction).flags == "gap"


def test_samples_after_the_stop_belong_to_the_session_that_stays_closed(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2))["transactionId"]
    charger.stops(started, ago(hours=1), meterStop=2000)
    before = central.row(Transaction)
    charger.meters(started, 2100)
    assert central.row(MeterValue).transaction_id == started
    assert central.row(Transaction) == before


def test_a_value_that_cannot_be_read_is_kept_as_text(central):
    central.charger().meters(None, {"value": "n/a"})
    row = central.row(MeterValue)
    assert (row.raw, row.value_micro) == ("n/a", None)


def test_a_batch_of_many_chargers_keeps_them_apart(central):
    chargers = [central.charger(f"CP{n}") for n in range(20)]
    ids = [charger.starts(ago(hours=1))["transactionId"] for charger in chargers]
    at = ago(minutes=1).isoformat()
    messages = [
        charger.says(
            "MeterValues",
            {
                "connectorId": 1,
                "transactionId": started,
                "meterValue": [{"timestamp": at, "sampledValue": [{"value": str(3000 + started)}]}],
            },
        )
        for charger, started in zip(chargers, ids, strict=True)
    ]
    central.together(*messages)
    assert {row.transaction_id: row.raw for row in central.rows(MeterValue)} == {
        n: str(3000 + n) for n in ids
    }
    assert {row.id: row.meter_last_mwh for row in central.rows(Transaction)} == {
        n: (3000 + n) * 1000 for n in ids
    }


def test_what_could_not_be_read_is_kept_as_it_came(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    readable = {"connectorId": 1, "transactionId": started, "meterValue": []}
    message = charger.says("MeterValues", readable, oddities=("bad-sample", "null-dropped"))
    message.raw = '[2,"1","MeterValues",{"meterValue":[{"sampledValue":[{"value":{}}]}]}]'
    again = charger.says("MeterValues", readable, oddities=("bad-sample",))
    again.raw = message.raw.replace('"1"', '"2"')
    central.together(message, again)
    kept = central.row(Inbox)
    assert (kept.kind, kept.raw, kept.reason) == ("unreadable", message.raw, "bad-sample")
    assert kept.transaction_id == started


def test_a_harmless_oddity_leaves_no_trace_in_the_inbox(central):
    charger = central.charger()
    charger.sends("MeterValues", {"connectorId": 1, "meterValue": []}, oddities=("null-dropped", "respelled"))
    assert central.rows(Inbox) == []


def test_late_samples_of_an_earlier_session_are_not_the_open_ones(central):
    charger = central.charger()
    earlier = charger.starts(ago(hours=3), meterStart=1000)["transactionId"]
    charger.stops(earlier, ago(hours=2), meterStop=5000)
    charger.starts(ago(hours=1), meterStart=5000)
    charger.meters(None, 3000, at=ago(hours=2, minutes=30))
    assert central.row(MeterValue).transaction_id is None
    running = central.rows(Transaction)[-1]
    assert (running.meter_last_mwh, running.flags) == (None, "")


def test_a_first_sample_stamped_in_the_second_of_the_start_is_the_sessions(central):
    charger = central.charger()
    start = ago(hours=1).replace(microsecond=700_000)
    started = charger.starts(start)["transactionId"]
    charger.meters(None, 1000, at=start.replace(microsecond=0))
    assert central.row(MeterValue).transaction_id == started


def test_a_box_that_never_reported_a_connector_means_its_open_session_when_it_says_0(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    charger.meters(None, 2000, connectorId=0)
    row = central.row(MeterValue)
    assert (row.connector_id, row.transaction_id) == (1, started)
