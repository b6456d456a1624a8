"""What the user asked for, to the letter: the REST rows and the flat messages of his tables.

Keys and values are as he wrote them; an answer may carry more keys, so each is compared on the keys given.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import pytest

import config
from charger_mgmt.simulate.transport import stamp
from tests.support.processes import wait_until
from tests.support.server import ROOT

SERVER_ENVIRON = {
    "AUTOMATIC_CALLS": "off",
    "FOLLOW_UP_DELAY": "0",
    "OPERATOR_WAIT": "1.5",
    "CALL_TIMEOUT": "1",
}


def said(answer, expected):
    """The part of an answer that the user's table shows."""
    return {name: answer[name] for name in expected}


def boot(number):
    return {
        "messageType": "BootNotification",
        "chargerId": number,
        "model": "EVChargerX",
        "vendor": "ChargerCo",
    }


def start(number, name="TXN-456", at="2025-03-30T12:10:00Z"):
    return {"messageType": "StartTransaction", "chargerId": number, "transactionId": name, "timestamp": at}


def is_now(text):
    """In the user's form, YYYY-MM-DDTHH:MM:SSZ, and the present moment."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return abs(datetime.now(UTC) - moment) < timedelta(seconds=5)


# Defaults


def test_port_8080_is_the_default(tmp_path):
    assert config.load({"DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}"}).port == 8080


def test_gunicorn_listens_on_8080_unless_told_otherwise(server):
    environ = {name: value for name, value in server.environ.items() if name not in ("PORT", "HOST")}
    printed = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--print-config", "wsgi:app"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    (bind,) = [line for line in printed.splitlines() if line.startswith("bind ")]
    assert ":8080" in bind


def test_five_minutes_are_the_default(tmp_path):
    settings = config.load({"DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}"})
    assert (settings.heartbeat_interval, settings.heartbeat_timeout) == (300, 330)


# The flat messages


def test_boot_notification_row(wire_flat_charger):
    answer = wire_flat_charger(1).sends(boot(1))
    expected = {"status": "Accepted", "interval": 300}
    assert said(answer, expected) == expected
    assert is_now(answer["currentTime"])


def test_heartbeat_row(wire_flat_charger):
    charger = wire_flat_charger(1)
    charger.sends(boot(1))
    answer = charger.sends({"messageType": "Heartbeat", "chargerId": 1})
    assert is_now(answer["currentTime"])


def test_start_transaction_row(wire_flat_charger, operator):
    charger = wire_flat_charger(3)
    charger.sends(boot(3))
    expected = {"transactionId": "TXN-456", "status": "Accepted"}
    assert said(charger.sends(start(3)), expected) == expected
    (row,) = operator.history(3)
    assert (row["sessionId"], row["status"]) == ("TXN-456", "In Progress")
    assert type(row["transactionId"]) is int


def test_status_notification_and_stop_transaction_in_the_same_style(wire_flat_charger, operator):
    charger = wire_flat_charger(4)
    charger.sends(boot(4))
    report = {"messageType": "StatusNotification", "chargerId": 4, "status": "Faulted"}
    assert charger.sends(report)["status"] == "Accepted"
    assert operator.sees(4)["status"] == "Faulted"
    charger.sends(report | {"status": "Available"})
    charger.sends(start(4))
    stop = start(4, at="2025-03-30T12:40:00Z") | {"messageType": "StopTransaction"}
    expected = {"transactionId": "TXN-456", "status": "Accepted"}
    assert said(charger.sends(stop), expected) == expected
    (row,) = operator.history(4)
    assert (row["sessionId"], row["status"]) == ("TXN-456", "Completed")
    assert operator.sees(4)["status"] == "Available"


# The REST rows


def test_list_of_chargers_row(wire_flat_charger, operator):
    charger = wire_flat_charger(1)
    charger.sends(boot(1))
    charger.sends(boot(2))
    charger.sends(start(2, name=f"TXN-{uuid.uuid4()}"))
    expected = [{"chargerId": 1, "status": "Available"}, {"chargerId": 2, "status": "Charging"}]
    answer = operator.get("/api/chargers")
    assert answer.status == 200
    shown = [row for row in answer.json if row["chargerId"] in (1, 2)]
    assert [said(row, expected[0]) for row in shown] == expected


def test_one_charger_row(wire_flat_charger, operator):
    wire_flat_charger(1).sends(boot(1))
    expected = {"chargerId": 1, "status": "Available"}
    assert said(operator.get("/api/chargers/1").json, expected) == expected


def test_start_end_and_history_rows(wire_flat_charger, operator):
    wire_flat_charger(5).sends(boot(5))
    started = operator.post("/api/transactions/5/start", {"sessionId": "ABC123"})
    assert (started.status, started.json["message"]) == (201, "Transaction started")
    first = started.json["transactionId"]
    ended = operator.post(f"/api/transactions/{first}/end")
    assert (ended.status, ended.json["message"]) == (200, "Transaction ended")
    second = operator.post("/api/transactions/5/start", {"sessionId": "ABC124"}).json["transactionId"]
    rows = operator.get("/api/transactions/charger/5").json
    keys = ("transactionId", "chargerId", "status")
    assert sorted((said(row, keys) for row in rows), key=lambda row: row["transactionId"]) == [
        {"transactionId": first, "chargerId": 5, "status": "Completed"},
        {"transactionId": second, "chargerId": 5, "status": "In Progress"},
    ]
    assert [row["transactionId"] for row in rows] == [second, first]  # newest start first


def test_on_a_flat_charger_the_operators_word_is_recorded_at_once(wire_flat_charger, operator):
    charger = wire_flat_charger(6)
    charger.sends(boot(6))
    started = operator.starts(6, "ABC-6")
    assert operator.sees(6)["status"] == "Charging"
    again = operator.starts(6, "ABC-6")
    assert (again.json["message"], again.json["transactionId"]) == (
        "Transaction started",
        started.json["transactionId"],
    )
    assert operator.starts(6, "ABC-7").status == 409  # it is in use
    assert operator.ends("ABC-6").json["message"] == "Transaction ended"
    assert operator.sees(6)["status"] == "Available"
    charger.sends({"messageType": "StatusNotification", "chargerId": 6, "status": "Faulted"})
    assert operator.starts(6, "ABC-8").status == 409
    assert [row["status"] for row in operator.history(6)] == ["Completed"]


def test_the_charger_may_name_its_session_and_the_operator_end_it(wire_flat_charger, operator):
    name = f"TXN-{uuid.uuid4()}"
    charger = wire_flat_charger(8)
    charger.sends(boot(8))
    charger.sends(start(8, name))
    assert operator.ends(name).status == 200
    stop = start(8, name) | {"messageType": "StopTransaction"}
    assert charger.sends(stop) == {"transactionId": name, "status": "Accepted"}
    assert [row["status"] for row in operator.history(8)] == ["Completed"]


def test_without_a_token_nothing_is_shown(server):
    for method, path in (
        ("GET", "/api/chargers"),
        ("GET", "/api/chargers/1"),
        ("POST", "/api/transactions/1/start"),
        ("POST", "/api/transactions/1/end"),
        ("GET", "/api/transactions/charger/1"),
    ):
        assert server.request(method, path, token=None).status == 401


# One name for a charger


def test_flat_charger_and_ocpp_j_charger_of_one_number_are_one(wire_flat_charger, wire_charger, operator):
    flat = wire_flat_charger(41)
    flat.sends(boot(41))
    flat.sends(start(41))
    flat.hangs_up()
    charger = wire_charger("41")
    charger.starts_up()
    assert [row["identity"] for row in operator.sees_all(q="41") if row["chargerId"] == 41] == ["41"]
    assert [row["sessionId"] for row in operator.history(41)] == ["TXN-456"]
    # A charger that speaks OCPP-J is spoken for by nobody else.
    assert wire_flat_charger(41).sends(boot(41))["error"]["code"] == "SecurityError"


def test_an_identity_that_is_no_number_is_a_string(wire_charger, operator):
    wire_charger("CP001").starts_up()
    expected = {"chargerId": "CP001", "status": "Available"}
    assert said(operator.sees("CP001"), expected) == expected
    wire_charger("007").starts_up()
    assert operator.sees("007")["chargerId"] == "007"
    assert operator.get("/api/chargers/7").status == 404


# An operator is told the truth


def test_a_start_that_the_charger_has_accepted_but_not_begun_is_202(charger, operator):
    charger.answers("RemoteStartTransaction", {"status": "Accepted"})
    answer = operator.starts(charger, "S1")
    assert (answer.status, answer.json["message"]) == (202, "Start accepted by the charger")
    assert operator.history(charger) == []
    tag = charger.calls[0].payload["idTag"]
    assert len(tag) <= 16
    session = charger.starts(1, tag)
    repeated = operator.starts(charger, "S1")
    assert (repeated.status, repeated.json["transactionId"]) == (200, session.transaction_id)
    assert charger.actions() == ["RemoteStartTransaction"]


def test_a_start_on_an_offline_charger_is_409(charger, operator):
    charger.hangs_up()
    answer = wait_until(
        lambda: (got := operator.starts(charger)).status == 409 and got, seconds=5, what="it is offline"
    )
    assert answer.json["code"] == "charger-offline"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_start_that_is_not_answered_is_504_with_a_link_to_the_command(charger, operator):
    charger.ignores("RemoteStartTransaction")
    answer = operator.starts(charger)
    assert (answer.status, answer.json["code"]) == (504, "outcome-unknown")
    assert operator.get(answer.json["command"]["href"]).json["action"] == "RemoteStartTransaction"
    assert answer.json["command"]["href"] in answer.headers["link"]


def test_an_end_takes_a_session_id_and_is_409_when_several_fit(charger, other_charger, operator):
    name = f"S-{uuid.uuid4()}"
    for one in (charger, other_charger):
        assert operator.starts(one, name).status == 201
    assert operator.ends(name).status == 409
    (row,) = operator.history(charger)
    assert operator.ends(row["transactionId"]).status == 200
    assert operator.ends(name).status == 200
    assert charger.rests()
    assert other_charger.rests()
    for one in (charger, other_charger):
        assert [row["status"] for row in operator.history(one)] == ["Completed"]


def test_a_one_use_tag_is_good_for_its_start_only(charger, operator):
    assert operator.starts(charger, "S1").status == 201
    assert charger.rests()
    tag = charger.sessions[1].tag
    charger.stops(charger.sessions[1])
    assert charger.starts(1, tag).status == "Invalid"


# The history


@pytest.fixture
def noon():
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)


@pytest.fixture
def hour(charger, noon):
    """A session from 12:00 to 13:00."""
    session = charger.starts(1, "CARD-9", meter=0, at=noon)
    charger.stops(session, meter=1000, at=noon + timedelta(hours=1))
    return session


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (None, None, True),
        (0, 60, True),
        (-60, 0, False),  # ends where the session begins: [from, to) does not hold it
        (-60, 1, True),
        (60, 120, False),  # begins where the session ends
        (59, 120, True),
        (20, 30, True),  # inside the session
        (-60, 120, True),
        (None, 0, False),
        (60, None, False),
        (0, None, True),
    ],
)
def test_history_shows_the_sessions_that_overlap(charger, hour, noon, operator, since, until, found):
    query = {
        name: stamp(noon + timedelta(minutes=minutes))
        for name, minutes in (("from", since), ("to", until))
        if minutes is not None
    }
    expected = [hour.transaction_id] if found else []
    assert [row["transactionId"] for row in operator.history(charger, **query)] == expected
    everywhere = operator.get("/api/transactions", chargerId=charger.identity, **query).json
    assert [row["transactionId"] for row in everywhere] == expected


def test_an_open_session_overlaps_everything_after_its_start(charger, session, operator):
    tomorrow = charger.clock.now() + timedelta(days=1)
    assert len(operator.history(charger, **{"from": stamp(tomorrow)})) == 1
    assert operator.history(charger, to=stamp(tomorrow - timedelta(days=2))) == []


def test_history_is_newest_start_first_whatever_came_first(charger, operator, noon):
    late = charger.starts(1, "CARD-9", at=noon + timedelta(hours=5))
    charger.stops(late, at=noon + timedelta(hours=6))
    early = charger.starts(1, "CARD-9", at=noon)
    charger.stops(early, at=noon + timedelta(hours=1))
    assert [row["transactionId"] for row in operator.history(charger)] == [
        late.transaction_id,
        early.transaction_id,
    ]


def test_an_implausible_start_counts_from_its_receipt(charger, operator):
    session = charger.starts(1, "CARD-9", at=datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    (row,) = operator.history(charger, **{"from": stamp(charger.clock.now() - timedelta(minutes=5))})
    assert row["transactionId"] == session.transaction_id
    assert row["chargerStartTime"].startswith("1970-01-01T00:01:00")
    assert row["startTime"] == row["receivedStartTime"]


# Interrupted


def test_a_newer_session_interrupts_the_one_whose_stop_never_came(charger, session, operator):
    charger.meters(1, session, 1600)
    charger.starts(1, "CARD-9", meter=1600)
    newer, older = operator.history(charger)
    assert (newer["status"], older["status"]) == ("In Progress", "Interrupted")
    assert (older["energyWh"], older["endTime"]) == (600, older["meterLastAt"])


def test_interrupted_turns_completed_when_the_stop_arrives_after_all(charger, session, operator):
    charger.starts(1, "CARD-9", meter=1600)
    charger.stops(session, meter=1900)
    statuses = {row["transactionId"]: row for row in operator.history(charger)}
    row = statuses.pop(session.transaction_id)
    assert (row["status"], row["energyWh"]) == ("Completed", 900)
    assert [other["status"] for other in statuses.values()] == ["In Progress"]


def test_an_operator_gives_up_a_session_and_it_is_interrupted(charger, session, operator):
    charger.goes_offline()
    assert operator.post(f"/api/transactions/{session.transaction_id}/end", {"force": True}).status == 200
    assert [row["status"] for row in operator.history(charger)] == ["Interrupted"]
    charger.comes_back()
    charger.stops(session, meter=5000)
    assert [(row["status"], row["energyWh"]) for row in operator.history(charger)] == [("Completed", 4000)]


def test_nothing_but_the_stop_makes_a_session_completed(charger, session, operator):
    charger.refuses("RemoteStopTransaction")
    assert operator.ends(session.transaction_id).status == 409
    charger.boots()
    charger.reports(1, "Available")
    charger.answers("RemoteStopTransaction", {"status": "Accepted"})
    answer = operator.ends(session.transaction_id)
    assert (answer.status, answer.json["message"]) == (202, "Stop accepted by the charger")
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]
