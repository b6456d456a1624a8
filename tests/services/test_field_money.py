"""What real chargers did to sessions and their energy, each with its right value."""

from datetime import timedelta

import pytest

from charger_mgmt import clock
from charger_mgmt.charging import by_operator
from charger_mgmt.database.models import Inbox, Transaction
from tests.support.messages import ago, text

REGISTER = "Energy.Active.Import.Register"


def value(reading, **fields):
    return {"value": str(reading), "measurand": REGISTER, "unit": "Wh"} | fields


# Stops without a usable id


def test_two_stops_of_one_power_loss_end_the_sessions_of_their_tags(central):
    charger = central.charger()
    first = charger.starts(ago(hours=2), connectorId=1, idTag="AAA", meterStart=0)["transactionId"]
    second = charger.starts(ago(hours=2), connectorId=2, idTag="BBB", meterStart=0)["transactionId"]
    at = ago(hours=1)
    for id_tag in ("AAA", "BBB", "AAA", "BBB"):
        charger.stops(-1, at, idTag=id_tag, meterStop=9000, reason="PowerLoss")
    rows = {row.id: row for row in central.rows(Transaction)}
    assert {rows[first].status, rows[second].status} == {"Completed"}
    assert rows[first].flags == rows[second].flags == "reconciled"
    assert central.rows(Inbox) == []


@pytest.mark.parametrize("difference", [{"idTag": "CCC"}, {"reason": "EVDisconnected"}, {"idTag": None}])
def test_a_stop_that_is_neither_a_repeat_nor_matched_is_in_the_inbox(central, difference):
    charger = central.charger()
    charger.starts(ago(hours=2), idTag="AAA")
    at = ago(hours=1)
    charger.stops(-1, at, idTag="AAA", reason="PowerLoss")
    charger.stops(-1, at, **({"idTag": "AAA", "reason": "PowerLoss"} | difference))
    assert central.row(Inbox).kind == "orphan-stop"


def test_the_begin_in_the_transaction_data_tells_which_session_a_stop_means(central):
    charger = central.charger()
    charger.starts(ago(hours=2), connectorId=1, meterStart=1000)
    meant = charger.starts(ago(hours=2), connectorId=2, meterStart=2000)["transactionId"]
    begin = {"timestamp": text(ago(hours=2)), "sampledValue": [value(2000, context="Transaction.Begin")]}
    charger.stops(-1, ago(hours=1), transactionData=[begin])
    assert [row.id for row in central.rows(Transaction) if row.status == "Completed"] == [meant]


def test_a_second_stop_that_says_something_else_is_kept(central):
    charger = central.charger()
    started = charger.starts(ago(hours=2), meterStart=1000)["transactionId"]
    at = ago(hours=1)
    charger.stops(started, at, meterStop=3000)
    charger.stops(started, at, meterStop=3000)
    assert central.rows(Inbox) == []
    charger.stops(started, at, meterStop=8000)
    kept = central.row(Inbox)
    assert (kept.kind, kept.transaction_id) == ("conflicting-stop", started)


def test_a_flat_name_that_is_used_again_with_a_clock_that_restarts_is_another_session(central):
    charger = central.charger("7", flat=True)
    charger.boots()
    start = {"sessionId": "1", "connectorId": 1, "timestamp": "1970-01-01T00:01:00Z"}
    first = charger.sends("StartTransaction", start).payload["transactionId"]
    charger.sends("StopTransaction", {"sessionId": "1", "timestamp": "1970-01-01T01:00:00Z"})
    second = charger.sends("StartTransaction", start).payload["transactionId"]
    assert first != second


# Which value is the register


def test_the_begin_that_is_repeated_with_each_sample_is_never_the_current_reading(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=1000)["transactionId"]
    for minutes, reading in ((50, 3000), (40, 5000)):
        charger.meters(
            started, value(reading), value(1000, context="Transaction.Begin"), at=ago(minutes=minutes)
        )
    row = central.row(Transaction)
    assert (row.meter_last_mwh, row.flags) == (5_000_000, "")


def test_the_begin_is_the_start_where_the_start_had_none(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=None)["transactionId"]
    charger.meters(started, value(1000, context="Transaction.Begin"), value(3000), at=ago(minutes=30))
    charger.stops(started, meterStop=9000)
    row = central.row(Transaction)
    assert (row.energy_mwh, "no-meter-start" in row.flags) == (8_000_000, False)


def test_the_end_counts_where_the_stop_has_no_reading(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=1000)["transactionId"]
    at = ago(minutes=1)
    values = [
        value(4000, context="Transaction.End"),
        value(3900),
        value(3800, context="Sample.Clock"),
        value(1000, context="Transaction.Begin"),
    ]
    charger.stops(
        started, at, meterStop=None, transactionData=[{"timestamp": text(at), "sampledValue": values}]
    )
    assert central.row(Transaction).energy_mwh == 3_000_000


@pytest.mark.parametrize(
    ("values", "reading", "flags"),
    [
        ([value(2000, phase="N")], 2_000_000, ""),
        ([value(2000, phase="L1")], 2_000_000, ""),
        ([value(2000, location="Body")], 2_000_000, ""),
        ([value(2, unit="kWh", location="Cable")], 2_000_000, ""),
        ([value(2000), value(9000, location="Inlet")], 2_000_000, ""),
        ([value(9000, location="Inlet")], None, ""),
        ([value(2000, location="Body"), value(2500)], 2_500_000, ""),
        ([value(700, phase=f"L{n}") for n in (1, 2, 3)] + [value(2200)], 2_200_000, ""),
        ([value(700, phase=f"L{n}") for n in (1, 2, 3)], 2_100_000, "phases-summed"),
        ([value(700, phase=f"L{n}-N") for n in (1, 2, 3)], 2_100_000, "phases-summed"),
        ([value(700, phase="L1"), value(700, phase="L2")], None, ""),
    ],
)
def test_which_register_is_the_sessions(central, values, reading, flags):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=1000)["transactionId"]
    charger.meters(started, *values, at=ago(minutes=30))
    row = central.row(Transaction)
    assert (row.meter_last_mwh, row.flags) == (reading, flags)


