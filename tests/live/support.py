"""Sockets in memory, for tests of the socket and of what stands on it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import socket as gevent_socket
from gevent.event import Event
from gevent.queue import Queue

from charger_mgmt.websocket.keepalive import KeepAlive
from charger_mgmt.websocket.socket import SUBPROTOCOL, ChargerSocket, SocketClosed

KEY = base64.b64encode(b"0123456789abcdef").decode()


def pair(
    *, subprotocol: str | None = "ocpp1.6", keepalive: KeepAlive | None = None, limit: int = 1 << 20
) -> tuple[ChargerSocket, Any]:
    """Our socket after the handshake, over TCP, and the charger's plain end of it."""
    listener = gevent_socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    theirs = gevent_socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    listener.close()
    environ = {
        "gunicorn.socket": ours,
        "HTTP_SEC_WEBSOCKET_KEY": KEY,
        SUBPROTOCOL: subprotocol,
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "1",
    }
    socket = ChargerSocket(environ, keepalive=keepalive, max_message_bytes=limit)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += theirs.recv(1)
    socket_head[id(socket)] = head.decode()
    return socket, theirs


#: The handshake answers, by id of our socket.
socket_head: dict[int, str] = {}


def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Let other greenlets run until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the deadline"
        gevent.sleep(0.005)


class PipeSocket:
    """A working socket in memory: what the charger `says` is received, what we send is in `sent`."""

    address = peer = "memory"
    offended = False

    def wasted(self) -> None:
        pass

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_open = True
        self.why_closed = ""
        self.closed_with: int | None = None
        #: Set it to an Event, and what is sent without waiting is written when that is set.
        self.slow: Event | None = None
        self._said: Queue = Queue()

    def says(self, text: str) -> None:
        self._said.put(text)

    @property
    def unread(self) -> int:
        """Messages that nobody has received yet."""
        return self._said.qsize()

    def ends(self) -> None:
        self.is_open = False
        self._said.put(None)

    def receive(self) -> str | None:
        return self._said.get()

    def send(self, text: str) -> None:
        if not self.is_open:
            raise SocketClosed(self.why_closed)
        self.sent.append(text)

    def begin_send(self, text: str) -> Callable[[], None] | None:
        if self.slow is None:
            return self.send(text)
        return lambda: (self.slow.wait(), self.send(text))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed_with = code
        self.drop(reason)

    def drop(self, why: str = "") -> None:
        if self.is_open:
            self.why_closed = why
            self.ends()
