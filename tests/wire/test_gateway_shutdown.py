"""SIGTERM: the chargers' sockets are closed within two seconds, and the process goes."""

from __future__ import annotations

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
