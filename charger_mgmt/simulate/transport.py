"""What a fake charger needs of a connection, and the faults that its side can meet.

ChargerSideError
├── HandshakeRefused    the central system answered the upgrade with something other than 101
├── Offline             there is no connection
├── ConnectionLost      the connection ended before the answer came
├── NotAnswered         no answer in time
└── CallRefused         the answer was an error
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from .. import clock


class ChargerSideError(Exception):
    """Base of the faults that a fake charger meets."""


class HandshakeRefused(ChargerSideError):
    """The upgrade was answered with `status` (an HTTP code), `headers` and `body`."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}: {body[:200]!r}")
        self.status = status
        self.headers = headers
        self.body = body


class Offline(ChargerSideError):
    """There is no connection to the central system."""


class ConnectionLost(ChargerSideError):
    """The connection ended before the answer came."""


class NotAnswered(ChargerSideError):
    """No answer came in time."""


class CallRefused(ChargerSideError):
    """The central system answered with an error: `code`, `description`."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class Receiver(Protocol):
    """The charger, as its connection sees it."""

    def receives(self, text: str) -> None:
        """One text message came in."""

    def loses_connection(self, code: int, reason: str) -> None:
        """The connection ended from the other side; 1006: without a close frame."""


class Primitives(Protocol):
    """What the charger uses of `threading`."""

    Event: Callable[[], Any]
    Lock: Callable[[], Any]
    RLock: Callable[[], Any]


class Transport(Protocol):
    """A connection that can be opened again after it ended."""

    #: Whatever `send` causes has happened when it returns: there is nothing to wait for.
    synchronous: bool
    #: What the charger waits and locks with: `threading`, or something that has the same names.
    primitives: Primitives

    def open(self, receiver: Receiver) -> None:
        """Connect. Raises HandshakeRefused or ConnectionLost."""

    def send(self, text: str) -> None:
        """Raises ConnectionLost."""

    def close(self) -> None:
        """End orderly, with a close frame."""

    def drop(self) -> None:
        """End as a power cut does: without a word."""

    def later(self, job: Callable[[], Any], after: float = 0.0) -> None:
        """Run `job` apart from the receiving, `after` seconds from now."""


class Clock(Protocol):
    """A charger's clock."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return clock.now()

    def monotonic(self) -> float:
        return clock.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def stamp(moment: datetime) -> str:
    """A timestamp as this charger writes it: UTC with milliseconds.

    Milliseconds, because two equal sessions within one second would count as one that was repeated.
    """
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
