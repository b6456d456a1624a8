"""What strangers can do to the server without breaking any rule of HTTP or of WebSocket."""

from __future__ import annotations

import socket
import struct
from typing import Any

from tests.support.processes import wait_until

from .raw import CLOSE, booted, dialed, frame

FORGED = "2026-01-01T00:00:00.000Z ERROR forged: line"


def test_a_charger_writes_no_lines_of_its_own_into_the_log(server: Any) -> None:
    with booted(server, "FORGER") as charger:
        assert charger.calls(f"Reset\n{FORGED}")[2] == "NotImplemented"
    with dialed(server, "FORGER") as charger:
        charger.sends(frame(CLOSE, struct.pack("!H", 1000) + f"bye\r\n{FORGED}".encode()))
        assert charger.is_ended()
    wait_until(lambda: server.log().count(FORGED) >= 2, seconds=5, what="both are logged")
    assert not [line for line in server.log().splitlines() if line.startswith(FORGED[:30])]


def test_a_body_that_never_ends_is_given_up_with_408(server: Any) -> None:
    head = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        client.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
