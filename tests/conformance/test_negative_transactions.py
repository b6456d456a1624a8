"""Sessions, whatever the charger says about them: X-17 to X-26."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from charger_mgmt.ocppj.frames import CallResult
from charger_mgmt.simulate.transport import stamp

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0", "UNKNOWN_TAGS": "invalid"}


def says(charger, action, payload):
    """The payload of the answer, which must be a normal one."""
    answer = charger.sends(action, payload)
    assert isinstance(answer, CallResult), answer
    return answer.payload


def start_of(charger, tag):
    now = stamp(charger.clock.now() - timedelta(minutes=1))
    return {"connectorId": 1, "idTag": tag, "meterStart": 100, "timestamp": now}


def samples_of(operator, session):
    return operator.transaction(session.transaction_id)["meterValues"]


def inbox_of(operator, charger):
    rows = operator.get("/api/inbox", chargerId=charger.identity).json
    return [(row["kind"], row["action"]) for row in rows]


@pytest.mark.parametrize("ids", ["the same message id", "a new message id", "a new socket"])
def test_X_17_the_same_start_twice_is_one_transaction(charger, operator, new_tag, ids):
    single_use = new_tag(max_active_transactions=1)
    start = start_of(charger, single_use)
    if ids == "the same message id":
        message_id = str(uuid.uuid4())
        charger.message_ids = lambda: message_id
    first = says(charger, "StartTransaction", start)
    if ids == "a new socket":
        charger.goes_offline()
        charger.comes_back()
    second = says(charger, "StartTransaction", start)
    assert first == second
    assert first["idTagInfo"]["status"] == "Accepted"
    assert [row["transactionId"] for row in operator.history(charger)] == [first["transactionId"]]


def test_X_18_a_second_session_of_a_single_use_tag_is_concurrent_and_has_an_id(
    charger, other_charger, operator, new_tag
):
    single_use = new_tag(max_active_transactions=1)
    first = charger.starts(1, single_use)
    second = other_charger.starts(1, single_use)
    assert (first.status, second.status) == ("Accepted", "ConcurrentTx")
    assert second.transaction_id > 0
    assert second.transaction_id != first.transaction_id
    assert charger.authorizes(single_use).status == "Accepted"  # or its driver could not stop
    assert other_charger.stops(second, reason="DeAuthorized").answer == {}
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]


@pytest.mark.parametrize(
    ("status", "days", "answered"), [("Blocked", None, "Blocked"), ("Accepted", 1, "Expired")]
)
def test_X_19_a_refused_tag_gets_an_id_and_its_status(charger, operator, new_tag, status, days, answered):
    expires = charger.clock.now() - timedelta(days=days) if days else None
    session = charger.starts(1, new_tag(status, expires=expires))
    assert session.status == answered
    assert session.transaction_id > 0
    (row,) = operator.history(charger)
    assert (row["transactionId"], row["idTagStatus"]) == (session.transaction_id, answered)


def test_X_20_the_same_stop_twice_changes_nothing(charger, session, operator):
    at = charger.clock.now()
    assert charger.stops(session, meter=1700, at=at).answer == {}
    once = operator.history(charger)
    stop = {"transactionId": session.transaction_id, "meterStop": 1700, "timestamp": stamp(at)}
    assert says(charger, "StopTransaction", stop | {"reason": "Local"}) == {}
    assert says(charger, "StopTransaction", stop | {"reason": "Local"}) == {}
    assert operator.history(charger) == once


def test_X_20_a_second_stop_that_says_otherwise_is_answered_and_only_noted(charger, session, operator):
    charger.stops(session, meter=1700)
    other = {
        "transactionId": session.transaction_id,
        "meterStop": 9999,
        "timestamp": stamp(charger.clock.now()),
        "reason": "PowerLoss",
    }
    assert says(charger, "StopTransaction", other) == {}
    (row,) = operator.history(charger)
    assert (row["meterStopWh"], row["energyWh"], row["reason"]) == (1700, 700, "Local")
    assert row["flags"] != []


@pytest.mark.parametrize("unknown", [2_000_000_000, -1, 0])
def test_X_20_a_stop_of_an_unknown_session_is_answered_and_kept(charger, operator, unknown):
    assert charger.stops(unknown, meter=10).answer == {}
    assert operator.history(charger) == []
    assert inbox_of(operator, charger) == [("orphan-stop", "StopTransaction")]


@pytest.mark.parametrize("unknown", [2_000_000_000, -1])
def test_X_20_meter_values_of_an_unknown_session_are_answered(charger, operator, unknown):
    assert charger.meters(1, unknown, 10).answer == {}
    assert operator.history(charger) == []


def test_X_21_a_stop_without_a_reason_is_local(charger, session, operator):
    assert charger.stops(session, reason=None).answer == {}
    assert [row["reason"] for row in operator.history(charger)] == ["Local"]


def test_X_21_a_stop_has_tag_info_only_if_it_has_a_tag(charger, session, card):
    assert "idTagInfo" not in charger.stops(session).answer
    again = charger.starts(1, card)
    assert charger.stops(again, tag=card).answer == {"idTagInfo": {"status": "Accepted"}}


def test_X_22_a_stop_cannot_touch_another_chargers_session(charger, session, other_charger, operator):
    before = operator.history(charger)
    assert other_charger.stops(session.transaction_id, meter=99_999).answer == {}
    assert operator.history(charger) == before
    assert [row["status"] for row in before] == ["In Progress"]
    assert operator.history(other_charger) == []
    assert inbox_of(operator, other_charger) == [("orphan-stop", "StopTransaction")]


@pytest.mark.parametrize("unit", ["Celsius", "Celcius"])
def test_X_23_both_spellings_of_celsius_offsets_and_fractions(charger, session, operator, unit):
    moment = charger.clock.now().replace(microsecond=250_000)
    local = (moment + timedelta(hours=2)).replace(tzinfo=None).isoformat(timespec="microseconds") + "+02:00"
    sample = {"value": "41.5", "measurand": "Temperature", "unit": unit}
    payload = {
        "connectorId": 1,
        "transactionId": session.transaction_id,
        "meterValue": [{"timestamp": local, "sampledValue": [sample]}],
    }
    assert says(charger, "MeterValues", payload) == {}
    (stored,) = samples_of(operator, session)
    assert (stored["measurand"], stored["unit"], stored["value"]) == ("Temperature", "Celsius", 41.5)
    assert stored["timestamp"] == stamp(moment)


def test_X_24_a_bare_value_is_the_import_register_in_watt_hours(charger, session, operator):
    assert charger.meters(1, session, samples=[{"value": "1234"}]).answer == {}
    (stored,) = samples_of(operator, session)
    assert (stored["value"], stored["raw"], stored["phase"]) == (1234, "1234", None)
    assert (stored["measurand"], stored["unit"]) == ("Energy.Active.Import.Register", "Wh")
    assert (stored["context"], stored["format"], stored["location"]) == ("Sample.Periodic", "Raw", "Outlet")
    assert operator.transaction(session.transaction_id)["meterLastWh"] == 1234


def test_X_25_a_meter_that_went_back_delivers_no_negative_energy(charger, session, operator):
    assert charger.stops(session, meter=400).answer == {}
    (row,) = operator.history(charger)
    assert (row["status"], row["meterStartWh"], row["meterStopWh"]) == ("Completed", 1000, 400)
    assert row["energyWh"] is None
    assert row["flags"] != []


def test_X_26_tags_compare_whatever_their_case(charger, tags, operator):
    tags.add("abc-X-26", "Blocked")
    assert charger.authorizes("ABC-x-26").status == "Blocked"
    assert charger.starts(1, "aBc-X-26").status == "Blocked"
    assert operator.get("/api/tags/ABC-X-26").json["idTag"] == "abc-X-26"
