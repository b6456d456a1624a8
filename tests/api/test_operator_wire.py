"""An operator over HTTP, a charger over a WebSocket, a real gunicorn between them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from ..support.mariadb import MariaDB
from ..support.processes import wait_until
from ..support.server import PASSWORD, USERNAME, GunicornServer, Response

#: The operator waits 2 s, an answer may take 1 s, and no call of the system's own comes in between.
SERVER_ENVIRON = {
    "OPERATOR_WAIT": "2",
    "CALL_TIMEOUT": "1",
    "CALL_TIMEOUTS_BEFORE_DROP": "50",
    "AUTOMATIC_CALLS": "off",
    "CHARGER_ONBOARDING": "open",
}


class Charger:
    """An OCPP-J charger over `websockets`; `answers` decide what it says to our calls (None: nothing)."""

    _numbers = itertools.count(1)

    def __init__(self, server: GunicornServer) -> None:
        self.identity = f"WIRE-{next(self._numbers)}"
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._ids = itertools.count(1)
        self._replies: dict[str, Any] = {}
        self._arrived = threading.Condition()
        url = f"{server.ocpp_url}/{self.identity}"
        self._life = ExitStack()
        self.socket = self._life.enter_context(connect(url, subprotocols=["ocpp1.6"]))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        boot = self.calls("BootNotification", chargePointVendor="Wire", chargePointModel="W1")
        assert boot["status"] == "Accepted"
        self.calls("StatusNotification", connectorId=1, status="Available", errorCode="NoError")

    def calls(self, action: str, **payload: Any) -> dict[str, Any]:
        message_id = f"m{next(self._ids)}"
        self.socket.send(json.dumps([2, message_id, action, payload]))
        with self._arrived:
            assert self._arrived.wait_for(lambda: message_id in self._replies, timeout=10), action
            return self._replies.pop(message_id)

    def starts(self, id_tag: str) -> int:
        timestamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self.calls(
            "StartTransaction", connectorId=1, idTag=id_tag, meterStart=100, timestamp=timestamp
        )["transactionId"]

    def stops(self, transaction_id: int) -> None:
        timestamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.calls("StopTransaction", transactionId=transaction_id, meterStop=1100, timestamp=timestamp)

    def closes(self) -> None:
        self._life.close()
        self._reader.join(timeout=10)

    def _read(self) -> None:
        try:
            for text in self.socket:
                kind, message_id, *rest = json.loads(text)
                if kind == 2:
                    self._answer(message_id, *rest)
                else:
                    with self._arrived:
                        self._replies[message_id] = rest[0]
                        self._arrived.notify_all()
        except ConnectionClosed:
            pass

    def _answer(self, message_id: str, action: str, payload: dict[str, Any]) -> None:
        self.asked.append((action, payload))
        answer = self.answers.get(action, {"status": "Accepted"})
        if callable(answer):
            answer = answer(payload)
        if answer is not None:
            self.socket.send(json.dumps([3, message_id, answer]))


def afterwards(action: Callable[[], Any]) -> dict[str, str]:
    """Accept, and do this from another thread (the reader's own must go on reading)."""
    threading.Thread(target=action, daemon=True).start()
    return {"status": "Accepted"}


@pytest.fixture
def charger(server: GunicornServer) -> Iterator[Charger]:
    made = Charger(server)
    yield made
    made.closes()


def test_a_session_from_start_to_end(server: GunicornServer, charger: Charger) -> None:
    charger.answers["RemoteStartTransaction"] = lambda p: afterwards(lambda: charger.starts(p["idTag"]))
    charger.answers["RemoteStopTransaction"] = lambda p: afterwards(lambda: charger.stops(p["transactionId"]))
    started = server.post(f"/api/transactions/{charger.identity}/start", {"sessionId": "ABC123"})
    assert (started.status, started.json["message"]) == (201, "Transaction started")
    assert charger.asked[0][1]["connectorId"] == 1
    transaction_id = started.json["transactionId"]
    ended = server.post(f"/api/transactions/{transaction_id}/end")
    assert (ended.status, ended.json["message"]) == (200, "Transaction ended")
    shown = server.get(f"/api/transactions/{transaction_id}").json
    assert (shown["status"], shown["energyWh"], shown["sessionId"]) == ("Completed", 1000, "ABC123")


def test_a_start_that_comes_late_is_202_first(server: GunicornServer, charger: Charger) -> None:
    path = f"/api/transactions/{charger.identity}/start"
    began = time.monotonic()
    answer = server.post(path, {"sessionId": "LATE"})
    assert answer.status == 202, answer.text
    assert 1.5 < time.monotonic() - began < 4
    transaction_id = charger.starts(charger.asked[0][1]["idTag"])
    again = server.post(path, {"sessionId": "LATE"})
    assert (again.status, again.json["transactionId"]) == (200, transaction_id)
    assert len(charger.asked) == 1


def test_one_session_asked_for_many_times_at_once_is_one_start(
    server: GunicornServer, charger: Charger
) -> None:
    charger.answers["RemoteStartTransaction"] = lambda p: afterwards(lambda: charger.starts(p["idTag"]))
    path = f"/api/transactions/{charger.identity}/start"
    server.token()
    together = threading.Barrier(8)

    def start(_: int) -> Response:
        together.wait(10)
        return server.post(path, {"sessionId": "ONCE"})

    with ThreadPoolExecutor(8) as operators:
        answers = list(operators.map(start, range(8)))
    assert {answer.status for answer in answers} <= {200, 201}
    assert len({answer.json["transactionId"] for answer in answers}) == 1
    assert len(charger.asked) == 1


def test_a_refused_start_is_409(server: GunicornServer, charger: Charger) -> None:
    charger.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    answer = server.post(f"/api/transactions/{charger.identity}/start", {"sessionId": "NO"})
    assert (answer.status, answer.json["code"]) == (409, "command-refused")


def test_a_start_without_an_answer_is_504(server: GunicornServer, charger: Charger) -> None:
    charger.answers["RemoteStartTransaction"] = None
    answer = server.post(f"/api/transactions/{charger.identity}/start", {"sessionId": "SILENCE"})
    assert (answer.status, answer.json["code"]) == (504, "outcome-unknown")
    command = server.get(answer.json["command"]["href"]).json
    assert command["state"] == "timed out"


def test_an_offline_charger_is_409(server: GunicornServer, charger: Charger) -> None:
    charger.closes()
    for path, body in (
        (f"/api/transactions/{charger.identity}/start", {"sessionId": "OFFLINE"}),
        (f"/api/chargers/{charger.identity}/commands/ClearCache", {}),
    ):
        answer = server.post(path, body)
        assert (answer.status, answer.json["code"]) == (409, "charger-offline")


def test_a_socket_that_dies_while_it_is_asked_ends_the_wait(server: GunicornServer, charger: Charger) -> None:
    charger.answers["Reset"] = lambda _: charger.socket.socket.close()
    began = time.monotonic()
    answer = server.post(f"/api/chargers/{charger.identity}/commands/Reset", {"type": "Hard"})
    assert answer.status == 504, answer.text
    assert time.monotonic() - began < 2


def test_a_command_and_its_record(server: GunicornServer, charger: Charger) -> None:
    entry = {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
    charger.answers["GetConfiguration"] = {"configurationKey": [entry]}
    answer = server.post(f"/api/chargers/{charger.identity}/commands/GetConfiguration", {})
    assert (answer.status, answer.json["response"]) == (200, {"configurationKey": [entry]})
    listed = server.get(f"/api/chargers/{charger.identity}/commands").json
    assert [row["action"] for row in listed] == ["GetConfiguration"]


def test_chargers_are_served_while_many_operators_wait(server: GunicornServer, charger: Charger) -> None:
    """Forty waits hold no connection of the database, and no place in the server."""
    charger.answers["RemoteStartTransaction"] = None

    def start(number: int) -> int:
        path = f"/api/transactions/{charger.identity}/start"
        return server.post(path, {"sessionId": f"S{number}"}, timeout=60).status

    server.token()
    with ThreadPoolExecutor(40) as operators:
        waiting = [operators.submit(start, number) for number in range(40)]
        wait_until(lambda: charger.asked, seconds=10, what="the first start is on its way")
        began = time.monotonic()
        charger.calls("StatusNotification", connectorId=1, status="Preparing", errorCode="NoError")
        assert server.get("/health/ready").status == 200
        assert time.monotonic() - began < 2
        assert {future.result() for future in waiting} == {504}


def test_chargers_are_answered_while_operators_log_in(server: GunicornServer, charger: Charger) -> None:
    """Hashing runs beside the loop."""
    login = {"username": USERNAME, "password": PASSWORD}
    slowest = 0.0
    with ThreadPoolExecutor(20) as operators:
        logins = [operators.submit(server.post, "/api/auth/login", login, token=None) for _ in range(60)]
        while not all(future.done() for future in logins):
            began = time.monotonic()
            charger.calls("Heartbeat")
            slowest = max(slowest, time.monotonic() - began)
        assert {future.result().status for future in logins} <= {200, 429}
    assert slowest < 1.0


def test_a_disabled_operator_is_shut_out_by_the_command_line(server: GunicornServer) -> None:
    server.flask("user", "create", "leaver", "--password", "a password of theirs")
    answer = server.post(
        "/api/auth/login", {"username": "leaver", "password": "a password of theirs"}, token=None
    )
    token = answer.json["accessToken"]
    assert server.get("/api/chargers", token=token).status == 200
    server.flask("user", "disable", "leaver")
    assert server.get("/api/chargers", token=token).status == 401


def test_a_charger_is_approved_by_the_command_line(server: GunicornServer) -> None:
    created = server.post("/api/chargers", {"chargerId": "AHEAD", "approved": False})
    assert created.json["approved"] is False
    server.flask("charger", "approve", "AHEAD")
    assert server.get("/api/chargers/AHEAD").json["approved"] is True


def test_a_password_set_over_rest_ends_the_socket_and_guards_the_next(
    server: GunicornServer, charger: Charger
) -> None:
    server.patch(f"/api/chargers/{charger.identity}", {"password": "sixteen bytes or more"})
    shown = lambda: server.get(f"/api/chargers/{charger.identity}").json  # noqa: E731
    wait_until(lambda: not shown()["connected"], seconds=5, what="the socket has been closed")
    assert "1008" in shown()["disconnectedReason"]
    url = f"{server.ocpp_url}/{charger.identity}"
    with pytest.raises(InvalidStatus, match="401"), connect(url, subprotocols=["ocpp1.6"]):
        pass


@pytest.mark.mariadb
def test_a_database_that_dies_is_503_and_comes_back(mariadb: MariaDB) -> None:
    with GunicornServer(mariadb.create_database(), {"DATABASE_TIMEOUT": "3"}) as server:
        server.token()
        mariadb.kill()
        assert server.get("/health/live").status == 200
        assert server.get("/health/ready").status == 503
        for answer in (
            server.get("/api/chargers"),
            server.post("/api/auth/login", {"username": USERNAME, "password": PASSWORD}, token=None),
            server.post("/api/transactions/1/start", {"sessionId": "a"}),
        ):
            assert (answer.status, answer.json["code"]) == (503, "database-away"), answer.text
            assert int(answer.headers["retry-after"]) > 0
        mariadb.start()
        server.wait_until_ready()
        assert server.get("/api/chargers").json == []
