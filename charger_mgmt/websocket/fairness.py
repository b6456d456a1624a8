"""What one connection may take of the loop that all share.

Time: whoever has more to say than one message stands in line every SLICE (`Turnstile`), and of each turn of the loop
those in line get no more than SHARE, however many they are. Rate: a token bucket for each
connection; when it is empty nothing is read for a while, and TCP pushes back. Nobody is cut off for speaking
much, only for speaking much that says nothing (`Waste`).
"""

from __future__ import annotations

from collections import deque
from typing import Final

import gevent
from gevent.hub import Waiter

from ..clock import A_TURN, monotonic

#: Seconds that one connection may keep the loop to itself.
SLICE: Final = 0.0003
#: Seconds of one turn of the loop for all of those in line.
SHARE: Final = 0.004
#: Frames of one WebSocket after which the clock and its bucket are looked at.
LOOK_EVERY: Final = 8
#: Frames a second on one WebSocket in the long run, and at once. A charger waits for each answer, so it sends
#: as fast as that only when it empties its queue.
FRAMES_A_SECOND: Final = 100.0
FRAMES_AT_ONCE: Final = 1000.0
#: The same for requests on one HTTP connection, and how many it may make in all.
REQUESTS_A_SECOND: Final = 200.0
REQUESTS_AT_ONCE: Final = 1000.0
REQUESTS_IN_ALL: Final = 20_000
#: Frames a second that say nothing (pings, pongs, empty or broken messages, unknown actions), and at once.
WASTE_A_SECOND: Final = 5.0
WASTE_AT_ONCE: Final = 300.0


class Turnstile:
    """Lets those through one by one who have more to say; everybody else does not pass here."""

    def __init__(self) -> None:
        self._line: deque[Waiter] = deque()
        self._guard: gevent.Greenlet | None = None

    def wait(self) -> None:
        """Stand in line until it is one's turn."""
        waiter = Waiter()
        self._line.append(waiter)
        if self._guard is None:
            self._guard = gevent.spawn(self._lets_through)
        waiter.get()

    def _lets_through(self) -> None:
        began = monotonic()
        while self._line:
            waiter = self._line.popleft()
            waiter.hub.loop.run_callback(waiter.switch, None)
            gevent.sleep(0)  # it works now, until it waits for something
            if monotonic() - began > SHARE:
                gevent.sleep(A_TURN)
                began = monotonic()
        self._guard = None


#: The one of this process.
turnstile: Final = Turnstile()


class Bucket:
    """Tokens that come back at a rate; whoever takes more than there are waits."""

    __slots__ = ("_at", "_most", "_rate", "_tokens")

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._tokens, self._at = most, monotonic()

    def wait(self, now: float) -> float:
        """The seconds until a whole token is there; 0: one is."""
        tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        return (1 - tokens) / self._rate if tokens < 1 else 0.0

    def try_take(self, count: float, now: float) -> float:
        """Take tokens if a whole one is there; else the seconds until it is, and nothing is taken."""
        if wait := self.wait(now):
            return wait
        self.take(count, now)
        return 0.0

    def take(self, count: float, now: float) -> float:
        """Take tokens; the seconds to wait for those that are missing (0: none are)."""
        tokens = min(self._most, self._tokens + (now - self._at) * self._rate) - count
        self._tokens, self._at = tokens, now
        return -tokens / self._rate if tokens < 0 else 0.0