# Energy that cannot be


def test_a_first_sample_that_no_charger_can_have_delivered_is_flagged(central):
    charger = central.charger()
    started = charger.starts(ago(hours=10), meterStart=0)["transactionId"]
    charger.meters(started, 7_770_000, at=ago(hours=10, seconds=-100))
    charger.stops(started, meterStop=7_780_000)
    flags = set(central.row(Transaction).flags.split())
    assert {"energy-implausible", "meter-doubtful"} <= flags


def test_a_jump_between_two_samples_is_flagged(central):
    charger = central.charger()
    started = charger.starts(ago(hours=10), meterStart=1000)["transactionId"]
    charger.meters(started, 2000, at=ago(minutes=10))
    charger.meters(started, 400_000, at=ago(minutes=9))
    charger.meters(started, 401_000, at=ago(minutes=8))
    assert "energy-implausible" in central.row(Transaction).flags


def test_a_stop_below_the_last_sample_is_flagged(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1), meterStart=1000)["transactionId"]
    charger.meters(started, 9000, at=ago(minutes=10))
    charger.stops(started, meterStop=5000)
    assert "register-went-back" in central.row(Transaction).flags


# Who gives way to whom


def test_the_card_of_a_zombie_starts_again_on_its_connector(central):
    central.knows_tag("CARD-9", max_active_transactions=1)
    charger = central.charger()
    charger.starts(ago(hours=2))
    assert charger.starts(ago(hours=1))["idTagInfo"]["status"] == "Accepted"
    older, newer = central.rows(Transaction)
    assert (older.status, newer.status) == ("Interrupted", "In Progress")
    assert charger.starts(ago(minutes=5), connectorId=2)["idTagInfo"]["status"] == "ConcurrentTx"


def test_a_start_that_was_refused_does_not_count(central):
    central.knows_tag("CARD-9", max_active_transactions=1)
    charger, other = central.charger(), central.charger("CP2")
    started = charger.starts(ago(hours=3))["transactionId"]
    assert other.starts(ago(hours=2))["idTagInfo"]["status"] == "ConcurrentTx"
    charger.stops(started, ago(hours=1))
    assert charger.starts(ago(minutes=5))["idTagInfo"]["status"] == "Accepted"


@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid"])
def test_a_refused_start_supersedes_nothing(central, status):
    central.knows_tag("BAD", status)
    charger = central.charger()
    running = charger.starts(ago(hours=2))["transactionId"]
    assert charger.starts(ago(hours=1), idTag="BAD")["idTagInfo"]["status"] == status
    assert central.row(Transaction, id=running).status == "In Progress"
    charger.meters(None, 3000, at=ago(minutes=30))
    assert central.row(Transaction, id=running).meter_last_mwh == 3_000_000


def test_a_session_that_was_given_up_and_goes_on_is_in_progress_again(central):
    charger = central.charger()
    older = charger.starts(ago(hours=3))["transactionId"]
    charger.meters(older, 2000, at=ago(hours=2))
    charger.starts(ago(hours=1))
    charger.meters(older, 2500, at=ago(hours=1.5))  # late, from before it was given up
    assert central.row(Transaction, id=older).status == "Interrupted"
    power = {"value": "7000", "measurand": "Power.Active.Import", "unit": "W"}
    charger.meters(older, power, at=ago(minutes=5))
    row = central.row(Transaction, id=older)
    assert (row.status, row.effective_end, row.energy_mwh, row.flags) == ("In Progress", None, None, "")


# Sessions that nobody speaks of


def test_an_open_session_without_any_sign_is_flagged_until_there_is_one(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    later = clock.now() + by_operator.NO_SIGN_AFTER + timedelta(seconds=1)

    def flagged(at):
        with central.engine.begin() as conn:
            return by_operator.flag_without_sign(conn, at)

    assert flagged(clock.now()) == 0  # we have only just heard of it
    charger.reports(1, "Charging")
    assert flagged(later) == 0
    charger.reports(1, "Finishing")
    assert (flagged(later), flagged(later)) == (1, 0)
    assert central.row(Transaction).flags == "no-sign"
    power = {"value": "7000", "measurand": "Power.Active.Import", "unit": "W"}
    charger.meters(started, power)
    assert (central.row(Transaction).flags, flagged(later)) == ("", 0)


# Times


@pytest.mark.parametrize(
    ("at", "believed", "flags"),
    [
        (ago(days=20), True, ""),
        (ago(days=600), True, "old"),
        (ago(days=4 * 365), True, "old"),
        (ago(days=6 * 365), False, "clock-implausible"),
        ("2000-01-01T00:00:10Z", False, "clock-implausible"),
        ("1970-01-01T00:00:10Z", False, "clock-implausible"),
    ],
)
def test_a_session_that_comes_late_stands_under_its_own_date(central, at, believed, flags):
    central.charger().starts(at)
    row = central.row(Transaction)
    assert (row.effective_start == row.start_timestamp, row.flags) == (believed, flags)


def test_all_flags_together_fit_their_column():
    from charger_mgmt.domain import transactions as rules

    words = {
        word
        for name, word in vars(rules).items()
        if name.isupper() and isinstance(word, str) and word == word.lower()
    }
    assert len(rules.join_flags(words)) <= 255
