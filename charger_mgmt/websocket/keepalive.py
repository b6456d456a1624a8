"""One clock for all sockets of a process: pings, silence, and writes that do not end.

One greenlet walks the sockets every second; a timer or a greenlet for each socket would cost more memory
than the socket itself.
"""

from __future__ import annotations

import logging

import gevent

from ..clock import monotonic
from .socket import ChargerSocket

log = logging.getLogger(__name__)

#: How long a peer may leave a write unread before it is dropped. Seconds.
WRITE_DEADLINE = 20.0
#: Bytes of unfinished messages that all sockets together may hold here, and of one that is worth dropping for it.
MOST_HELD = 256 << 20
_WORTH_DROPPING = 16 << 10
#: Seconds between looks at them.
_HELD_EVERY = 5.0
_STEP = 1.0


class KeepAlive:
    """Pings every `interval` seconds (0: never) the sockets that have been quiet for as long.

    A socket is dead when not one byte came in for two intervals. Some chargers never answer a ping: until
    a socket has answered its first, it is given `patience` seconds instead, which should be more than a
    charger's heartbeat interval; the kernel ends it sooner if nothing acknowledges our pings.
    """

    def __init__(self, interval: float, patience: float, write_deadline: float = WRITE_DEADLINE) -> None:
        self.interval = interval
        self._patience = max(patience, 2 * interval)
        self._write_deadline = write_deadline
        self._sockets: set[ChargerSocket] = set()
        #: Sockets that were ever watched.
        self.opened = 0
        self._looked_at_held = 0.0

    def watch(self, socket: ChargerSocket) -> None:
        self._sockets.add(socket)
        self.opened += 1

    def forget(self, socket: ChargerSocket) -> None:
        self._sockets.discard(socket)

    def __len__(self) -> int:
        return len(self._sockets)

    def start(self) -> None:
        """Begin to walk, in a greenlet."""
        gevent.spawn(self._walk)

    def _walk(self) -> None:
        step = min(_STEP, self.interval / 4) if self.interval else _STEP
        looked_at = monotonic()
        while True:
            gevent.sleep(step)
            now = monotonic()
            late, looked_at = now - looked_at - step, now
            try:
                if late > step:
                    self.stood_still(late)
                self.tick(now)
            except Exception:  # a defect of ours must not end the pings
                log.exception("the walk over the sockets failed")

    def stood_still(self, seconds: float) -> None:
        """We ourselves were away: nobody was heard meanwhile, and nobody is blamed for it."""
        for socket in self._sockets:
            socket.heard_at += seconds
            socket.pinged_at += seconds
            if socket.writing_since is not None:
                socket.writing_since += seconds

    def tick(self, now: float) -> None:
        """Look at every socket once; `now` in monotonic seconds."""
        if now - self._looked_at_held >= _HELD_EVERY:
            self._looked_at_held = now
            self._bound_held()
        for socket in list(self._sockets):
            if socket.writing_since is not None and now - socket.writing_since > self._write_deadline:
                log.warning("dropping %s: it does not read what we send", socket.peer)
                socket.drop("the charger did not read what we sent")
            elif self.interval:
                self._look(socket, now)

    def _bound_held(self) -> None:
        """Who leaves long messages unfinished must not fill the memory: the longest go, until half is free."""
        total = sum(socket.held for socket in self._sockets)
        if total <= MOST_HELD:
            return
        log.warning("%d MB of unfinished messages are held: the longest are dropped", total >> 20)
        for socket in sorted(self._sockets, key=lambda one: one.held, reverse=True):
            if total <= MOST_HELD // 2 or socket.held < _WORTH_DROPPING:
                return
            total -= socket.held
            socket.drop("its message was not finished, and room was needed")

    def _look(self, socket: ChargerSocket, now: float) -> None:
        if not socket.reading:
            socket.heard_at = now  # it may have spoken; we were not listening
        silent = now - socket.heard_at
        if silent >= (2 * self.interval if socket.answers_pings else self._patience):
            log.info("dropping %s: silent for %.0f s", socket.peer, silent)
            socket.drop(f"the charger was silent for {silent:.0f} s")
        elif silent >= self.interval and now - socket.pinged_at >= self.interval:
            socket.pinged_at = now
            socket.ping()
