"""A charger's connection without sockets: the real gateway on one side, the fake charger on the other.

Admission, session, dispatch and committer are the system's own; only the bytes are missing. Greenlets take
turns without gevent's patching, so a test waits for the charger (`charger.rests()`), never for the clock.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import gevent
from flask import Flask
from gevent.event import Event
from gevent.lock import RLock, Semaphore
from gevent.queue import Queue

from charger_mgmt.gateway import connection, flat
from charger_mgmt.gateway.addresses import SEGMENT
from charger_mgmt.gateway.admission import FLAT, Refused
from charger_mgmt.serving.process import process_of
from charger_mgmt.simulate.transport import ConnectionLost, HandshakeRefused, Receiver
from charger_mgmt.websocket.socket import SocketClosed

#: Seconds for the system's side to notice that a charger has gone.
FAREWELL = 5.0


class MemorySocket:
    """What a session sees of its socket: a queue in, a callback out."""

    address = peer = "memory"
    offended = False
    is_open = True
    why_closed = ""

    def wasted(self) -> None:
        pass

    def __init__(self, deliver: Callable[[str | None], None]) -> None:
        self._deliver = deliver
        self.incoming: Queue = Queue()
        self.closed_with = (1006, "")

    def receive(self) -> str | None:
        return self.incoming.get() if self.is_open or len(self.incoming) else None

    def send(self, text: str) -> None:
        if not self.is_open:
            raise SocketClosed(self.why_closed)
        self._deliver(text)

    begin_send = send

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._end(code, reason, f"closed by us: {code} {reason}")

    def drop(self, why: str = "dropped by us") -> None:
        self._end(1006, "", why)

    def hears_the_end(self, why: str) -> None:
        """The charger's side has ended the connection."""
        self._end(1006, "", why)

    def _end(self, code: int, reason: str, why: str) -> None:
        if self.is_open:
            self.is_open = False
            self.closed_with, self.why_closed = (code, reason), why
            self.incoming.put(None)
            self._deliver(None)


class MemoryTransport:
    """One identity's way into an application; None: the flat dialect."""

    synchronous = False
    primitives: Any = SimpleNamespace(Event=Event, Lock=Semaphore, RLock=RLock)

    def __init__(
        self,
        app: Flask,
        identity: str | None,
        *,
        subprotocols: Iterable[str] = ("ocpp1.6",),
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._app = app
        self._identity = identity
        self.subprotocols = list(subprotocols) if identity is not None else []
        self.headers = list(headers)
        self.subprotocol: str | None = None
        self._line: tuple[MemorySocket, gevent.Greenlet] | None = None

    def open(self, receiver: Receiver) -> None:
        """Ask for admission, and be served by a greenlet. Raises HandshakeRefused."""
        gateway = process_of(self._app).gateway
        central = process_of(self._app).central
        decision = gateway.admission.decide(self._environ())
        if isinstance(decision, Refused):
            raise HandshakeRefused(decision.status, dict(decision.headers), decision.body)
        self.subprotocol = decision.subprotocol
        outgoing: Queue = Queue()
        socket = MemorySocket(outgoing.put)
        gevent.spawn(self._delivers, receiver, socket, outgoing)
        if decision.dialect == FLAT:
            serving = gevent.spawn(flat.serve, central, gateway, socket, decision)
        else:
            serving = gevent.spawn(
                connection.serve,
                central,
                gateway.connections,
                gateway.dispatcher,
                socket,
                decision,
            )
        self._line = (socket, serving)

    def _delivers(self, receiver: Receiver, socket: MemorySocket, outgoing: Queue) -> None:
        while (text := outgoing.get()) is not None:
            receiver.receives(text)
        if self._line is not None and self._line[0] is socket:
            receiver.loses_connection(*socket.closed_with)

    def send(self, text: str) -> None:
        if self._line is None or not self._line[0].is_open:
            raise ConnectionLost("the connection is closed")
        self._line[0].incoming.put(text)

    def close(self) -> None:
        self._leave("closed by the charger: 1000")

    def drop(self) -> None:
        self._leave("the charger's connection ended without a close frame")

    def _leave(self, why: str) -> None:
        line, self._line = self._line, None
        if line is not None:
            socket, serving = line
            socket.hears_the_end(why)
            serving.join(FAREWELL)

    def later(self, job: Callable[[], Any], after: float = 0.0) -> None:
        gevent.spawn_later(after, job)

    def _environ(self) -> dict[str, Any]:
        environ = {
            "REQUEST_METHOD": "GET",
            "HTTP_UPGRADE": "websocket",
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            "HTTP_SEC_WEBSOCKET_KEY": base64.b64encode(bytes(16)).decode(),
            "HTTP_SEC_WEBSOCKET_PROTOCOL": ", ".join(self.subprotocols),
            "gunicorn.socket": True,
            SEGMENT: (self._identity or "").encode(),
        }
        return environ | {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers}
