"""After an outage everybody comes back at once: how many are let in at a time, and when they speak again."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event

from ..clock import monotonic

#: For so long after an outage of the database (seconds) boots are told to spread their heartbeats.
RECOVERY = 600.0
#: The shortest interval then, as a share of the ordinary one. Only ever shorter: a longer one would outlast
#: the limit of silence.
SHORTEST = 0.5
#: So many times as many as may be on their way in stand in line. Who dials anew costs more, and loses seconds.
LINE = 5
#: A charger that was turned away may knock again after so many seconds, at random.
SOONEST, LATEST = 1, 10


class Pacing:
    """Counts the chargers that are on their way in, from the first lookup to the committed connection.

    A limit on how many may be at once (`most`; 0: none) follows the database's real speed, where a rate
    would have to guess it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entering = 0
        #: Newcomers that wait for room.
        self._line: deque[Event] = deque()

    @property
    def is_full(self) -> bool:
        return 0 < self._most <= self._entering

    def waits_for_room(self, seconds: float) -> bool:
        """Stand in line for at most so long; whether there is room. A short wait costs less than a new dial."""
        deadline = monotonic() + seconds
        first = len(self._line)
        while self.is_full:  # also after a turn: one who was let in before may have taken the room meanwhile
            if first >= LINE * self._most:
                return False
            turn = Event()
            self._line.insert(first, turn)
            if not turn.wait(deadline - monotonic()) and turn in self._line:
                self._line.remove(turn)
                return False
            first = 0
        return True

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Around whatever the database has to do for a newcomer."""
        self._entering += 1
        try:
            yield
        finally:
            self._entering -= 1
            if self._line and not self.is_full:
                self._line.popleft().set()


def retry_after() -> str:
    """The Retry-After header's value, different for each, so that those turned away do not return together."""
    return str(random.randint(SOONEST, LATEST))


def heartbeat_interval(ordinary: int, since_return: float | None) -> int:
    """What a boot is told, in seconds; `since_return` those since the database came back (None: never away)."""
    if since_return is None or since_return > RECOVERY:
        return ordinary
    return max(1, round(ordinary * random.uniform(SHORTEST, 1.0)))
