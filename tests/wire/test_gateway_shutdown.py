"""SIGTERM: the chargers' sockets are closed within two seconds, and the process goes."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.server import GunicornServer

from .raw import CLOSE, RawCharger, booted, frame

pytestmark = pytest.mark.wire


@pytest.fixture
def own(tmp_path: Path) -> Iterator[GunicornServer]:
    """A server that this test may end."""
    with GunicornServer(f"sqlite:///{tmp_path / 'chargers.sqlite3'}", {"AUTOMATIC_CALLS": "off"}) as server:
        yield server
        assert server.alarms() == []


def test_sigterm_closes_every_socket_within_two_seconds_with_1012(own: GunicornServer) -> None:
    with (
        booted(own, "POLITE") as polite,
        booted(own, "SILENT") as silent,
        RawCharger((own.host, own.port)) as flat,
        ThreadPoolExecutor(1) as pool,
    ):
        flat.asks("/ocpp", subprotocols=None)
        began = time.monotonic()
        ending = pool.submit(own.terminate)
        assert polite.hears_close() == 1012
        polite.sends(frame(CLOSE, b"\x03\xf4"))
        assert flat.hears_close() == 1012
        assert polite.is_ended()
        assert silent.hears_close() == 1012
        assert silent.is_ended()  # it never answered the close frame
        assert time.monotonic() - began < 2
        assert ending.result(timeout=10) == 0
        assert time.monotonic() - began < 5


def test_after_a_restart_the_chargers_state_is_as_it_was(own: GunicornServer) -> None:
    with booted(own, "KEEPS"):
        own.terminate()
    own.start()
    shown = own.get("/api/chargers/KEEPS").json
    assert (shown["connected"], shown["registration"]) == (False, "Accepted")


def test_connections_between_two_requests_do_not_hold_up_the_end(own: GunicornServer) -> None:
    idle = [http.client.HTTPConnection(own.host, own.port, timeout=10) for _ in range(20)]
    for connection in idle:
        connection.request("GET", "/health/live")
        assert connection.getresponse().read()
    with RawCharger((own.host, own.port)):  # and one that has not said anything yet
        began = time.monotonic()
        assert own.terminate() == 0
    assert time.monotonic() - began < 4
    for connection in idle:
        assert connection.sock.recv(100) == b""  # nothing that could be taken for an answer


def test_a_charger_that_takes_its_time_to_ask_is_let_in(own: GunicornServer) -> None:
    with RawCharger((own.host, own.port)) as slow:
        time.sleep(6)
        assert slow.asks("/ocpp/SLOW").status == 101


def test_a_standstill_of_the_server_resets_nobody_who_was_about_to_ask(own: GunicornServer) -> None:
    """What 500 sockets on a loaded machine met: connected before the standstill, asked during it."""
    chargers = [RawCharger((own.host, own.port)) for _ in range(30)]
    time.sleep(0.5)  # they are accepted
    worker = own.worker_pid
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(len(chargers)) as pool:
        answers = pool.map(lambda pair: pair[1].asks(f"/ocpp/STALL-{pair[0]}").status, enumerate(chargers))
        time.sleep(6)
        os.kill(worker, signal.SIGCONT)
        assert set(answers) == {101}
    for charger in chargers:
        charger.close()
