"""HTTP connections between two of their requests: who waits, and whose turn it is.

gunicorn handles a connection's requests one after the other in one greenlet, and never looks up while there is
more to read. `Waiting.within` stands around each wait for a request (see gunicorn.conf.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

import gevent

from ..clock import monotonic
from ..websocket import fairness
from ..websocket.fairness import Bucket


class _Connection:
    """What one connection has asked so far."""

    __slots__ = ("bucket", "requests")

    def __init__(self) -> None:
        self.bucket = Bucket(fairness.REQUESTS_A_SECOND, fairness.REQUESTS_AT_ONCE)
        self.requests = 0


class Waiting:
    """The connections that wait for a request; their greenlets by what they have asked."""

    def __init__(self) -> None:
        #: Those that wait, the oldest first: since when (monotonic seconds), and what ends the wait.
        self._greenlets: dict[Any, tuple[float, type[BaseException]]] = {}
        self._connections: WeakKeyDictionary[Any, _Connection] = WeakKeyDictionary()

    def within(self, seconds: float) -> _Wait:
        """Around the wait, which is over in silence after so many seconds."""
        return _Wait(self, seconds)

    def __len__(self) -> int:
        return len(self._greenlets)

    def end_oldest(self, count: int, patience: float) -> int:
        """End so many waits, the oldest first, of those that have lasted longer than `patience` (seconds); how many."""
        until = monotonic() - patience
        oldest = [
            (greenlet, ending)
            for greenlet, (since, ending) in islice(self._greenlets.items(), count)
            if since < until
        ]
        for greenlet, ending in oldest:
            greenlet.kill(ending, block=False)
        return len(oldest)

    @contextmanager
    def for_body(self, ending: type[BaseException]) -> Iterator[None]:
        """Around the wait for a request's body, which may be ended as well, by this exception."""
        greenlet = gevent.getcurrent()
        self._greenlets[greenlet] = monotonic(), ending
        try:
            yield
        finally:
            self._greenlets.pop(greenlet, None)

    def end(self) -> None:
        """End the waits: gunicorn takes StopIteration for a client that says no more."""
        for greenlet, (_, ending) in list(self._greenlets.items()):
            if ending is StopIteration:
                greenlet.kill(ending, block=False)


class _Wait:
    """One wait, and then one's turn.

    Entering raises StopIteration when the connection has made all the requests that one may.
    """

    def __init__(self, waiting: Waiting, seconds: float) -> None:
        self._waiting, self._seconds = waiting, seconds
        self._greenlet = gevent.getcurrent()
        self._timeout: Any = None

    def __enter__(self) -> None:
        connections = self._waiting._connections
        connection = connections.get(self._greenlet)
        if connection is None:
            connection = connections[self._greenlet] = _Connection()
        else:
            connection.requests += 1
            if connection.requests >= fairness.REQUESTS_IN_ALL:
                raise StopIteration
            if seconds := connection.bucket.take(1, monotonic()):
                gevent.sleep(seconds)
        self._waiting._greenlets[self._greenlet] = monotonic(), StopIteration
        self._timeout = gevent.Timeout.start_new(self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._waiting._greenlets.pop(self._greenlet, None)
        self._timeout.close()
        if error is None:
            fairness.turnstile.wait()
        return error is self._timeout
