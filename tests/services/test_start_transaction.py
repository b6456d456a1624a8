"""A session begins once, whatever is sent twice."""

from datetime import timedelta

import pytest

from charger_mgmt import clock
from charger_mgmt.database import bulk
from charger_mgmt.database.models import Command, Inbox, Tag, Transaction
from tests.support.messages import ago


def test_a_start_is_stored_with_both_times(central):
    charger = central.charger()
    answer = charger.starts(ago(hours=2), meterStart=1500)
    row = central.row(Transaction)
    assert answer == {"transactionId": row.id, "idTagInfo": {"status": "Accepted"}}
    assert row.status == "In Progress"
    assert row.effective_start == row.start_timestamp < row.start_received_at
    assert (row.connector_id, row.id_tag, row.meter_start_mwh, row.flags) == (1, "CARD-9", 1_500_000, "")


def test_x_17_the_same_start_again_is_the_same_transaction(central):
    charger = central.charger()
    at = ago(minutes=5)
    first = charger.starts(at)
    assert charger.starts(at) == first
    assert len(central.rows(Transaction)) == 1


def test_a_start_twice_in_one_batch_is_one_transaction(central):
    charger = central.charger()
    at = ago(minutes=5)
    first, second, third = central.together(
        charger.start(at), charger.start(at), charger.start(at, idTag="card-9")
    )
    assert first == second == third
    assert len(central.rows(Transaction)) == 1


def test_many_starts_in_one_batch_have_each_its_own_transaction(central):
    chargers = [central.charger(f"CP{number}") for number in range(40)]
    answers = central.together(*(charger.start(ago(minutes=5)) for charger in reversed(chargers)))
    owners = {row.id: row.charger_id for row in central.rows(Transaction)}
    given = [owners[answer["transactionId"]] for answer in answers]
    assert given == [charger.id for charger in reversed(chargers)]


def test_a_database_that_returns_no_ids_is_asked_for_them(central, monkeypatch):
    monkeypatch.setattr(central.engine.dialect, "insert_returning", False)  # as MySQL
    at = "1970-01-01T00:01:00Z"  # the same start once more, after the end of the first, is another
    charger, other = central.charger("CP1"), central.charger("CP2")
    charger.stops(charger.starts(at)["transactionId"])
    answers = central.together(charger.start(at), other.start(at))
    rows = central.rows(Transaction)
    assert [row.start_ordinal for row in rows] == [0, 1, 0]
    owners = {row.id: (row.charger_id, row.status) for row in rows}
    given = [owners[answer["transactionId"]] for answer in answers]
    assert given == [(charger.id, "In Progress"), (other.id, "In Progress")]


def test_a_replayed_start_is_not_concurrent_with_itself(central):
    central.knows_tag("CARD-9", max_active_transactions=1)
    charger = central.charger()
    at = ago(minutes=5)
    assert charger.starts(at)["idTagInfo"]["status"] == "Accepted"
    assert charger.starts(at)["idTagInfo"]["status"] == "Accepted"


def test_a_start_replayed_after_its_stop_is_still_the_same_transaction(central):
    charger = central.charger()
    at = ago(hours=1)
    first = charger.starts(at)
    charger.stops(first["transactionId"])
    assert charger.starts(at) == first
    assert central.row(Transaction).status == "Completed"


def test_a_clock_that_restarts_in_1970_still_makes_two_sessions_of_two(central):
    charger = central.charger()
    first = charger.starts("1970-01-01T00:00:30Z")
    charger.stops(first["transactionId"], "1970-01-01T00:10:00Z", meterStop=1000)
    second = charger.starts("1970-01-01T00:00:30Z")
    assert second["transactionId"] != first["transactionId"]
    assert charger.starts("1970-01-01T00:00:30Z") == second
    assert [row.start_ordinal for row in central.rows(Transaction)] == [0, 1]
    assert all("clock-implausible" in row.flags for row in central.rows(Transaction))


