"""When Python looks for garbage: in small portions, so that nobody waits for it.

Reference counts free nearly everything; the collector is there for cycles. Left to itself it walks through every
living object again and again: with 10,000 chargers a million of them, half a second in which nobody is
answered, and while messages are stored a fifth of the worker's time. So what is alive is set aside (frozen) every
so often, and only what came since is looked at. A socket that ends after it was set aside leaves a cycle (flask-sock
makes a class for each connection), so after as many have ended as are held everything is looked at once.
"""

from __future__ import annotations

import gc
import logging

import gevent

from ..clock import monotonic
from .keepalive import KeepAlive

log = logging.getLogger(__name__)

#: Python's own are (700, 10, 10): new objects before the youngest are looked at, and how many of those looks
#: before older ones are.
THRESHOLDS = (50_000, 5, 10)
#: So many new sockets (a hundred objects each) are worth setting aside.
PORTION = 500
#: Seconds after which it is done anyway.
LONGEST = 60.0
#: Ended sockets are not worth a look at everything before there are so many.
FEWEST_ENDED = 1000
_STEP = 1.0
#: Seconds that deserve a line in the log.
_LONG = 0.25


class Garbage:
    """The collector's timetable for one process; `keepalive` knows the sockets."""

    def __init__(self, keepalive: KeepAlive, longest: float = LONGEST) -> None:
        self._keepalive = keepalive
        self._longest = longest
        self._opened = self._ended = 0
        self._at = 0.0

    def start(self) -> None:
        """Set aside all that is loaded, and keep to the timetable from now on, in a greenlet."""
        gc.set_threshold(*THRESHOLDS)
        self._look(everything=True)
        gevent.spawn(self._walk)

    def _walk(self) -> None:
        while True:
            gevent.sleep(_STEP)
            self.turn()

    def turn(self) -> None:
        """Look for garbage, if it is time."""
        sockets = self._keepalive
        if sockets.ended - self._ended >= max(FEWEST_ENDED, len(sockets)):
            self._look(everything=True)
        elif sockets.opened - self._opened >= PORTION or monotonic() - self._at >= self._longest:
            self._look(everything=False)

    def _look(self, *, everything: bool) -> None:
        began = monotonic()
        if everything:
            gc.unfreeze()
            self._ended = self._keepalive.ended
        found = gc.collect()
        gc.freeze()
        self._opened, self._at = self._keepalive.opened, monotonic()
        took = self._at - began
        log.log(
            logging.INFO if took > _LONG else logging.DEBUG, "%d objects of garbage in %.3f s", found, took
        )
