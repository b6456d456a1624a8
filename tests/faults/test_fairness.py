"""One client cannot hurt another: floods of every kind, measured on bystanders, and standstills of our own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support.haproxy import HAProxy
from tests.support.mariadb import MariaDB
from tests.support.processes import wait_until
from tests.support.server import GunicornServer
from tests.wire.raw import PING, PONG, RawCharger, booted, frame

from .attackers import DIALS, KINDS, LONG_MESSAGES
from .bystanders import FEW, MANY, bystanders_are_served
from .conftest import _REPORT, ENVIRON, must_be_quiet
from .test_rude import memory

pytestmark = [pytest.mark.wire, pytest.mark.mariadb, pytest.mark.alone]

#: Those of test_long_messages.py keep a server busy for long after they have left.
KINDS_HERE = [kind for kind in [*KINDS, *DIALS] if kind not in LONG_MESSAGES]
FOR_MANY = [
    "http-login",
    "http-long-body",
    "http-live",
    "http-401",
    "http-body",
    "ws-empty",
    "ws-heartbeat",
    "ws-unknown",
    "ws-stored",
    "ws-garbage",
    "flat-refused",
]


@pytest.fixture(scope="module")
def server(mariadb: MariaDB) -> Iterator[GunicornServer]:
    with GunicornServer(mariadb.create_database(), {"AUTOMATIC_CALLS": "off"}) as running:
        running.post("/api/chargers", {"chargerId": "LOCKED", "password": "a password of the charger"})
        yield running
        must_be_quiet(running)


def test_every_kind_of_attack_has_a_door(server: GunicornServer) -> None:
    assert {door for door, _ in KINDS.values()} == {"http", "ocpp", "flat"}


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_ten_attackers(server: GunicornServer, kind: str) -> None:
    bystanders_are_served(server, kind, FEW)


@pytest.mark.parametrize("kind", FOR_MANY)
def test_a_hundred_and_fifty_attackers(server: GunicornServer, kind: str) -> None:
    bystanders_are_served(server, kind, MANY)


@pytest.fixture(scope="module")
def behind(mariadb: MariaDB) -> Iterator[tuple[GunicornServer, HAProxy]]:
    """A server behind HAProxy: all the world comes from one address, and shares its connections."""
    environ = {"AUTOMATIC_CALLS": "off", "TRUSTED_PROXIES": "127.0.0.1"}
    with GunicornServer(mariadb.create_database(), environ) as running:
        with HAProxy(running.port) as proxy:
            yield running, proxy
        must_be_quiet(running)


@pytest.mark.parametrize(
    "kind", ["http-live", "http-401", "ws-empty", "ws-ping", "ws-heartbeat", "flat-refused"]
)
def test_ten_attackers_behind_a_proxy(behind: tuple[GunicornServer, HAProxy], kind: str) -> None:
    server, proxy = behind
    bystanders_are_served(server, kind, FEW, proxy)


def test_a_standstill_of_ours_is_nobodys_silence(mariadb: MariaDB) -> None:
    """The process is stopped for much longer than silence, statements and commits are waited for."""
    with (
        GunicornServer(mariadb.create_database(), ENVIRON | {"AUTOMATIC_CALLS": "off"}) as server,
        ExitStack() as stack,
    ):
        chargers = [stack.enter_context(booted(server, f"QUIET-{number}")) for number in range(50)]
        over = threading.Event()

        def answers_pings(charger) -> int:
            """Until the end; how many pings came."""
            charger.socket.settimeout(0.5)
            pings = 0
            while not over.is_set():
                try:
                    got = charger.hears()
                except TimeoutError:
                    continue
                assert got.opcode == PING, got
                charger.sends(frame(PONG, got.payload))
                pings += 1
            return pings

        with ThreadPoolExecutor(len(chargers)) as pool:
            quiet = [pool.submit(answers_pings, charger) for charger in chargers[1:]]
            time.sleep(5)  # everybody has answered a ping, so two silent intervals are a reason to drop
            worker = server.worker_pid
            chargers[0].says('[2,"1","Heartbeat",{}]')
            os.kill(worker, signal.SIGSTOP)
            time.sleep(15)
            os.kill(worker, signal.SIGCONT)
            time.sleep(6)
            over.set()
            assert min(each.result(timeout=30) for each in quiet) >= 2
        assert server.worker_pid == worker
        shown = server.get("/api/chargers").json
        assert [row["chargerId"] for row in shown if not row["connected"]] == []
        assert server.log().count("dropping") == 0
        assert "the database is away" not in server.log()


def test_readers_that_do_not_read_hold_a_page_for_half_a_minute(mariadb: MariaDB) -> None:
    with (
        GunicornServer(mariadb.create_database(), {"AUTOMATIC_CALLS": "off"}) as server,
        ExitStack() as stack,
    ):
        with booted(server, "TALKER") as charger:
            for number in range(4):
                charger.calls("DataTransfer", {"vendorId": f"V{number}", "data": "x" * 600_000})
        before = memory(server)
        head = f"GET /api/chargers/TALKER/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token()}\r\n\r\n"
        readers = []
        for _ in range(60):
            reader = stack.enter_context(RawCharger((server.host, server.port), receive_buffer=4096))
            reader.sends(head.encode() * 10)  # what the kernel does not take the server holds
            readers.append(reader)
        wait_until(lambda: memory(server) - before > 40, seconds=20, what="they hold their pages")
        held = memory(server) - before
        wait_until(lambda: "took no answer" in server.log(), seconds=45, what="they are given up")
        time.sleep(3)
        began = time.monotonic()
        assert server.get("/api/chargers").status == 200
        _REPORT.append(
            f"60 readers that do not read: {held} MB held, {memory(server) - before} MB after they were given up, then"
            f" an answer in {1000 * (time.monotonic() - began):.0f} ms"
        )
        assert held < 60 * 6
        assert "Traceback" not in server.log()
        assert all(reader.is_ended() for reader in readers)