def test_the_time_of_receipt_counts_where_the_clock_cannot_be_believed(central):
    central.charger().starts("1970-01-01T00:00:30Z")
    row = central.row(Transaction)
    assert row.effective_start == row.start_received_at
    assert row.start_timestamp.year == 1970


def test_x_18_a_limited_tag_is_concurrent_elsewhere_and_gets_an_id(central):
    central.knows_tag("CARD-9", max_active_transactions=1)
    first = central.charger("CP1").starts()
    second = central.charger("CP2").starts()
    assert second["idTagInfo"]["status"] == "ConcurrentTx"
    assert second["transactionId"] not in (0, -1, first["transactionId"])


def test_a_limited_tag_is_counted_within_one_batch_too(central):
    central.knows_tag("CARD-9", max_active_transactions=1)
    one, other = central.charger("CP1"), central.charger("CP2")
    answers = central.together(one.start(), other.start())
    assert sorted(answer["idTagInfo"]["status"] for answer in answers) == ["Accepted", "ConcurrentTx"]


@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid"])
def test_x_19_a_refused_tag_gets_its_status_and_an_id(central, status):
    central.knows_tag("CARD-9", status)
    answer = central.charger().starts()
    assert answer["idTagInfo"]["status"] == status
    assert answer["transactionId"] == central.row(Transaction).id


@pytest.mark.settings(unknown_tags="invalid")
def test_an_unknown_tag_is_invalid_where_that_is_set(central):
    assert central.charger().starts()["idTagInfo"]["status"] == "Invalid"


def test_the_answer_names_the_group(central):
    central.knows_tag("CARD-9", parent_id_tag="FLEET")
    assert central.charger().starts()["idTagInfo"]["parentIdTag"] == "FLEET"


def test_a_second_start_on_a_connector_interrupts_the_first(central):
    charger = central.charger()
    first = charger.starts(ago(hours=3), meterStart=1000)
    charger.meters(first["transactionId"], 4000, at=ago(hours=2))
    charger.starts(ago(hours=1))
    interrupted = central.row(Transaction, id=first["transactionId"])
    assert interrupted.status == "Interrupted"
    assert "superseded" in interrupted.flags
    assert interrupted.effective_end == interrupted.meter_last_at
    assert interrupted.energy_mwh == 3_000_000


def test_the_stop_of_an_interrupted_session_completes_it_after_all(central):
    charger = central.charger()
    first = charger.starts(ago(hours=3))["transactionId"]
    charger.starts(ago(hours=1))
    charger.stops(first, ago(hours=2), meterStop=6000)
    row = central.row(Transaction, id=first)
    assert (row.status, row.energy_mwh) == ("Completed", 5_000_000)


def test_a_start_on_another_connector_disturbs_nothing(central):
    charger = central.charger()
    charger.starts(connectorId=1)
    charger.starts(connectorId=2)
    assert [row.status for row in central.rows(Transaction)] == ["In Progress", "In Progress"]


def test_an_older_start_that_comes_late_does_not_interrupt_the_newer_one(central):
    charger = central.charger()
    newer = charger.starts(ago(hours=1))["transactionId"]
    older = charger.starts(ago(hours=5))["transactionId"]
    assert central.row(Transaction, id=newer).status == "In Progress"
    assert "overlaps" in central.row(Transaction, id=older).flags


def test_nothing_readable_still_gets_an_id(central):
    charger = central.charger()
    answer = charger.sends("StartTransaction", {}, oddities=("missing-field",)).payload
    row = central.row(Transaction)
    assert answer["transactionId"] == row.id
    assert {"form", "clock-implausible", "no-meter-start"} <= set(row.flags.split())


def test_a_poisonous_start_gets_an_id_and_its_text_is_kept(central):
    charger, neighbour = central.charger("CP1"), central.charger("CP2")
    poison = charger.says("StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": object()})
    poison.raw = '[2,"1","StartTransaction",{"poison":true}]'
    poisoned, healthy = central.together(poison, neighbour.start())
    assert poisoned["transactionId"] != healthy["transactionId"]
    kept = central.row(Inbox)
    assert (kept.kind, kept.raw, kept.transaction_id) == ("poison", poison.raw, poisoned["transactionId"])
    assert "poison" in central.row(Transaction, id=poisoned["transactionId"]).flags


