"""Two directions on one socket: X-10 to X-13."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from charger_mgmt.ocppj.frames import CallResult
from tests.support.processes import wait_until

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0", "CALL_TIMEOUT": "1.5"}


@pytest.fixture
def meanwhile() -> Iterator[ThreadPoolExecutor]:
    """Lets operators wait for the charger while the test goes on."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def hears(charger, action):
    wait_until(lambda: action in charger.actions(), seconds=10, what=f"the charger hears {action}")


def test_X_10_a_call_of_the_charger_is_answered_while_ours_is_open(charger, operator, meanwhile):
    charger.answers_late("GetConfiguration", after=0.7)
    waiting = meanwhile.submit(operator.commands, charger, "GetConfiguration")
    hears(charger, "GetConfiguration")
    assert charger.heartbeats()["currentTime"]
    assert charger.reports(1, "Preparing").answer == {}
    assert not waiting.done()
    assert waiting.result(10).json["state"] == "accepted"
    over_the_line = [entry for entry in charger.log if entry[2] in ("Heartbeat", "GetConfiguration")]
    assert over_the_line == [
        ("central", "call", "GetConfiguration"),
        ("charger", "call", "Heartbeat"),
        ("central", "answer", "Heartbeat"),
        ("charger", "answer", "GetConfiguration"),
    ]


def test_X_11_the_second_command_waits_for_the_answer_to_the_first(charger, operator, meanwhile):
    charger.answers_late("GetConfiguration", after=0.7)
    first = meanwhile.submit(operator.commands, charger, "GetConfiguration")
    hears(charger, "GetConfiguration")
    second = meanwhile.submit(operator.commands, charger, "ClearCache")
    queued = f"/api/chargers/{charger.identity}/commands"
    wait_until(
        lambda: [one["action"] for one in operator.get(queued, state="queued").json] == ["ClearCache"],
        seconds=0.6,
        what="the second command is queued",
    )
    assert [answer.result(10).json["state"] for answer in (first, second)] == ["accepted", "accepted"]
    assert [entry for entry in charger.log if entry[2] in ("ClearCache", "GetConfiguration")] == [
        ("central", "call", "GetConfiguration"),
        ("charger", "answer", "GetConfiguration"),
        ("central", "call", "ClearCache"),
        ("charger", "answer", "ClearCache"),
    ]


def test_X_11_the_second_command_goes_out_when_the_first_has_timed_out(charger, operator, meanwhile):
    charger.ignores("GetConfiguration")
    first = meanwhile.submit(operator.commands, charger, "GetConfiguration")
    hears(charger, "GetConfiguration")
    second = operator.commands(charger, "ClearCache")
    assert first.done() or first.result(1)
    assert first.result().json["code"] == "outcome-unknown"
    assert second.json["state"] == "accepted"


def test_X_12_no_answer_is_a_timeout_and_the_next_call_goes_out(charger, operator):
    charger.ignores("ClearCache")
    answer = operator.commands(charger, "ClearCache")
    assert (answer.status, answer.json["code"]) == (504, "outcome-unknown")
    number = answer.json["command"]["commandId"]
    assert operator.command(charger, number)["state"] == "timed out"
    assert operator.commands(charger, "GetConfiguration").json["state"] == "accepted"


def test_X_12_a_late_answer_is_never_taken_for_the_next_calls(charger, operator, meanwhile):
    charger.ignores("ClearCache")
    number = operator.commands(charger, "ClearCache").json["command"]["commandId"]
    charger.answers_late("UnlockConnector", after=0.7)
    waiting = meanwhile.submit(operator.commands, charger, "UnlockConnector", connectorId=1)
    hears(charger, "UnlockConnector")
    charger.replies(CallResult(charger.calls[0].id, {"status": "Rejected"}))
    assert waiting.result(10).json["response"] == {"status": "Unlocked"}
    late = wait_until(
        lambda: (found := operator.command(charger, number))["state"] == "late answer" and found,
        seconds=5,
        what="the late answer is recorded where it belongs",
    )
    assert late["response"] == {"status": "Rejected"}
    assert charger.heartbeats()["currentTime"]


def test_X_13_an_error_is_shown_to_the_operator_and_the_queue_goes_on(charger, operator, meanwhile):
    charger.errs("Reset", "NotSupported", "there is no such button")
    charger.answers_late("Reset", after=0.3)
    first = meanwhile.submit(operator.commands, charger, "Reset", type="Soft")
    hears(charger, "Reset")
    second = operator.commands(charger, "ClearCache")
    shown = first.result(10)
    assert (shown.status, shown.json["state"], shown.json["response"]) == (200, "error", None)
    assert (shown.json["errorCode"], shown.json["errorDescription"]) == (
        "NotSupported",
        "there is no such button",
    )
    assert second.json["state"] == "accepted"
