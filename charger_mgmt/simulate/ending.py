"""One end that many wait for, each with a time-out of its own."""

from __future__ import annotations

import threading


class Ending:
    """Like an Event that is set once; safe for many waiters under gevent.

    gevent's Event (which patched threading has too) forgets a waiter: one that comes between `set` and the
    waking of the others gets no timer, and is lost when the time-out of the last of the others ends in between.
    Chargers come to wait at any moment, so here each waits for an event of its own.
    tests/simulate/test_ending.py shows both.
    """

    def __init__(self) -> None:
        self._has_come = False
        self._waiting: set[threading.Event] = set()

    def is_set(self) -> bool:
        return self._has_come

    def set(self) -> None:
        """It has come: everybody wakes."""
        self._has_come = True
        for waiting in list(self._waiting):
            waiting.set()

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds at most; True: the end has come."""
        waiting = threading.Event()
        self._waiting.add(waiting)
        try:
            # asked after entering the list: `set` in another thread either finds the event there or was seen
            return self._has_come or waiting.wait(seconds)
        finally:
            self._waiting.discard(waiting)
