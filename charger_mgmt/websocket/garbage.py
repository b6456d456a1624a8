"""When Python looks for garbage: in small portions, so that nobody waits for it.

Reference counts free nearly everything; the collector is there for cycles. Left to itself it walks through every
living object again and again: with 10,000 chargers a million of them, half a second in which nobody is
answered, and while messages are stored a fifth of the worker's time. So what is alive is set aside (frozen) every
so often, and only what came since is looked at. What was set aside still goes when its last reference does; only
a cycle that dies later stays, so everything is looked at once when there is more set aside than the
sockets explain.
"""

from __future__ import annotations

import gc
import logging

import gevent

from ..clock import monotonic
from .keepalive import KeepAlive

log = logging.getLogger(__name__)

#: Python's own are (700, 10, 10): new objects before the youngest are looked at (a hundred thousand that are all
#: cycles, as failed requests leave them, take a tenth of a second), and how many of those looks
#: before older ones are.
THRESHOLDS = (20_000, 250, 100)
#: So many new sockets (a hundred and twenty objects each) are worth setting aside.
PORTION = 500
#: Seconds after which it is done anyway.
LONGEST = 60.0
#: Objects of a socket and its session, generously.
OF_A_SOCKET = 200
#: Objects set aside beyond what sockets explain that are worth a look at everything.
SURPLUS = 200_000
_STEP = 1.0
#: Seconds that deserve a line in the log.
_LONG = 0.25


class Garbage:
    """The collector's timetable for one process; `keepalive` knows the sockets."""

    def __init__(self, keepalive: KeepAlive, surplus: int = SURPLUS) -> None:
        self._keepalive = keepalive
        self._surplus = surplus
        self._opened = 0
        self._at = monotonic()
        #: Objects set aside that were there without any socket.
        self._base = 0

    def start(self) -> None:
        """Set aside all that is loaded, and keep to the timetable from now on, in a greenlet."""
        gc.set_threshold(*THRESHOLDS)
        self._look(monotonic(), everything=True)
        gevent.spawn(self._walk)

    def _walk(self) -> None:
        while True:
            gevent.sleep(_STEP)
            try:
                self.turn(monotonic())
            except Exception:  # the timetable must outlive whatever a destructor does
                log.exception("the look for garbage failed")

    def turn(self, now: float) -> None:
        """Look for garbage, if it is time; `now` in monotonic seconds."""
        if now - self._at >= LONGEST:
            self._look(now, everything=self._has_surplus())
        elif self._keepalive.opened - self._opened >= PORTION:
            self._look(now, everything=False)

    def _has_surplus(self) -> bool:
        explained = self._base + OF_A_SOCKET * len(self._keepalive)
        return gc.get_freeze_count() - explained > self._surplus

    def _look(self, now: float, *, everything: bool) -> None:
        self._opened, self._at = self._keepalive.opened, now
        began = monotonic()
        if everything:
            gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        if everything:
            self._base = max(0, gc.get_freeze_count() - OF_A_SOCKET * len(self._keepalive))
        took = monotonic() - began
        level = logging.INFO if took > _LONG else logging.DEBUG
        log.log(level, "%d objects of garbage in %.3f s%s", found, took, ", everything" if everything else "")
