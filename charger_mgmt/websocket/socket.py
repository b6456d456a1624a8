"""One charger's WebSocket, the server's end, on a gevent socket that gunicorn has accepted.

It takes the place of simple-websocket's Server in flask-sock (see extensions.py) and does what that one
does not: the caller's own greenlet reads, so that an idle socket costs one greenlet and while nobody reads
TCP pushes back; every write is whole; a peer that does not read is dropped (keepalive.py holds the
clock); messages are bounded; nothing is compressed.
"""

from __future__ import annotations

import contextlib
import logging
import socket as _socket
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha1
from typing import Any, Protocol

import gevent
from gevent.lock import BoundedSemaphore

from ..clock import A_TURN, monotonic
from . import fairness, frames
from .fairness import Bucket

log = logging.getLogger(__name__)

#: environ key: the subprotocol that the gateway has chosen (None: send no header).
SUBPROTOCOL = "charger_mgmt.subprotocol"

_RECEIVE_BYTES = 16384
_LOOK_EVERY, _SLICE = fairness.LOOK_EVERY, fairness.SLICE
#: How long we read on after our close frame, so that it is not lost in a TCP reset. Seconds.
LINGER = 1.0
_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class SocketClosed(Exception):
    """The socket is not open any more; nothing was written."""


class Watch(Protocol):
    """Who pings the sockets of a process, `interval` seconds apart (0: never), and drops the dead."""

    interval: float

    def watch(self, socket: ChargerSocket) -> None: ...
    def forget(self, socket: ChargerSocket) -> None: ...


