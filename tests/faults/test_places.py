"""Strangers who only take up room: known chargers and operators find a place all the same."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.processes import wait_until
from tests.support.server import GunicornServer
from tests.wire.raw import RawCharger, booted

from .conftest import _REPORT

pytestmark = [pytest.mark.wire, pytest.mark.alone]

#: Open files that the server may have; 256 of them it keeps for itself.
FILES = 700
PLACES = FILES - 256
#: Seconds in which a known charger and a health check are answered, whoever fills the place.
PATIENCE = 10.0


@pytest.fixture
def server(tmp_path) -> Iterator[GunicornServer]:
    gunicorn = f"ulimit -n {FILES}; exec {sys.executable} -m gunicorn -c gunicorn.conf.py wsgi:app"
    command = ("/bin/sh", "-c", gunicorn)
    settings = {"AUTOMATIC_CALLS": "off", "FIRST_MESSAGE_SECONDS": "30"}
    with GunicornServer(f"sqlite:///{tmp_path / 'places.sqlite3'}", settings, command) as running:
        yield running


def silent_connections(server: GunicornServer) -> RawCharger:
    return RawCharger((server.host, server.port))


def silent_flat_sockets(server: GunicornServer) -> RawCharger:
    charger = RawCharger((server.host, server.port))
    charger.socket.settimeout(2)
    charger.asks("/ocpp", subprotocols=None)
    return charger


def half_requests(server: GunicornServer) -> RawCharger:
    charger = RawCharger((server.host, server.port))
    charger.sends(b"GET /health/live HTTP/1.1\r\nHost: x\r\nA: ")
    return charger


def half_bodies(server: GunicornServer) -> RawCharger:
    charger = RawCharger((server.host, server.port))
    head = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    charger.sends(head + b"Content-Length: 100\r\n\r\n{")
    return charger


def chargers_that_never_boot(server: GunicornServer) -> RawCharger:
    charger = RawCharger((server.host, server.port))
    charger.socket.settimeout(2)
    charger.asks(f"/ocpp/STRANGER-{id(charger)}")
    return charger


@pytest.mark.parametrize(
    "kind", [silent_connections, silent_flat_sockets, half_requests, half_bodies, chargers_that_never_boot]
)
def test_those_who_only_take_up_room_leave_some(
    server: GunicornServer, kind: Callable[[GunicornServer], RawCharger]
) -> None:
    with booted(server, "KNOWN"):
        pass
    with contextlib.ExitStack() as stack:
        for _ in range(PLACES + 100):
            with contextlib.suppress(OSError, EOFError):
                stack.enter_context(kind(server))
        began = time.monotonic()
        wait_until(lambda: enters(server), seconds=PATIENCE, what="a known charger has come in")
        entered = time.monotonic() - began
        began = time.monotonic()
        wait_until(lambda: is_alive(server), seconds=PATIENCE, what="the health check is answered")
        _REPORT.append(
            f"{PLACES + 100} {kind.__name__} on {PLACES} places: a known charger was in after {entered:.1f} s, a"
            f" health check answered after {time.monotonic() - began:.1f} s"
        )
    assert "Traceback" not in server.log()


def enters(server: GunicornServer) -> bool:
    try:
        with booted(server, "KNOWN"):
            return True
    except (OSError, EOFError, AssertionError):
        return False


def is_alive(server: GunicornServer) -> bool:
    try:
        return server.request("GET", "/health/live", token=None, timeout=3).status == 200
    except (TimeoutError, OSError):
        return False
