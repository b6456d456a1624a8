"""A broken StopTransaction ends its session, and what was lost in it is in the inbox."""

from charger_mgmt.database.models import Inbox, Transaction
from tests.support.messages import ago


def test_a_broken_stop_completes_its_session_and_its_text_is_kept(central):
    charger = central.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    stop = charger.stop(started, meterStop=4000)
    stop.oddities = ("broken-json",)
    central.together(stop)
    row = central.row(Transaction)
    assert (row.status, row.energy_mwh, row.flags) == ("Completed", 3_000_000, "form")
    assert central.row(Inbox).transaction_id == started


def test_a_harmless_oddity_flags_no_session(central):
    charger = central.charger()
    start = charger.start(ago(hours=1))
    start.oddities = ("text-as-number", "extra-field")
    central.together(start)
    assert central.row(Transaction).flags == ""
    assert central.rows(Inbox) == []


def test_a_frame_that_breaks_off_is_answered_and_the_operator_can_read_it(charger, operator):
    charger.starts_up()
    session = charger.starts(connector=1, meter=1000)
    number = session.transaction_id
    broken = f'[2,"77","StopTransaction",{{"transactionId":{number},"meterStop":4000,"timestamp":,"reason":"Local"}}]'
    answer = charger.sends_text(broken)
    assert (answer.id, answer.payload) == ("77", {})
    assert operator.transaction(number)["energyWh"] == 3000
    (kept,) = operator.get("/api/inbox", kind="unreadable").json
    assert (kept["raw"], kept["transactionId"]) == (broken, number)


def test_samples_that_cannot_be_read_at_all_are_kept_whole(charger, operator):
    charger.starts_up()
    broken = '[2,"78","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-11-22T12:00:00Z","sampledValue":[{"value":}]}]}]'
    assert charger.sends_text(broken).payload == {}
    (kept,) = operator.get("/api/inbox").json
    assert (kept["kind"], kept["raw"]) == ("unreadable", broken)


def test_a_page_of_the_inbox_holds_as_many_long_texts_as_fit_and_the_next_one_the_rest(charger, operator):
    charger.starts_up()
    texts = [
        f'[2,"{n}","MeterValues",{{"connectorId":1,"note":"{"x" * 700_000}{n}","meterValue":}}]'
        for n in range(5)
    ]
    for broken in texts:
        charger.sends_text(broken)
    first = operator.get("/api/inbox")
    assert [message["raw"] for message in first.json] == texts[:2:-1]
    path = first.headers["link"].partition("<")[2].partition(">")[0]
    rest = operator.get(path).json
    assert [message["raw"] for message in rest] == texts[2:0:-1]


def test_a_flat_message_that_is_written_in_another_way_is_the_same_one(central):
    charger = central.charger("7", flat=True)
    stop = {"sessionId": "NOBODY", "timestamp": "2026-11-01T10:00:00Z"}
    for written in (stop, dict(reversed(stop.items())), stop | {"retry": 2}):
        charger.sends("StopTransaction", written)
    charger.sends("StopTransaction", stop | {"meterStop": 5})
    assert [row.kind for row in central.rows(Inbox)] == ["orphan-stop", "orphan-stop"]
