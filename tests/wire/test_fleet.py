"""Two servers on one database, with a Redis between them: whoever dies, and whoever is asked, the truth is told."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.faults.proxy import Proxy
from tests.support.mariadb import MariaDB
from tests.support.processes import wait_until
from tests.support.redis import Redis
from tests.support.server import GunicornServer

from .raw import CLOSE, RawCharger, asked, booted, dialed

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]

LEASE = 6
SETTINGS = {"AUTOMATIC_CALLS": "off", "LEASE_SECONDS": str(LEASE), "CALL_TIMEOUT": "3", "OPERATOR_WAIT": "4"}
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-26T10:00:00Z"}


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as running:
        yield running


@pytest.fixture(scope="module")
def url(mariadb: MariaDB) -> str:
    return mariadb.create_database()


@pytest.fixture(scope="module")
def one(url: str, redis: Redis) -> Iterator[GunicornServer]:
    with GunicornServer(url, SETTINGS | {"REDIS_URL": redis.url}) as running:
        yield running
        assert running.alarms() == []


@pytest.fixture(scope="module")
def two(url: str, redis: Redis, one: GunicornServer) -> Iterator[GunicornServer]:
    with beside(one) as running:
        yield running
        assert running.alarms() == []


@contextmanager
def beside(server: GunicornServer, **settings: str) -> Iterator[GunicornServer]:
    """Another server on the same database and bus."""
    environ = {name: server.environ[name] for name in (*SETTINGS, "REDIS_URL")}
    other = GunicornServer(server.environ["DATABASE_URL"], environ | settings)
    try:
        other.start()
        yield other
        if other.is_running:
            other.terminate()
    finally:
        other.remove()


def shown(server: GunicornServer, identity: str) -> dict[str, Any]:
    return server.get(f"/api/chargers/{identity}").json


def lives(server: GunicornServer, pid: int) -> bool:
    """Whether the process with this pid has a lease, by what this server says."""
    return pid in [process["pid"] for process in server.get("/api/processes").json]


@contextmanager
def answering(charger: RawCharger, answers: dict[str, Any]) -> Iterator[list[tuple[str, Any]]]:
    """The charger answers calls, in a thread; what it was asked."""
    asked: list[tuple[str, Any]] = []
    over = threading.Event()
    charger.socket.settimeout(0.1)

    def answers_all() -> None:
        while not over.is_set():
            try:
                got = charger.hears()
            except (TimeoutError, OSError):
                continue
            except EOFError:
                return
            if got.opcode != 1:
                continue
            said = json.loads(got.payload)
            if said[0] == 2:
                asked.append((said[2], said[3]))
                charger.says(json.dumps([3, said[1], answers.get(said[2], {})]))

    thread = threading.Thread(target=answers_all, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join()
        charger.socket.settimeout(10)


def test_a_second_server_leaves_the_first_ones_chargers_alone(one: GunicornServer) -> None:
    with booted(one, "STAYS") as charger:
        before = shown(one, "STAYS")
        with beside(one) as second:
            assert shown(second, "STAYS")["connected"]
            pid = second.worker_pid
            assert lives(one, pid)
            assert lives(second, one.worker_pid)
            charger.calls("Heartbeat", {})
        assert shown(one, "STAYS")["connectedSince"] == before["connectedSince"]
        assert not lives(one, pid)
        assert shown(one, "STAYS")["connected"]


def test_a_command_finds_its_charger_wherever_it_is(one: GunicornServer, two: GunicornServer) -> None:
    answers = {"GetConfiguration": {"configurationKey": []}, "ChangeConfiguration": {"status": "Accepted"}}
    with booted(two, "THERE") as charger, answering(charger, answers) as asked:
        sent = one.post("/api/chargers/THERE/commands/GetConfiguration", {})
        assert (sent.status, sent.json["state"]) == (200, "accepted")
        # One that is too large to be kept on the bus.
        whole = [{"key": f"Key{number}", "readonly": False, "value": "x" * 400} for number in range(60)]
        answers["GetConfiguration"] = {"configurationKey": whole}
        sent = one.post("/api/chargers/THERE/commands/GetConfiguration", {})
        assert (sent.status, len(sent.json["response"]["configurationKey"])) == (200, 60)
        # A secret travels, and stands nowhere.
        key = {"key": "AuthorizationKey", "value": "0123456789abcdef0123"}
        sent = one.post("/api/chargers/THERE/commands/ChangeConfiguration", key)
        assert (sent.status, sent.json["state"]) == (200, "accepted")
        assert sent.json["payload"]["value"] == "***"
        assert asked == [("GetConfiguration", {}), ("GetConfiguration", {}), ("ChangeConfiguration", key)]


def test_a_start_and_an_end_from_elsewhere(one: GunicornServer, two: GunicornServer) -> None:
    with booted(two, "SOLD") as charger, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            one.post,
            "/api/transactions/SOLD/start",
            {"sessionId": "S-1", "connectorId": 1, "idTag": "TAG"},
        )
        call = charger.hears_json()
        assert call[2] == "RemoteStartTransaction"
        charger.says(json.dumps([3, call[1], {"status": "Accepted"}]))
        session = charger.calls("StartTransaction", START | {"idTag": call[3]["idTag"]})[2]["transactionId"]
        answer = asked.result(timeout=10)
        assert (answer.status, answer.json["transactionId"]) == (201, session)
        asked = pool.submit(one.post, f"/api/transactions/{session}/end")
        call = charger.hears_json()
        assert call[2] == "RemoteStopTransaction"
        charger.says(json.dumps([3, call[1], {"status": "Accepted"}]))
        stop = {"transactionId": session, "meterStop": 5, "timestamp": "2026-11-26T10:10:00Z"}
        charger.calls("StopTransaction", stop)
        assert asked.result(timeout=10).status == 200


def test_the_newest_socket_wins_wherever_it_is(one: GunicornServer, two: GunicornServer) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(booted(one, "MOVES"))]
        for server in (two, one, two, two, one):
            sockets.append(stack.enter_context(booted(server, "MOVES")))
            began = time.monotonic()
            assert sockets[-2].hears_close() == 1012
            assert time.monotonic() - began < 1
        assert shown(one, "MOVES")["connected"]
        assert shown(two, "MOVES")["connected"]
        sockets[-1].calls("Heartbeat", {})
    wait_until(lambda: not shown(two, "MOVES")["connected"], seconds=5, what="the last one has gone")


def test_two_sockets_of_one_charger_replay_the_same_sessions_on_two_servers(
    one: GunicornServer, two: GunicornServer
) -> None:
    """Its queue comes twice at the same time: each start has one transaction, whoever stores it."""
    starts = [START | {"meterStart": number, "idTag": f"TAG{number}"} for number in range(15)]
    given: list[dict[int, int]] = [{}, {}]

    def replays(number: int, server: GunicornServer) -> None:
        left = dict(enumerate(starts))
        while left:  # the other socket has closed this one: it comes back with what is not acknowledged
            with contextlib.suppress(EOFError, OSError, AssertionError), booted(server, "TWICE") as charger:
                for place, start in list(left.items()):
                    answer = charger.calls("StartTransaction", start, f"start-{place}")
                    given[number][place] = answer[2]["transactionId"]
                    del left[place]

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(replays, 0, one), pool.submit(replays, 1, two)]:
            done.result(timeout=60)
    assert given[0] == given[1]
    assert len(set(given[0].values())) == len(starts)
    kept = one.get("/api/transactions?chargerId=TWICE&limit=500").json
    assert sorted(each["transactionId"] for each in kept) == sorted(given[0].values())


def test_what_an_operator_changes_is_heard_elsewhere(one: GunicornServer, two: GunicornServer) -> None:
    with booted(two, "BLOCKED") as charger:
        assert one.patch("/api/chargers/BLOCKED", {"blocked": True}).status == 200
        assert charger.hears_close() == 1008
    with booted(two, "DIALS-ANEW") as charger:
        assert one.post("/api/chargers/DIALS-ANEW/disconnect").status in (200, 202, 204)
        assert charger.hears_close() == 1012


def test_guesses_count_wherever_they_are_made(one: GunicornServer, two: GunicornServer) -> None:
    guess = {"username": "somebody", "password": "a wrong password"}
    answers = [
        (one, two)[number % 2].post("/api/auth/login", guess, token=None).status for number in range(12)
    ]
    assert answers[:10] == [401] * 10
    assert answers[-1] == 429


def test_wrong_passwords_of_chargers_count_wherever_they_are_tried(
    one: GunicornServer, two: GunicornServer
) -> None:
    one.post("/api/chargers", {"chargerId": "LOCKED", "password": "the right password, really"})
    wrong = [("Authorization", "Basic " + base64.b64encode(b"LOCKED:a wrong password, really").decode())]
    answers = []
    for number in range(21):
        answers.append(asked((one, two)[number % 2], "/ocpp/LOCKED", headers=wrong).status)
        time.sleep(0.02)  # the others have heard
    assert answers == [401] * 20 + [429]


def test_who_was_cut_off_from_redis_makes_up_for_what_it_missed(one: GunicornServer, redis: Redis) -> None:
    """Whether the one that tells, or the one that should hear, was cut off."""
    with Proxy(redis.host, redis.port) as line:
        cut_off = {"REDIS_URL": f"redis://127.0.0.1:{line.port}/0"}
        with beside(one, **cut_off) as other:
            one.post("/api/chargers", {"chargerId": "OLD-KEY", "password": "the first password of all"})
            key = [
                ("Authorization", "Basic " + base64.b64encode(b"OLD-KEY:the first password of all").decode())
            ]
            with (
                booted(other, "OLD-KEY", headers=key) as hears_late,
                booted(one, "TOLD-LATE") as told_late,
                RawCharger((other.host, other.port)) as flat,
            ):
                assert flat.asks("/ocpp", subprotocols=None).status == 101
                flat.says('{"messageType":"BootNotification","chargerId":"FLAT","vendor":"V","model":"M"}')
                assert flat.hears_json()["status"] == "Accepted"
                with line.cut():
                    wait_until(
                        lambda: other.post("/api/chargers/TOLD-LATE/commands/ClearCache", {}).status == 503,
                        seconds=10,
                        what="the bus is away",
                    )
                    assert one.patch("/api/chargers/OLD-KEY", {"password": "another password"}).status == 200
                    assert one.patch("/api/chargers/FLAT", {"blocked": True}).status == 200
                    assert other.patch("/api/chargers/TOLD-LATE", {"blocked": True}).status == 200
                    assert hears_late.calls("Heartbeat", {})[0] == 3
                    assert told_late.calls("Heartbeat", {})[0] == 3
                assert hears_late.hears_close() == 1008
                assert flat.hears_close() == 1008
                assert told_late.hears_close() == 1008


def test_a_key_that_a_charger_has_taken_meanwhile_is_no_reason_to_shut_it_out(
    one: GunicornServer, redis: Redis
) -> None:
    with (
        Proxy(redis.host, redis.port) as line,
        beside(one, REDIS_URL=f"redis://127.0.0.1:{line.port}/0") as other,
    ):
        one.post("/api/chargers", {"chargerId": "NEW-KEY", "password": "the first password of all"})
        key = [("Authorization", "Basic " + base64.b64encode(b"NEW-KEY:the first password of all").decode())]
        with booted(other, "NEW-KEY", headers=key) as charger:
            with answering(charger, {"ChangeConfiguration": {"status": "Accepted"}}):
                payload = {"key": "AuthorizationKey", "value": "another key altogether"}
                changed = one.post("/api/chargers/NEW-KEY/commands/ChangeConfiguration", payload)
                assert (changed.status, changed.json["state"]) == (200, "accepted")
            before = other.log().count("the bus is there")
            with line.cut():
                wait_until(lambda: "the bus is away" in other.log(), seconds=10, what="it is noticed")
            back = lambda: other.log().count("the bus is there") > before  # noqa: E731
            wait_until(back, seconds=10, what="the bus is back")
            time.sleep(1)  # what is known of its chargers has been read anew
            assert charger.calls("Heartbeat", {})[0] == 3


def test_who_begins_while_the_database_is_away_has_its_lease_later(
    one: GunicornServer, mariadb: MariaDB
) -> None:
    with Proxy("127.0.0.1", mariadb.port) as line:
        there = one.environ["DATABASE_URL"].replace(f":{mariadb.port}/", f":{line.port}/")
        with line.cut():
            environ = {name: one.environ[name] for name in (*SETTINGS, "REDIS_URL")}
            late = GunicornServer(there, environ)
            try:
                late.launch()
                wait_until(lambda: _answers(late, "/ocpp/EARLY") == 503, seconds=30, what="it turns away")
            except BaseException:
                late.remove()
                raise
        try:
            late.wait_until_ready()
            wait_until(lambda: _answers(late, "/ocpp/EARLY") == 101, seconds=20, what="it lets in")
            assert lives(one, late.worker_pid)
            late.terminate()
        finally:
            late.remove()


def _answers(server: GunicornServer, path: str) -> int | None:
    """The status of the answer to an upgrade request; None: nobody listens yet."""
    try:
        return asked(server, path).status
    except OSError:
        return None


def test_the_death_of_a_server_is_noticed_and_put_right(one: GunicornServer) -> None:
    with beside(one) as victim, booted(one, "SURVIVES") as survivor:
        with booted(victim, "LOST"), booted(victim, "COMES-BACK"):
            pid = victim.worker_pid
            assert lives(one, pid)
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(one.post, "/api/chargers/LOST/commands/GetConfiguration", {})
                time.sleep(0.5)  # it was sent, and is not answered
                victim.kill_master()
                died = time.monotonic()
                assert asked.result(timeout=10).status == 202
        with booted(one, "COMES-BACK"):
            # The dead has not been put right yet, and cannot be told.
            gone = one.post("/api/chargers/LOST/commands/GetConfiguration", {})
            assert (gone.status, gone.json["code"]) == (409, "charger-offline")
            wait_until(lambda: not shown(one, "LOST")["connected"], seconds=LEASE + 2, what="it is noticed")
            assert time.monotonic() - died < LEASE + 1
            assert shown(one, "COMES-BACK")["connected"]
            assert shown(one, "SURVIVES")["connected"]
            assert not lives(one, pid)
            states = {row["state"] for row in one.get("/api/chargers/LOST/commands").json}
            # The second one is no row at all when the lease had run out by then.
            assert {"timed out"} <= states <= {"timed out", "error"}
        survivor.calls("Heartbeat", {})


def test_a_worker_that_stood_still_for_longer_than_its_lease_ends(one: GunicornServer) -> None:
    with beside(one) as sleeper, booted(sleeper, "SLEPT") as charger:
        worker = sleeper.worker_pid
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: not shown(one, "SLEPT")["connected"], seconds=LEASE + 3, what="it counts as dead")
        os.kill(worker, signal.SIGCONT)
        assert charger.is_ended() or charger.hears_close()
        wait_until(lambda: sleeper.worker_pid != worker, seconds=30, what="another worker takes its place")
        sleeper.wait_until_ready()


def test_without_redis_what_is_here_works_and_the_rest_is_refused(
    one: GunicornServer, two: GunicornServer, redis: Redis
) -> None:
    with booted(one, "HERE") as here, booted(two, "ELSEWHERE") as elsewhere:
        redis.kill()
        try:
            wait_until(lambda: "the bus is away" in one.log(), seconds=10, what="it is noticed")
            with answering(here, {"GetConfiguration": {}}):
                assert one.post("/api/chargers/HERE/commands/GetConfiguration", {}).status == 200
            refused = one.post("/api/chargers/ELSEWHERE/commands/GetConfiguration", {})
            assert (refused.status, refused.json["code"]) == (503, "bus-away")
            refused = one.post("/api/chargers/ELSEWHERE/disconnect")
            assert (refused.status, refused.json["code"]) == (503, "bus-away")
            one.patch("/api/chargers/ELSEWHERE", {"blocked": True})
            time.sleep(LEASE + 2)
            for charger in (here, elsewhere):
                charger.calls("Heartbeat", {})
            # A charger that moves: the older socket is found all the same.
            with booted(two, "HERE"):
                assert here.hears_close() == 1012
        finally:
            redis.start()
        # What was not heard meanwhile is made up for.
        assert elsewhere.hears_close() == 1008
        wait_until(lambda: one.log().count("the bus is there") >= 2, seconds=10, what="it is back")


def test_a_frozen_redis_holds_up_nobody(one: GunicornServer, two: GunicornServer, redis: Redis) -> None:
    with booted(one, "CALM") as charger, booted(two, "FAR"):
        redis.freeze()
        try:
            for _ in range(20):
                began = time.monotonic()
                charger.calls("Heartbeat", {})
                charger.calls(
                    "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
                )
                assert time.monotonic() - began < 1
            refused = one.post("/api/chargers/FAR/commands/GetConfiguration", {}, timeout=10)
            assert refused.status in (503, 409)
        finally:
            redis.thaw()
    wait_until(
        lambda: one.log().count("the bus is there") > one.log().count("the bus is away"),
        seconds=10,
        what="back",
    )


def test_one_that_serves_alone_and_the_fleet_exclude_each_other(one: GunicornServer) -> None:
    alone = GunicornServer(one.environ["DATABASE_URL"])
    try:
        process = alone.launch()
        assert process.wait(timeout=60) == 4
        assert "set REDIS_URL to" in alone.log()
    finally:
        alone._process = None
        alone.remove()


def test_two_workers_of_one_server(one: GunicornServer, redis: Redis, mariadb: MariaDB) -> None:
    settings = SETTINGS | {"REDIS_URL": redis.url, "WEB_CONCURRENCY": "2"}
    with GunicornServer(mariadb.create_database(), settings) as server, ExitStack() as stack:
        wait_until(lambda: len(server.get("/api/processes").json) == 2, seconds=10, what="both serve")
        chargers = [stack.enter_context(booted(server, f"SHARED-{number}")) for number in range(40)]
        asked = [stack.enter_context(answering(charger, {"GetConfiguration": {}})) for charger in chargers]
        for number in range(len(chargers)):
            answer = server.post(f"/api/chargers/SHARED-{number}/commands/GetConfiguration", {})
            assert (answer.status, answer.json.get("state")) == (200, "accepted"), (answer, server.log())
        assert [len(each) for each in asked] == [1] * len(chargers)
        wait_until(
            lambda: sum(process["sockets"] for process in server.get("/api/processes").json) == len(chargers),
            seconds=LEASE,
            what="every socket is counted",
        )
        assert min(process["sockets"] for process in server.get("/api/processes").json) > 0
        # One of them is killed: its chargers are shown as gone, the others are not.
        victim = server.get("/api/processes").json[0]
        os.kill(victim["pid"], signal.SIGKILL)
        left = len(chargers) - victim["sockets"]
        wait_until(
            lambda: sum(row["connected"] for row in server.get("/api/chargers?limit=100").json) == left,
            seconds=LEASE + 2,
            what="the chargers of the dead are shown as gone",
        )
        assert server.alarms() == []


def _let_go(there: dict[str, RawCharger]) -> list[str]:
    """Those of them whose socket was closed, taken out."""
    ready, _, _ = select.select([charger.socket for charger in there.values()], [], [], 0.5)
    closed = []
    for identity, charger in list(there.items()):
        if charger.socket in ready:
            with contextlib.suppress(EOFError, OSError):
                if charger.hears().opcode != CLOSE:
                    continue
            there.pop(identity).close()
            closed.append(identity)
    return closed


def _enters(stack: ExitStack, server: GunicornServer, identity: str) -> RawCharger:
    charger: RawCharger = stack.enter_context(dialed(server, identity))
    assert charger.boots()["status"] == "Accepted"
    return charger


@pytest.mark.parametrize("come_back", [False, True])
def test_hosts_even_out_unless_all_that_are_let_go_come_back(one: GunicornServer, come_back: bool) -> None:
    """A host that was started later is empty. The other one's chargers find it, or, without a balancer, do not."""
    with ExitStack() as stack:
        here = {f"EVEN{number}": _enters(stack, one, f"EVEN{number}") for number in range(160)}
        with beside(one) as other:
            pid, moved = other.worker_pid, 0

            def its_share() -> int:
                processes = one.get("/api/processes").json
                return next((each["sockets"] for each in processes if each["pid"] == pid), 0)

            def is_over() -> bool:
                return "came back here" in one.log() if come_back else its_share() >= 20

            end = time.monotonic() + 10 * LEASE
            while not is_over():
                assert time.monotonic() < end, (moved, one.log()[-2000:])
                for identity in _let_go(here):
                    moved += 1
                    if come_back:
                        here[identity] = _enters(stack, one, identity)
                    else:
                        _enters(stack, other, identity)
            assert moved >= 12
            if come_back:  # and that was all
                time.sleep(LEASE / 2)
                assert _let_go(here) == []
