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

#: Long messages that are in hand at a time, from decoding to the commit; the others wait as text.
long_ones: Final = BoundedSemaphore(2)
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
