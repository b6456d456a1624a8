"""What strangers can do to the server without breaking any rule of HTTP or of WebSocket."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest

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


_POST = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
#: Requests whose framing is broken, and the answers that they may get.
BROKEN: dict[str, bytes] = {
    "two lengths": _POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": _POST
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a length with a sign": _POST + b"Content-Length: +5\r\n\r\n{}",
    "a length below zero": _POST + b"Content-Length: -5\r\n\r\n{}",
    "a length in words": _POST + b"Content-Length: abc\r\n\r\n{}",
    "a length without end": _POST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "another coding": _POST + b"Transfer-Encoding: x\r\n\r\n{}",
    "chunked twice": _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk in words": _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk below zero": _POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk without its end": _POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
    "noise": b"\x00\x01\x02 noise\r\n\r\n",
    "no version": b"GET /health/live\r\n\r\n",
    "a version to come": b"GET /health/live HTTP/9.9\r\n\r\n",
    "a blank in a name": _GET + b"A b: x\r\n\r\n",
    "a folded line": _GET + b"A: x\r\n y\r\n\r\n",
    "a zero byte": _GET + b"A: \x00\r\n\r\n",
    "an endless line": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
    "hundreds of headers": _GET + b"".join(b"H%d: x\r\n" % n for n in range(200)) + b"\r\n",
    "an endless header": _GET + b"A: " + b"a" * 20_000 + b"\r\n\r\n",
    "another expectation": _POST + b"Expect: nonsense\r\nContent-Length: 2\r\n\r\n{}",
    "no address": b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a proxy's word": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + _GET + b"\r\n",
    "an upgrade with a broken body": b"GET /ocpp/X HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_framing_is_refused_in_one_short_line(server: Any, kind: str) -> None:
    before = len(server.log())
    with socket.create_connection((server.host, server.port), timeout=10) as client:
        client.sendall(BROKEN[kind])
        status = int(client.recv(4096).split()[1])
    assert 400 <= status < 500 or status == 501, status
    said = server.log()[before:]
    assert "Traceback" not in said
    assert len(said) < 600