def _remote_start(central, charger, **values):
    row = {
        "charger_id": charger.id,
        "action": "RemoteStartTransaction",
        "payload": {},
        "state": "accepted",
        "message_id": f"c{len(central.rows(Command))}",
        "requested_by": "operator",
        "created_at": clock.now(),
        "id_tag": "ONE-USE",
        "connector_id": None,
        "session_id": "ABC123",
    }
    with central.engine.begin() as conn:
        bulk.insert(conn, Command.__table__, [row | values])
    return central.rows(Command)[-1].id


def test_a_start_finds_the_remote_start_that_caused_it(central):
    charger = central.charger()
    command = _remote_start(central, charger)
    answer = charger.starts(idTag="one-use")
    row = central.row(Transaction)
    assert row.session_id == "ABC123"
    assert central.row(Command, id=command).transaction_id == row.id == answer["transactionId"]


def test_another_connector_or_tag_is_not_what_the_operator_started(central):
    charger = central.charger()
    _remote_start(central, charger, connector_id=2)
    charger.starts(idTag="ONE-USE", connectorId=1)
    charger.starts(idTag="OTHER", connectorId=2)
    assert [row.session_id for row in central.rows(Transaction)] == [None, None]


@pytest.mark.settings(unknown_tags="invalid")
def test_a_one_use_tag_is_good_for_one_start(central):
    charger = central.charger()
    command = _remote_start(central, charger)
    central.knows_tag("ONE-USE", command_id=command)
    first = charger.starts(idTag="ONE-USE")
    assert first["idTagInfo"]["status"] == "Accepted"
    authorize = charger.sends("Authorize", {"idTag": "ONE-USE"}).payload
    assert authorize["idTagInfo"]["status"] == "Accepted"  # it may stop what it started
    charger.stops(first["transactionId"])
    assert charger.starts(idTag="ONE-USE")["idTagInfo"]["status"] == "Invalid"
    assert charger.sends("Authorize", {"idTag": "ONE-USE"}).payload["idTagInfo"]["status"] == "Invalid"
    assert len(central.rows(Tag)) == 1


@pytest.mark.settings(unknown_tags="accept")
def test_a_one_use_tag_is_good_at_its_own_charger_only(central):
    asked, other = central.charger("CP1"), central.charger("CP2")
    central.knows_tag("ONE-USE", command_id=_remote_start(central, asked))
    assert other.starts(idTag="ONE-USE")["idTagInfo"]["status"] == "Invalid"
    assert asked.starts(idTag="ONE-USE")["idTagInfo"]["status"] == "Accepted"


def test_a_limited_tag_counts_however_it_is_spelled(central):
    central.knows_tag("TAGX", max_active_transactions=1)
    assert (
        central.charger("CP1").starts(idTag="TAGX;0123456789ABCDEFGHIJ")["idTagInfo"]["status"] == "Accepted"
    )
    assert central.charger("CP2").starts(idTag=" tagx ")["idTagInfo"]["status"] == "ConcurrentTx"
    assert {row.id_tag for row in central.rows(Transaction)} == {"TAGX"}


def test_two_starts_on_unknown_connectors_do_not_interrupt_each_other(central):
    charger = central.charger()
    charger.starts(ago(hours=2), connectorId=None)
    charger.starts(ago(hours=1), connectorId=None)
    assert {row.status for row in central.rows(Transaction)} == {"In Progress"}


def test_a_one_use_tag_does_not_expire_in_the_car(central):
    charger = central.charger()
    command = _remote_start(central, charger)
    central.knows_tag("ONE-USE", command_id=command, expiry_date=clock.now() + timedelta(minutes=15))
    assert charger.starts(idTag="ONE-USE")["idTagInfo"] == {"status": "Accepted"}
