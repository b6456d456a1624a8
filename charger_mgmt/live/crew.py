"""Greenlets that are kept for the next piece of work.

A new greenlet costs forty microseconds (Python maps a stack for it, and unmaps it at the end): more than
all else that the gateway does with a message. Handing work to one that waits costs two.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.hub import Waiter

#: Greenlets that may wait for work; the others end when theirs is done.
MOST_IDLE = 512


class Crew:
    """Runs pieces of work at the same time, each in a greenlet of its own; there is no limit to how many."""

    def __init__(self, most_idle: int = MOST_IDLE) -> None:
        self._most_idle = most_idle
        self._idle: list[Waiter] = []

    def run(self, work: Callable[[], None]) -> None:
        """Do this soon, in another greenlet; `work` never raises."""
        if self._idle:
            gevent.get_hub().loop.run_callback(self._idle.pop().switch, work)
        else:
            gevent.spawn(self._serve, [work])

    def _serve(self, first: list[Callable[[], None]]) -> None:
        work = first.pop()  # a greenlet keeps its arguments for as long as it lives
        waiter = Waiter()
        while True:
            work()
            del work  # what is done must not be kept in memory
            if len(self._idle) >= self._most_idle:
                return
            self._idle.append(waiter)
            work = waiter.get()
            waiter.clear()
