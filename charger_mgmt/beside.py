"""Long work is done beside the loop: in a thread, so that others are served meanwhile.

For pure functions only: what they are given must not change under them, and they must not touch sockets, locks or
the database.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import gevent
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")

#: Characters of a message beyond which reading it takes more than a few milliseconds: a thousand samples.
LONG: Final = 32_768
#: Long messages that may wait for their turn; whoever comes then is dropped, unacknowledged, and comes back.
MOST_WAITING: Final = 128
TOO_MANY_WAIT: Final = "too many long messages are waiting"


class LongOnes:
    """Long messages that are in hand at a time, from decoding to the commit; the others wait as text."""

    def __init__(self, most: int) -> None:
        self._turns = BoundedSemaphore(most)
        self._waiting = 0

    @property
    def has_room(self) -> bool:
        """Whether one more may wait; it should be asked before entering."""
        return self._waiting < MOST_WAITING

    def __enter__(self) -> None:
        self._waiting += 1
        try:
            self._turns.acquire()
        finally:
            self._waiting -= 1

    def __exit__(self, *_: object) -> None:
        self._turns.release()


long_ones: Final = LongOnes(2)
#: Seconds after which the loop gets the interpreter back from the thread.
_SWITCH: Final = 0.001

_pool: Any = None


def beside(size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns or raises; the greenlet waits for it when the message has a LONG size.

    One long piece of work at a time: those who send long messages wait for each other.
    """
    if size <= LONG:
        return function(*args, **kwargs)
    global _pool
    if _pool is None or _pool.hub is not gevent.get_hub():
        sys.setswitchinterval(_SWITCH)
        _pool = ThreadPool(1)
    return _pool.apply(function, args, kwargs)
