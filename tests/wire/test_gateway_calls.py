"""Calls in both directions on one socket, over a real server."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.processes import wait_until

from .raw import booted, dialed

SERVER_ENVIRON = {
    "CALL_TIMEOUT": "1",
    "OPERATOR_WAIT": "5",
    "FOLLOW_UP_DELAY": "0.1",
    "CHARGER_ONBOARDING": "approve",
}


@pytest.fixture(scope="module")
def operator():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(scope="module", autouse=True)
def known(server: Any) -> None:
    for identity in ("X10", "X11", "X12", "X13", "GONE", "SETUP"):
        body = {"chargerId": identity, "automaticCalls": identity == "SETUP"}
        assert server.post("/api/chargers", body).status == 201


def command(
    pool: ThreadPoolExecutor, server: Any, identity: str, action: str = "ClearCache", **payload: Any
) -> Future:
    return pool.submit(server.post, f"/api/chargers/{identity}/commands/{action}", payload)


def test_X_10_crossing_calls_are_both_answered(server, operator) -> None:
    with booted(server, "X10") as charger:
        asked = command(operator, server, "X10")
        call = charger.hears_json()
        assert (call[0], call[2]) == (2, "ClearCache")
        assert charger.calls("Heartbeat")[0] == 3
        assert charger.calls("Authorize", {"idTag": "A"})[0] == 3
        charger.says(json.dumps([3, call[1], {"status": "Accepted"}]))
        assert asked.result(timeout=10).json["state"] == "accepted"


def test_X_11_one_call_at_a_time_goes_to_the_charger(server, operator) -> None:
    with booted(server, "X11") as charger:
        asked = [command(operator, server, "X11") for _ in range(2)]
        first = charger.hears_json()
        # An answer to a call of the charger proves that nothing else was on its way before it.
        assert charger.calls("Heartbeat", message_id="probe")[1] == "probe"
        charger.says(json.dumps([3, first[1], {"status": "Accepted"}]))
        second = charger.hears_json()
        assert second[1] != first[1]
        charger.says(json.dumps([3, second[1], {"status": "Rejected"}]))
        assert {one.result(timeout=10).json["state"] for one in asked} == {"accepted", "rejected"}


def test_X_12_an_unanswered_call_times_out_and_its_late_answer_is_kept_apart(server, operator) -> None:
    with booted(server, "X12") as charger:
        asked = command(operator, server, "X12")
        first = charger.hears_json()
        assert asked.result(timeout=10).status == 504
        asked = command(operator, server, "X12")
        second = charger.hears_json()
        charger.says(json.dumps([3, first[1], {"status": "Rejected"}]))
        charger.says(json.dumps([3, second[1], {"status": "Accepted"}]))
        assert asked.result(timeout=10).json["state"] == "accepted"

        def late() -> bool:
            rows = server.get("/api/chargers/X12/commands").json
            return [row["state"] for row in rows] == ["accepted", "late answer"]

        wait_until(late, seconds=5, what="the late answer is recorded")


def test_X_13_a_callerror_reaches_the_operator_and_the_queue_goes_on(server, operator) -> None:
    with booted(server, "X13") as charger:
        asked = command(operator, server, "X13")
        call = charger.hears_json()
        charger.says(json.dumps([4, call[1], "NotSupported", "no such thing", {}]))
        row = asked.result(timeout=10).json
        assert (row["state"], row["errorCode"]) == ("error", "NotSupported")
        asked = command(operator, server, "X13")
        call = charger.hears_json()
        charger.says(json.dumps([3, call[1], {"status": "Accepted"}]))
        assert asked.result(timeout=10).json["state"] == "accepted"


def test_a_command_knows_at_once_when_the_socket_dies(server, operator) -> None:
    with booted(server, "GONE") as charger:
        asked = command(operator, server, "GONE")
        charger.hears_json()
    answer = asked.result(timeout=0.9)  # well before the call's time-out
    assert answer.status >= 400
    rows = server.get("/api/chargers/GONE/commands").json
    assert rows[0]["state"] == "charger gone"


def test_three_unanswered_calls_in_a_row_drop_the_socket(server, operator) -> None:
    with booted(server, "X12") as charger:
        for _ in range(3):
            asked = command(operator, server, "X12")
            charger.hears_json()
            assert asked.result(timeout=10).status == 504
        with pytest.raises(EOFError):
            charger.hears()


def test_the_set_up_follows_the_boot_answer(server) -> None:
    with booted(server, "SETUP") as charger:
        call = charger.hears_json()
        assert (call[0], call[2]) == (2, "ChangeConfiguration")


def test_X_15_a_pending_charger_may_send_what_was_triggered(server, operator) -> None:
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    with dialed(server, "PENDING") as charger:
        assert charger.boots()["status"] == "Pending"
        assert charger.calls("StatusNotification", status)[2] == "SecurityError"
        asked = command(operator, server, "PENDING", "TriggerMessage", requestedMessage="StatusNotification")
        call = charger.hears_json()
        charger.says(json.dumps([3, call[1], {"status": "Accepted"}]))
        assert charger.calls("StatusNotification", status)[0] == 3
        assert charger.calls("Heartbeat")[2] == "SecurityError"
        assert asked.result(timeout=10).json["state"] == "accepted"
