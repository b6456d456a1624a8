"""Long work is done beside the loop: in a thread, so that others are served meanwhile.

For pure functions only: what they are given must not change under them, and they must not touch sockets, locks or
the database.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, TypeVar

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")

#: Characters of a message beyond which reading it takes more than a few milliseconds: a thousand samples.
LONG: Final = 32_768
#: Long messages that may wait for their turn; whoever comes then is dropped, unacknowledged, and comes back.
MOST_WAITING: Final = 256
MOST_OF_A_SOURCE: Final = 32
TOO_MANY_WAIT: Final = "too many long messages are waiting"


class LongOnes:
    """Long messages that are in hand at a time, from decoding to the commit; the others wait as text.

    Those whose sender has proved itself go before the others; of one source only so many may wait.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._proven: deque[Event] = deque()
        self._others: deque[Event] = deque()
        self._waiting: Counter[str] = Counter()

    def has_room(self, source: str) -> bool:
        """Whether one more of this source may wait; to be asked before `turn`."""
        return self._waiting[source] < MOST_OF_A_SOURCE and self._waiting.total() < MOST_WAITING

    @contextmanager
    def turn(self, source: str, *, proven: bool = False) -> Iterator[Callable[[], None]]:
        """Wait for one's turn. It ends with the block, or earlier by calling what is given."""
        if self._free > 0:
            self._free -= 1
        else:
            self._wait(source, self._proven if proven else self._others)
        ended = False

        def end() -> None:
            nonlocal ended
            if ended:
                return
            ended = True
            self._pass_on()

        try:
            yield end
        finally:
            end()

    def _pass_on(self) -> None:
        """A turn is over: the next in line has it, those who have proved themselves first."""
        line = self._proven or self._others
        if line:
            line.popleft().set()
        else:
            self._free += 1

    def _wait(self, source: str, line: deque[Event]) -> None:
        mine = Event()
        line.append(mine)
        self._waiting[source] += 1
        try:
            mine.wait()
        except BaseException:  # killed while it stood in line, or just as its turn came
            if mine in line:
                line.remove(mine)
            elif mine.is_set():
                self._pass_on()
            raise
        finally:
            self._waiting[source] -= 1
            if not self._waiting[source]:
                del self._waiting[source]


long_ones: Final = LongOnes(2)
#: Seconds after which the loop gets the interpreter back from the thread.
_SWITCH: Final = 0.001

_pool: Any = None


def size_of(text: str, dialect: str) -> int:
    """The size of a message whose work is done inside of a transaction.

    SQLite's writers wait in the driver, where nobody else has a turn: whoever holds its lock must not give his away.
    """
    return 0 if dialect == "sqlite" else len(text)


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
    done: T = _pool.apply(function, args, kwargs)
    return done
