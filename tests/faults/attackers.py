"""Clients that send without pause, in a process of their own: `python -m tests.faults.attackers KIND HOST PORT COUNT SECONDS`.

Each of COUNT sockets writes one block over and over, as fast as the server takes it, and throws away what comes
back. Who is thrown out dials again, at most a few times a second. To 127.0.0.1 only, and for SECONDS at most.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable

from tests.wire.raw import BINARY, PING, PONG, TEXT, frame

_numbers = itertools.count()
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}
METERED = {
    "connectorId": 1,
    "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [{"value": "%"}]}],
}


def _call(action: str, payload: object) -> bytes:
    text = json.dumps([2, str(next(_numbers)), action, payload]).replace('"%"', f'"{next(_numbers)}"')
    return frame(TEXT, text.encode())


def _calls(action: str, payload: object) -> Callable[[], bytes]:
    return lambda: b"".join(_call(action, payload) for _ in range(100))


def _frames(opcode: int, payload: bytes = b"") -> Callable[[], bytes]:
    return lambda: frame(opcode, payload) * 200


def _http(request: str) -> Callable[[], bytes]:
    return lambda: request.replace("\n", "\r\n").encode() * 50


def _login(body: Callable[[], object]) -> Callable[[], bytes]:
    def request() -> bytes:
        text = json.dumps(body()).encode()
        head = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text

    return request


def _long(action: str, payload: Callable[[], object]) -> Callable[[], bytes]:
    """One message of nearly a megabyte."""
    return lambda: _call(action, payload())


def _many(sample: Callable[[int], object], count: int) -> Callable[[], object]:
    """MeterValues with that many new samples."""

    def payload() -> object:
        first = next(_numbers) * count
        samples = [sample(first + number) for number in range(count)]
        return {
            "connectorId": 1,
            "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": samples}],
        }

    return payload


#: kind → (how it gets in: "http", "ocpp" or "flat"; a block of what it says).
KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "http-live": ("http", _http("GET /health/live HTTP/1.1\nHost: x\n\n")),
    "http-401": ("http", _http("GET /api/chargers HTTP/1.1\nHost: x\n\n")),
    "http-404": ("http", _http("GET /nothing HTTP/1.1\nHost: x\n\n")),
    "http-body": (
        "http",
        _http(
            "POST /api/auth/login HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 2\n\n{}"
        ),
    ),
    "http-login": ("http", _login(lambda: {"username": f"u{next(_numbers)}", "password": "wrong password"})),
    "http-long-body": ("http", _login(lambda: {"username": [0] * 300_000, "password": {}})),
    "http-426": ("http", _http("GET /ocpp/X HTTP/1.1\nHost: x\n\n")),
    "ws-empty": ("ocpp", _frames(TEXT)),
    "ws-ping": ("ocpp", _frames(PING, b"p")),
    "ws-pong": ("ocpp", _frames(PONG)),
    "ws-binary": ("ocpp", _frames(BINARY)),
    "ws-ignored": ("ocpp", _frames(TEXT, b'[5,"a"]')),
    "ws-garbage": ("ocpp", _frames(TEXT, b"{]")),
    "ws-heartbeat": ("ocpp", _calls("Heartbeat", {})),
    "ws-unknown": ("ocpp", _calls("Nonsense", {})),
    "ws-stored": ("ocpp", _calls("MeterValues", METERED)),
    "ws-answers": ("ocpp", _frames(TEXT, b'[3,"nobody asked",{}]')),
    "ws-long": ("ocpp", _long("MeterValues", _many(lambda number: {"value": str(number)}, 40_000))),
    "ws-long-odd": ("ocpp", _long("MeterValues", _many(lambda number: {"value": number, "x": 1}, 30_000))),
    "ws-long-empty": ("ocpp", _long("MeterValues", lambda: {"connectorId": 1, "meterValue": [{}] * 200_000})),
    "ws-long-stop": (
        "ocpp",
        _long(
            "StopTransaction",
            lambda: {
                "transactionId": -1,
                "meterStop": 1,
                "timestamp": "2026-01-01T00:00:00Z",
                "transactionData": _many(lambda number: {"value": str(number)}, 40_000)()["meterValue"],  # type: ignore[index]
            },
        ),
    ),
    "ws-long-fields": ("ocpp", _long("Authorize", lambda: {f"k{n}": n for n in range(60_000)})),
    "ws-long-broken": ("ocpp", lambda: frame(TEXT, b'[2,"1","StopTransaction",' + b'{"a":' * 150_000)),
    "flat-long": ("flat", lambda: frame(TEXT, b'{"messageType":"Heartbeat","chargerId":[' + b"1," * 400_000)),
    "flat-empty": ("flat", _frames(TEXT)),
    "flat-garbage": ("flat", _frames(TEXT, b"{]")),
    "flat-refused": ("flat", _frames(TEXT, b'{"messageType":"Heartbeat","chargerId":"nobody"}')),
}
#: What the server has to work on for long.
LONG_MESSAGES = [kind for kind in KINDS if kind.startswith(("ws-long", "flat-long"))]


def _upgrade(path: str, *lines: str) -> bytes:
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    return (head + "".join(f"{line}\r\n" for line in lines)).encode() + b"\r\n"


_OCPP = "Sec-WebSocket-Protocol: ocpp1.6"
#: Who comes and goes without pause, on a connection of its own each time: kind → what it asks.
DIALS: dict[str, Callable[[], bytes]] = {
    "dial-live": lambda: b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "dial-login": lambda: KINDS["http-login"][1](),
    "dial-unknown": lambda: _upgrade(f"/ocpp/DIAL-{os.getpid()}-{next(_numbers)}", _OCPP),
    "dial-again": lambda: _upgrade("/ocpp/DIAL-AGAIN", _OCPP),
    "dial-flat": lambda: _upgrade("/ocpp"),
    "dial-wrong": lambda: _upgrade("/ocpp/LOCKED", _OCPP, "Authorization: Basic TE9DS0VEOndyb25n"),
    "dial-silent": lambda: b"",
}


def dials(kind: str, address: tuple[str, int], seconds: float) -> None:
    end = time.monotonic() + min(seconds, 120)
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(address, 5) as connection:
            if asked := DIALS[kind]():
                connection.sendall(asked)
                connection.recv(4096)


class Attacker:
    """One socket."""

    def __init__(self, kind: str, address: tuple[str, int], number: int) -> None:
        self._door, self._block = KINDS[kind]
        self._address, self._number = address, number
        self._left = b""
        self.socket: socket.socket | None = None
        self.again_at = 0.0
        self.sent = 0

    def dial(self) -> None:
        self.socket = socket.create_connection(self._address, 10)
        if self._door != "http":
            path = "/ocpp" if self._door == "flat" else f"/ocpp/ATTACKER-{os.getpid()}-{self._number}"
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            head += "" if self._door == "flat" else "Sec-WebSocket-Protocol: ocpp1.6\r\n"
            self.socket.sendall(head.encode() + b"\r\n")
            if b" 101 " not in self.socket.recv(4096):
                raise ConnectionError("not let in")
            if self._door == "ocpp":
                self.socket.sendall(_call("BootNotification", BOOT))
        self.socket.setblocking(False)
        self._left = b""

    def write(self) -> None:
        assert self.socket is not None
        if not self._left:
            self._left = self._block()
        count = self.socket.send(self._left)
        self._left = self._left[count:]
        self.sent += count

    def read(self) -> None:
        assert self.socket is not None
        if not self.socket.recv(1 << 16):
            raise ConnectionError("ended")

    def leave(self, selector: selectors.BaseSelector) -> None:
        if self.socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                selector.unregister(self.socket)
            self.socket.close()
            self.socket = None
        self.again_at = time.monotonic() + 0.5


def attack(kind: str, address: tuple[str, int], count: int, seconds: float) -> None:
    assert address[0] == "127.0.0.1"
    end = time.monotonic() + min(seconds, 120)
    attackers = [Attacker(kind, address, number) for number in range(min(count, 200))]
    selector = selectors.DefaultSelector()
    while time.monotonic() < end:
        for one in attackers:
            if one.socket is None and time.monotonic() > one.again_at:
                try:
                    one.dial()
                except OSError:
                    one.leave(selector)
                else:
                    selector.register(one.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, one)
        for key, ready in selector.select(0.1):
            one = key.data
            try:
                if ready & selectors.EVENT_READ:
                    one.read()
                if ready & selectors.EVENT_WRITE:
                    one.write()
            except BlockingIOError:
                pass
            except OSError:
                one.leave(selector)
    print(sum(one.sent for one in attackers))


if __name__ == "__main__":
    os.nice(5)
    if sys.argv[1] in DIALS:
        place, wait = (sys.argv[2], int(sys.argv[3])), float(sys.argv[5])
        for _ in range(min(int(sys.argv[4]), 200)):
            threading.Thread(target=dials, args=(sys.argv[1], place, wait), daemon=True).start()
        time.sleep(min(wait, 120))
        sys.exit()
    attack(sys.argv[1], (sys.argv[2], int(sys.argv[3])), int(sys.argv[4]), float(sys.argv[5]))
