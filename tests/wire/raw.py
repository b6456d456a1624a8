"""A charger made of bytes: it can break every rule of the WebSocket protocol, one at a time."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


@dataclass(frozen=True)
class Answer:
    """The HTTP answer to an upgrade request."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Frame:
    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0]


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """The bytes of one client frame."""
    head = bytes([(0x80 if final else 0) | rsv | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    key = os.urandom(4)
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + key + number.to_bytes(len(payload), "big")


class RawCharger:
    """One TCP connection to the server's charger port."""

    def __init__(self, address: tuple[str, int], *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(15)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> RawCharger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the TCP connection without a word."""
        self.socket.close()

    def asks(
        self,
        path: str,
        *,
        subprotocols: str | None = "ocpp1.6",
        headers: Iterable[tuple[str, str]] = (),
        before: bytes = b"",
        ahead: bytes = b"",
    ) -> Answer:
        """Send an upgrade request and read the HTTP answer.

        `before` and `ahead` go out in the same piece, before the request and behind it.
        """
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: central",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        if subprotocols is not None:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocols}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.socket.sendall(before + ("\r\n".join(lines) + "\r\n\r\n").encode() + ahead)
        return self._answer()

    def _answer(self) -> Answer:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(int(status.split()[1]), headers, body)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server ended the connection")
        self._buffer += data

    def sends(self, data: bytes) -> None:
        self.socket.sendall(data)

    def says(self, text: str) -> None:
        """One text message."""
        self.sends(frame(TEXT, text.encode()))

    def hears(self) -> Frame:
        """The next frame, checked to be one that a server may send. Raises EOFError at the end."""
        while len(self._buffer) < 2:
            self._more()
        first, length = self._buffer[0], self._buffer[1]
        assert not length & 0x80, "a server's frame is not masked"
        start = 2
        if length in (126, 127):
            start = 4 if length == 126 else 10
            while len(self._buffer) < start:
                self._more()
            length = int.from_bytes(self._buffer[2:start], "big")
        while len(self._buffer) < start + length:
            self._more()
        payload, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
        assert not first & 0x70, "a server's frame is not compressed"
        return Frame(first, payload)

    def hears_text(self) -> str:
        """The next text message; pings on the way are answered."""
        while True:
            got = self.hears()
            if got.opcode == PING:
                self.sends(frame(PONG, got.payload))
            elif got.opcode == TEXT:
                return got.payload.decode()
            else:
                raise AssertionError(f"not a text message: {got}")

    def hears_json(self) -> Any:
        return json.loads(self.hears_text())

    def hears_close(self) -> int:
        """The code of the close frame; what comes before it is skipped."""
        while (got := self.hears()).opcode != CLOSE:
            pass
        return got.close_code

    def is_ended(self) -> bool:
        """The server has ended the connection: whatever was left is read away."""
        try:
            while True:
                self._more()
        except EOFError:
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def calls(self, action: str, payload: Any = None, message_id: str | None = None) -> Any:
        """One CALL and its answer (the whole decoded frame); what we are called with meanwhile is passed over."""
        message_id = message_id or str(uuid.uuid4())
        self.says(json.dumps([2, message_id, action, {} if payload is None else payload]))
        while (heard := self.hears_json())[0] == 2:
            pass
        return heard

    def boots(self) -> Any:
        answer = self.calls("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        assert answer[0] == 3, answer
        return answer[2]


@contextlib.contextmanager
def dialed(server: Any, identity: str, **options: Any) -> Any:
    """A charger that has been let in on `/ocpp/<identity>`."""
    buffer = options.pop("receive_buffer", None)
    with RawCharger((server.host, server.port), receive_buffer=buffer) as charger:
        answer = charger.asks(f"/ocpp/{quote(identity, safe='')}", **options)
        assert answer.status == 101, answer
        yield charger


@contextlib.contextmanager
def booted(server: Any, identity: str, **options: Any) -> Any:
    """A charger that is in and accepted."""
    with dialed(server, identity, **options) as charger:
        assert charger.boots()["status"] == "Accepted"
        yield charger


def asked(server: Any, path: str, **options: Any) -> Answer:
    """The HTTP answer to one upgrade request."""
    with RawCharger((server.host, server.port)) as charger:
        return charger.asks(path, **options)
