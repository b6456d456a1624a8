"""Frames that break a rule hurt nobody: X-05 to X-09, X-30, X-31."""

from __future__ import annotations

from datetime import datetime

import pytest

from charger_mgmt.ocppj.frames import CallError, CallResult
from tests.support.processes import wait_until

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


def error(charger, action, payload):
    """The code of the CALLERROR that answers this call."""
    answer = charger.sends(action, payload)
    assert isinstance(answer, CallError), answer
    return answer.code


def test_X_05_an_unknown_action_is_not_implemented(charger):
    assert error(charger, "Foo", {}) == "NotImplemented"
    assert error(charger, "heartbeat", {}) == "NotImplemented"


@pytest.mark.parametrize("action", ["Reset", "RemoteStartTransaction", "TriggerMessage"])
def test_X_05_an_action_of_the_other_direction_is_not_supported(charger, action):
    assert error(charger, action, {}) == "NotSupported"


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("StatusNotification", {"connectorId": 1, "status": "Available"}, "OccurenceConstraintViolation"),
        ("Authorize", {}, "OccurenceConstraintViolation"),
        ("StatusNotification", STATUS | {"connectorId": "1"}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": 7}, "TypeConstraintViolation"),
        ("StatusNotification", STATUS | {"status": "Occupied"}, "PropertyConstraintViolation"),
        ("StatusNotification", STATUS | {"connectorId": -1}, "PropertyConstraintViolation"),
        ("Authorize", {"idTag": "X" * 21}, "PropertyConstraintViolation"),
        ("DataTransfer", {"vendorId": "V" * 256}, "PropertyConstraintViolation"),
        ("StatusNotification", STATUS | {"colour": "red"}, "FormationViolation"),
        ("Heartbeat", {"colour": "red"}, "FormationViolation"),
        ("Authorize", ["CARD-9"], "FormationViolation"),
    ],
)
def test_X_06_each_fault_has_its_code(charger, operator, action, payload, code):
    assert operator.patch(f"/api/chargers/{charger.identity}", {"strict": True}).status == 200
    assert error(charger, action, payload) == code
    assert charger.heartbeats()["currentTime"]


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "{}",
        "[]",
        "",
        "pong",
        '[9,"a"]',
        "[2]",
        "[2,null]",
        "42",
        "[[[[",
        "\\",
    ],
)
def test_X_07_what_is_no_call_is_survived_without_an_answer(charger, text):
    assert charger.sends_text(text) is None
    assert charger.heartbeats()["currentTime"]
    assert (charger.online, charger.connections) == (True, 1)


@pytest.mark.parametrize(
    "text",
    ['[2,"id-1"]', '[2,"id-2","Heartbeat"]', '[2,"id-3","Heartbeat",{},{}]', '[2,"id-4","Heartbeat",{'],
)
def test_X_07_a_broken_call_with_a_readable_id_is_answered(charger, text):
    answer = charger.sends_text(text)
    assert isinstance(answer, CallError | CallResult)
    assert answer.id == text[4:8]
    assert charger.heartbeats()["currentTime"]


def test_X_07_an_answer_to_nothing_is_ignored(charger):
    assert charger.sends_text('[3,"nobody-asked",{"status":"Accepted"}]') is None
    assert charger.sends_text('[4,"nobody-asked","InternalError","",{}]') is None
    assert charger.heartbeats()["currentTime"]


def test_X_08_a_null_payload_is_an_empty_one(charger):
    answer = charger.sends("Heartbeat", None)
    assert isinstance(answer, CallResult)
    assert set(answer.payload) == {"currentTime"}


@pytest.mark.parametrize("message_id", ["a" * 36, "b" * 37, "c" * 200, "Ünïcode-{}[]\"'"])
def test_X_09_a_message_id_comes_back_as_it_was(charger, message_id):
    charger.message_ids = lambda: message_id
    assert charger.heartbeats()["currentTime"]


def test_X_09_a_message_id_that_is_a_number_comes_back_as_a_number(charger):
    answer = charger.sends_text('[2,4711,"Heartbeat",{}]')
    assert isinstance(answer, CallResult)
    assert answer.id == 4711


def test_X_30_the_time_has_its_zone_and_is_now(charger):
    for message in (charger.boots, charger.heartbeats):
        before = charger.clock.now()
        text = message()["currentTime"]
        assert text.endswith("Z")
        moment = datetime.fromisoformat(text)
        assert before.replace(microsecond=0) <= moment <= charger.clock.now()


def test_X_31_a_newer_socket_takes_over_and_the_old_close_changes_nothing(wire_charger, operator, identity):
    old, new = wire_charger(identity), wire_charger(identity)
    old.starts_up()
    assert new.heartbeats()["currentTime"]
    wait_until(lambda: not old.online, seconds=5, what="the old socket is closed")
    wait_until(
        lambda: (
            "Disconnected" in [one["kind"] for one in operator.get(f"/api/chargers/{identity}/events").json]
        ),
        seconds=5,
        what="the old socket's end is noted",
    )
    seen = operator.sees(identity)
    assert (seen["connected"], seen["status"]) == (True, "Available")
    answer = operator.commands(new, "ClearCache")
    assert answer.json["response"] == {"status": "Accepted"}
    assert (old.actions(), new.actions()) == ([], ["ClearCache"])
