"""A session ends, whatever its stop looks like."""

import pytest

from charger_mgmt.database.models import Inbox, MeterValue, Transaction
from tests.support.messages import ago


def test_a_stop_completes_the_session_with_its_energy(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2), meterStart=1000)["transactionId"]
    assert charger.stops(started, ago(hours=1), meterStop=9500, reason="Remote") == {}
    row = central.row(Transaction)
    assert (row.status, row.reason, row.energy_mwh, row.flags) == ("Completed", "Remote", 8_500_000, "")
    assert row.effective_end == row.stop_timestamp < row.stop_received_at


def test_a_stop_with_readings_as_far_apart_as_they_can_be_ends_its_session(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2), meterStart=-9 * 10**15)["transactionId"]
    charger.stops(started, ago(hours=1), meterStop=9 * 10**15)
    row = central.row(Transaction)
    assert (row.status, row.energy_mwh, row.flags) == ("Completed", None, "energy-implausible")
    assert central.rows(Inbox) == []


def test_x_20_the_same_stop_again_changes_nothing(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2))["transactionId"]
    at = ago(hours=1)
    charger.stops(started, at)
    before = central.row(Transaction)
    assert charger.stops(started, at) == {}
    assert central.row(Transaction) == before


def test_the_same_stop_twice_in_one_batch_counts_once(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2))["transactionId"]
    at = ago(hours=1)
    assert central.together(charger.stop(started, at), charger.stop(started, at)) == [{}, {}]
    assert central.row(Transaction).flags == ""


def test_of_two_different_stops_the_first_counts_and_the_session_is_flagged(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2), meterStart=1000)["transactionId"]
    charger.stops(started, ago(hours=1), meterStop=3000)
    charger.stops(started, ago(minutes=1), meterStop=8000)
    row = central.row(Transaction)
    assert row.energy_mwh == 2_000_000
    assert row.flags == "conflicting-stop"


def test_two_different_stops_in_one_batch_end_the_session_as_one_after_the_other(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2), meterStart=1000)["transactionId"]
    other = central.charger("CP2")
    also = other.starts(ago(hours=2), meterStart=1000)["transactionId"]
    central.together(
        charger.stop(started, ago(hours=1), meterStop=3000),
        charger.stop(started, ago(minutes=1), meterStop=8000),
        other.stop(also, ago(hours=1), meterStop=5000),
    )
    first, second = central.rows(Transaction)
    assert (first.status, first.energy_mwh, first.flags) == ("Completed", 2_000_000, "conflicting-stop")
    assert (second.status, second.energy_mwh, second.flags) == ("Completed", 4_000_000, "")


@pytest.mark.parametrize("unknown", [4711, 0, -1, 2**40, None])
def test_x_20_a_stop_of_an_unknown_session_is_answered_and_kept(central, unknown):
    charger = central.charger()
    message = charger.stop(unknown, ago(hours=1))
    assert central.together(message) == [{}]
    kept = central.row(Inbox)
    assert (kept.kind, kept.action, kept.raw) == ("orphan-stop", "StopTransaction", message.raw)
    assert central.rows(Transaction) == []


def test_an_orphan_that_comes_again_is_kept_once(central):
    charger = central.charger()
    at = ago(hours=1)
    charger.stops(4711, at)
    charger.stops(4711, at)
    assert len(central.rows(Inbox)) == 1


def test_a_stop_without_a_usable_id_ends_the_one_session_that_it_can_mean(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2), meterStart=1000)["transactionId"]
    at = ago(hours=1)
    charger.stops(-1, at, idTag="CARD-9", meterStop=4000)
    charger.stops(-1, at, idTag="CARD-9", meterStop=4000)
    row = central.row(Transaction, id=started)
    assert (row.status, row.energy_mwh, row.flags) == ("Completed", 3_000_000, "reconciled")
    assert central.rows(Inbox) == []


@pytest.mark.parametrize(
    "difference", [{"idTag": "OTHER"}, {"meterStop": 10}, {"timestamp": "2026-01-01T00:00:00Z"}]
)
def test_a_stop_without_a_usable_id_that_does_not_fit_ends_nothing(central, difference):
    charger = central.charger()
    charger.starts(ago(hours=2), meterStart=1000)
    charger.stops(-1, **({"idTag": "CARD-9"} | difference))
    assert central.row(Transaction).status == "In Progress"
    assert central.row(Inbox).kind == "orphan-stop"