class ChargerSocket:
    """A WebSocket to a charger: `receive`, `send`, `begin_send`, `close`, `drop`.

    For greenlets, not for threads.

    flask-sock makes it from the WSGI environ (which sends the 101) and the keywords in
    `SOCK_SERVER_OPTIONS`; of its interface it uses `close()` and `mode`.
    """

    __slots__ = (
        "_closing",
        "_counted",
        "_frames",
        "_keepalive",
        "_lock",
        "_open",
        "_readable",
        "_reader",
        "_sock",
        "_turn_began",
        "_wait",
        "_waste",
        "address",
        "answers_pings",
        "heard_at",
        "offended",
        "peer",
        "pinged_at",
        "reading",
        "why_closed",
        "writing_since",
    )

    #: Tells flask-sock how to end the request: gunicorn must not write a response.
    mode = "gunicorn"

    def __init__(
        self,
        environ: Mapping[str, Any],
        *,
        keepalive: Watch | None = None,
        max_message_bytes: int = 1 << 20,
    ) -> None:
        """Answer the upgrade request. Raises OSError when the peer has gone."""
        sock = environ["gunicorn.socket"]
        sock.settimeout(None)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        sock.sendall(_handshake(environ["HTTP_SEC_WEBSOCKET_KEY"], environ.get(SUBPROTOCOL)))
        self._sock = sock
        self._reader = frames.FrameReader(max_message_bytes)
        self._reader.feed(_sent_ahead(environ))
        self._lock = BoundedSemaphore(1)
        self._open = True
        #: We have sent our close frame (or refused to): nothing but the peer's answer matters now.
        self._closing = False
        self._counted = 0
        self._turn_began = monotonic()
        self._frames = Bucket(fairness.FRAMES_A_SECOND, fairness.FRAMES_AT_ONCE)
        self._waste = Bucket(fairness.WASTE_A_SECOND, fairness.WASTE_AT_ONCE)
        #: It was closed for what it sent: it may not come back at once.
        self.offended = False
        hub = gevent.get_hub()
        self._wait = hub.wait
        self._readable = hub.loop.io(sock.fileno(), 1)
        #: Where the charger dials from, and the same for the log, with the port where that is known.
        self.address = environ.get("REMOTE_ADDR", "?")
        self.peer = f"{self.address}:{environ.get('REMOTE_PORT', '')}".removesuffix(":")
        #: When the last byte came in, and when we last pinged (monotonic seconds).
        self.heard_at = self.pinged_at = monotonic()
        #: A greenlet waits for the peer; while it is False we are the silent ones.
        self.reading = False
        #: Since when a write has been under way; None: none is.
        self.writing_since: float | None = None
        #: The peer has answered a ping on this socket, so it can be expected to answer the next.
        self.answers_pings = False
        #: Why the socket ended, for the record; empty while it is open.
        self.why_closed = ""
        self._keepalive = keepalive
        if keepalive is not None:
            keepalive.watch(self)
            if keepalive.interval:
                # A network that swallows our pings ends the connection, also for peers that never pong.
                milliseconds = int(2000 * keepalive.interval)
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_USER_TIMEOUT, milliseconds)

    @property
    def held(self) -> int:
        """Bytes that wait here for the rest of their message."""
        return self._reader.held

    @property
    def is_open(self) -> bool:
        """Messages can still be sent."""
        return self._open and not self._closing

    def receive(self) -> str | None:
        """The next message as text; None: the socket has ended. Never raises.

        Pings are answered and pongs noted on the way. Only one greenlet may receive.
        """
        more = False
        try:
            while self._open:
                event = self._reader.next()
                if event is None:
                    self.reading = True
                    more_before = more
                    if not more:  # a try that finds nothing would cost as much as the read itself
                        self._wait(self._readable)
                    data = self._sock.recv(_RECEIVE_BYTES)
                    more = len(data) == _RECEIVE_BYTES
                    self.reading = False
                    if not data:
                        self._end("the charger's connection ended without a close frame")
                        break
                    self.heard_at = heard_at = monotonic()
                    if not more_before:
                        self._turn_began = heard_at
                    elif heard_at - self._turn_began > _SLICE:
                        self._turn()
                    self._reader.feed(data)
                    continue
                if self._reader.count - self._counted >= _LOOK_EVERY:
                    self._gives_way()
                if isinstance(event, str):
                    if not self._closing:
                        return event
                else:
                    self._control(event)
                    self.wasted()
        except frames.ProtocolViolation as violation:
            log.warning("closing %s: %s", self.peer, violation.reason)
            self.close(violation.code, violation.reason)
            self._drain()
        except (OSError, SocketClosed) as error:
            self._end(f"the connection broke: {error}")
        return None

    def shares(self, frames_left: Bucket) -> None:
        """Take from this bucket, which an earlier socket of the same charger may have emptied."""
        self._frames = frames_left

    def wasted(self) -> None:
        """A frame that said nothing. Who sends too many of them is closed with 1008."""
        if self._waste.take(1, monotonic()) and not self._closing:
            self.offended = True
            log.warning("closing %s: too many frames that say nothing", self.peer)
            self.close(frames.POLICY_VIOLATION, "too many frames that say nothing")

    def _gives_way(self) -> None:
        """After frames were read: let others have their turn, and push back if there are too many."""
        count, self._counted = self._reader.count - self._counted, self._reader.count
        now = monotonic()
        if wait := self._frames.take(count, now):
            gevent.sleep(wait)
            self._turn_began = monotonic()
        elif now - self._turn_began > _SLICE:
            self._turn()

    def _turn(self) -> None:
        fairness.turnstile.wait()
        self._turn_began = monotonic()

    def send(self, text: str) -> None:
        """Write one text message, whole. Raises SocketClosed, also when the peer would not read."""
        if (finish := self.begin_send(text)) is not None:
            finish()

    def begin_send(self, text: str) -> Callable[[], None] | None:
        """Write one text message without waiting. None: all of it is written.

        Otherwise what is returned must be called, in a greenlet that may wait: it writes the rest. Both
        raise SocketClosed.
        """
        if self._closing:
            raise SocketClosed(self.why_closed)
        return self._begin(frames.text_frame(text))

    def close(self, code: int = frames.NORMAL, reason: str = "") -> None:
        """Close in order: our close frame; the reader ends when the peer answers or LINGER is over."""
        if not self._open or self._closing:
            return
        self._closing = True
        self.why_closed = f"closed by us: {code} {reason}".rstrip()
        # If a write is stuck the close frame would be stuck behind it.
        if self._lock.locked() or not self._write_at_once(frames.close_frame(code, reason)):
            self.drop(self.why_closed)
        else:
            gevent.spawn_later(LINGER, self.drop, self.why_closed)

    def drop(self, why: str = "dropped by us") -> None:
        """End the connection at once, without a close frame: the charger counts itself offline."""
        if not self._open:
            return
        if self.writing_since is not None:
            # What a peer that does not read has left unread must not stay in the kernel.
            with contextlib.suppress(OSError):
                self._sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET_ON_CLOSE)
        self._end(why)

    def ping(self) -> None:
        """Send a ping unless a write is under way or the peer is not reading."""
        if self.is_open and not self._lock.locked():
            self._write_at_once(frames.ping_frame())

    def _control(self, event: frames.Ping | frames.Pong | frames.Close) -> None:
        if isinstance(event, frames.Pong):
            self.answers_pings = True
        elif isinstance(event, frames.Ping):
            if not self._closing and (finish := self._begin(frames.pong_frame(event.payload))) is not None:
                finish()
        else:
            if not self._closing and not self._lock.locked():
                self._write_at_once(frames.close_frame(event.code))
            self._end(self.why_closed or f"closed by the charger: {event.code or ''} {event.reason}".rstrip())

    def _begin(self, data: bytes) -> Callable[[], None] | None:
        if self._lock.locked():
            return partial(self._write_in_turn, data)
        # Nearly always there is room for it: no lock is needed where nothing can come between.
        try:
            data = data[self._sock.send(data, timeout=0.0) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(f"the connection broke: {error}")
            raise SocketClosed(self.why_closed) from None
        if not data:
            return None
        self._lock.acquire()  # it is free: nobody else may write before the rest is written
        self.writing_since = monotonic()
        return partial(self._write_rest, data)

    def _write_in_turn(self, data: bytes) -> None:
        self._lock.acquire()
        self.writing_since = monotonic()
        self._write_rest(data)

    def _write_rest(self, data: bytes) -> None:
        """Write it all and let the next writer have the lock, which is ours."""
        try:
            if self._closing:
                raise SocketClosed(self.why_closed)
            self._sock.sendall(data)
        except OSError as error:
            self._end(f"the connection broke: {error}")
            raise SocketClosed(self.why_closed) from None
        finally:
            self.writing_since = None
            self._lock.release()

    def _write_at_once(self, data: bytes) -> bool:
        """Write a small frame without waiting; False: there was no room for it (or the peer has gone)."""
        try:
            sent = self._sock.send(data, timeout=0.0)
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(f"the connection broke: {error}")
            return False
        if 0 < sent < len(data):  # a torn frame cannot be mended
            self._end("the connection is stuck")
            return False
        return bool(sent > 0)

    def _drain(self) -> None:
        """Read and forget until the peer ends or LINGER is over: a reset would overtake our close frame."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(_socket.SHUT_WR)
            while self._open and self._sock.recv(_RECEIVE_BYTES):
                gevent.sleep(A_TURN)
        self._end(self.why_closed)

    def _end(self, why: str) -> None:
        """The connection is over; wake whoever reads or writes. gunicorn closes the descriptor."""
        if not self._open:
            return
        self._open, self._closing = False, True
        self.why_closed = why
        if self._keepalive is not None:
            self._keepalive.forget(self)
        with contextlib.suppress(OSError):
            self._sock.shutdown(_socket.SHUT_RDWR)


def _sent_ahead(environ: Mapping[str, Any]) -> bytes:
    """What the peer has sent together with its handshake, without waiting for our answer.

    gunicorn's parser has read it already, and would take it for the next request.
    """
    unreader = getattr(getattr(environ.get("wsgi.input"), "reader", None), "unreader", None)
    return b"" if unreader is None else unreader.take_buffered()


def _handshake(key: str, subprotocol: str | None) -> bytes:
    accept = b64encode(sha1(key.strip().encode("latin-1") + _ACCEPT_SUFFIX).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
