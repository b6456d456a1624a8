"""A charger's WebSocket over a plain socket.

Works with and without gevent's patching: `socket` and `threading` are used as they are found. One
thread (or greenlet) a connection reads; writing is under a lock.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .transport import ConnectionLost, HandshakeRefused, Receiver

CHUNK = 65536


def charger_url(base: str, identity: str) -> str:
    """The endpoint and the identity, percent-encoded (OCPP-J section 3.1.1)."""
    return f"{base.rstrip('/')}/{quote(identity, safe='')}"


def basic_credentials(username: str, password: str | bytes) -> str:
    """The Authorization header's value; the password may hold any bytes (OCPP-J section 6.2.2)."""
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(username.encode() + b":" + secret).decode()


class WireTransport:
    """A WebSocket client. `url` is used as it stands; `headers` go into the upgrade request.

    `answers_pings` False plays the charger that never does.
    """

    synchronous = False
    primitives: Any = threading

    def __init__(
        self,
        url: str,
        *,
        subprotocols: Iterable[str] = ("ocpp1.6",),
        headers: Iterable[tuple[str, str]] = (),
        answers_pings: bool = True,
        connect_timeout: float = 10.0,
    ) -> None:
        self.url = url
        self.subprotocols = list(subprotocols)
        self.headers = list(headers)
        self.answers_pings = answers_pings
        self.connect_timeout = connect_timeout
        #: The subprotocol that the central system chose.
        self.subprotocol: str | None = None
        #: Pings received since the connection was opened.
        self.pings = 0
        self._line: _Line | None = None

    def open(self, receiver: Receiver) -> None:
        """Connect and shake hands. Raises HandshakeRefused or ConnectionLost."""
        self.pings = 0
        line = _Line(self, receiver)
        self.subprotocol = line.shakes_hands()
        self._line = line
        line.starts_reading()

    def send(self, text: str) -> None:
        self._open_line().send(TextMessage(text))

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.drop()

    def later(self, job: Callable[[], Any], after: float = 0.0) -> None:
        def run() -> None:
            if after:
                time.sleep(after)
            job()

        threading.Thread(target=run, daemon=True).start()

    def _open_line(self) -> _Line:
        if self._line is None:
            raise ConnectionLost("the connection is closed")
        return self._line


class _Line:
    """One connection, from the TCP handshake to its end."""

    def __init__(self, transport: WireTransport, receiver: Receiver) -> None:
        self._transport = transport
        self._receiver = receiver
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._writing = threading.Lock()
        self._ended = False
        self._text: list[str] = []
        where = urlsplit(transport.url)
        port = where.port or (443 if where.scheme == "wss" else 80)
        try:
            self._socket = socket.create_connection((where.hostname, port), transport.connect_timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if where.scheme == "wss":
                context = ssl.create_default_context()
                self._socket = context.wrap_socket(self._socket, server_hostname=where.hostname)
        except OSError as error:
            raise ConnectionLost(f"cannot connect to {where.netloc}: {error}") from error

    def shakes_hands(self) -> str | None:
        """The upgrade; returns the subprotocol that was chosen."""
        where = urlsplit(self._transport.url)
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        headers = [(name.encode(), value.encode()) for name, value in self._transport.headers]
        request = Request(
            host=where.netloc,
            target=target,
            subprotocols=self._transport.subprotocols,
            extra_headers=headers,
        )
        try:
            self.write(self._protocol.send(request))
            return self._outcome()
        except (OSError, ValueError, ConnectionLost, RemoteProtocolError) as error:
            self._shut()
            raise ConnectionLost(f"no handshake: {error}") from error
        except HandshakeRefused:
            self._shut()
            raise

    def _outcome(self) -> str | None:
        refused: RejectConnection | None = None
        body = b""
        while True:
            chunk = self._socket.recv(CHUNK)
            self._protocol.receive_data(chunk or None)
            # One event at a time: those behind the acceptance belong to the reader.
            for event in self._protocol.events():
                if isinstance(event, AcceptConnection):
                    self._socket.settimeout(None)
                    return event.subprotocol
                if isinstance(event, RejectConnection):
                    refused = event
                if isinstance(event, RejectData):
                    body += bytes(event.data)
                ended = isinstance(event, RejectData) and event.body_finished
                if refused is not None and (ended or not refused.has_body):
                    raise _refusal(refused, body)
            if not chunk:
                if refused is not None:
                    raise _refusal(refused, body)
                raise ConnectionLost("the connection ended")

    def starts_reading(self) -> None:
        threading.Thread(target=self._reads, daemon=True).start()

    def _reads(self) -> None:
        code, reason = 1006, ""
        try:
            while True:
                for event in self._protocol.events():
                    if isinstance(event, CloseConnection):
                        code, reason = event.code, event.reason or ""
                        with contextlib.suppress(LocalProtocolError):
                            self.send(event.response())
                        return
                    self._handles(event)
                chunk = self._socket.recv(CHUNK)
                if not chunk:
                    return
                self._protocol.receive_data(chunk)
        except (OSError, ValueError, ConnectionLost):  # ValueError: a TLS socket that was closed meanwhile
            return
        except RemoteProtocolError as error:
            reason = str(error)
        finally:
            self._shut()
            if not self._ended:
                self._ended = True
                self._receiver.loses_connection(code, reason)

    def _handles(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._text.append(event.data)
            if event.message_finished:
                text, self._text = "".join(self._text), []
                self._receiver.receives(text)
        elif isinstance(event, Ping):
            self._transport.pings += 1
            if self._transport.answers_pings:
                self.send(event.response())

    def send(self, event: Event) -> None:
        with self._writing:
            try:
                data = self._protocol.send(event)
            except LocalProtocolError as error:
                raise ConnectionLost(str(error)) from error
            self._write(data)

    def write(self, data: bytes) -> None:
        with self._writing:
            self._write(data)

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"cannot send: {error}") from error

    def close(self) -> None:
        self._ended = True
        with contextlib.suppress(ConnectionLost):
            self.send(CloseConnection(CloseReason.NORMAL_CLOSURE))
        self._shut()

    def drop(self) -> None:
        self._ended = True
        self._shut()

    def _shut(self) -> None:
        # shutdown() wakes a reader that is blocked in recv(); close() alone does not. That of the plain socket,
        # for a TLS socket's own one takes the encryption away under the reader.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._socket.close()


def _refusal(event: RejectConnection, body: bytes) -> HandshakeRefused:
    headers = {name.decode().lower(): value.decode() for name, value in event.headers}
    return HandshakeRefused(event.status_code, headers, body)