def test_a_stop_that_could_mean_two_sessions_ends_neither(central):
    charger = central.charger()
    charger.starts(ago(hours=2), connectorId=1)
    charger.starts(ago(hours=2), connectorId=2)
    charger.stops(-1)
    assert {row.status for row in central.rows(Transaction)} == {"In Progress"}


def test_x_22_a_stop_cannot_touch_another_chargers_session(central):
    theirs = central.charger("CP-B").starts()["transactionId"]
    intruder = central.charger("CP-A")
    intruder.starts()
    assert intruder.stops(theirs) == {}
    assert central.row(Transaction, id=theirs).status == "In Progress"
    assert {row.status for row in central.rows(Transaction)} == {"In Progress"}


def test_x_21_without_a_reason_it_is_local_and_without_a_tag_there_is_no_tag_info(central):
    charger = central.charger()
    started = charger.starts()["transactionId"]
    assert "idTagInfo" not in charger.stops(started)
    assert central.row(Transaction).reason == "Local"


def test_a_stop_with_a_tag_is_answered_its_status(central):
    central.knows_tag("CARD-9", "Blocked", parent_id_tag="FLEET")
    charger = central.charger()
    started = charger.starts()["transactionId"]
    assert charger.stops(started, idTag="CARD-9") == {
        "idTagInfo": {"status": "Blocked", "parentIdTag": "FLEET"}
    }
    assert central.row(Transaction).stop_id_tag == "CARD-9"


def test_x_25_a_meter_that_went_back_is_answered_flagged_and_worth_nothing(central):
    charger = central.charger()
    started = charger.starts(meterStart=9000)["transactionId"]
    assert charger.stops(started, meterStop=1000) == {}
    row = central.row(Transaction)
    assert (row.status, row.energy_mwh, row.flags) == ("Completed", None, "register-went-back")


def test_a_stop_before_its_start_ends_the_session_when_it_was_heard(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    charger.stops(started, ago(hours=2))
    row = central.row(Transaction)
    assert "stop-before-start" in row.flags
    assert row.effective_end == row.stop_received_at >= row.effective_start


def test_without_a_last_reading_the_last_sample_counts(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=1000)["transactionId"]
    charger.meters(started, 2500, at=ago(minutes=10))
    charger.stops(started, meterStop=None)
    row = central.row(Transaction)
    assert (row.energy_mwh, row.meter_stop_mwh, row.flags) == (1_500_000, None, "no-meter-stop")


def test_without_a_last_reading_the_last_sample_in_the_stop_counts(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=1000)["transactionId"]
    charger.meters(started, 2500, at=ago(minutes=10))
    samples = [
        {"timestamp": ago(minutes=minutes).isoformat(), "sampledValue": [{"value": value}]}
        for minutes, value in ((1, "5000"), (20, "2000"))
    ]
    charger.stops(started, meterStop=None, transactionData=samples)
    row = central.row(Transaction)
    assert (row.energy_mwh, row.meter_stop_mwh, row.flags) == (4_000_000, None, "no-meter-stop")


def test_samples_in_the_stop_are_merged_with_those_that_came_before(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    at = ago(minutes=30)
    charger.meters(started, 2500, at=at)
    shared = {"timestamp": at.isoformat(), "sampledValue": [{"value": "2500"}]}
    last = {
        "timestamp": ago(minutes=1).isoformat(),
        "sampledValue": [{"value": "9000", "context": "Transaction.End"}],
    }
    charger.stops(started, transactionData=[shared, last])
    assert [(row.raw, row.transaction_id) for row in central.rows(MeterValue)] == [
        ("2500", started),
        ("9000", started),
    ]


def test_samples_of_an_orphan_stop_are_kept_without_a_session(central):
    data = [{"timestamp": ago(hours=1).isoformat(), "sampledValue": [{"value": "2500"}]}]
    central.charger().stops(4711, transactionData=data)
    assert central.row(MeterValue).transaction_id is None


def test_an_offline_session_that_is_replayed_keeps_the_chargers_times(central):
    charger = central.charger()
    started = charger.starts(ago(days=3))["transactionId"]
    charger.stops(started, ago(days=2))
    row = central.row(Transaction)
    assert (row.effective_end - row.effective_start).days == 1
    assert row.flags == ""


def test_a_repeated_stop_is_the_same_whatever_the_digits_of_its_time(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2))["transactionId"]
    at = f"{ago(hours=1):%Y-%m-%dT%H:%M:%S}.123456Z"
    charger.stops(started, at)
    charger.stops(started, at)
    assert central.row(Transaction).flags == ""
