"""The orderly end of a process: every charger is told to come back, at once.

Code 1012 (Service Restart, IANA's registry for RFC 6455): a client that knows it redials with back-off, one
that does not sees an abnormal end and redials as well. Chargers that take a *normal* close (1000) for good
are known, so that code is not used here; whoever has not answered the close frame soon is dropped without
further ceremony.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import Any

import gevent

from ..clock import monotonic
from ..websocket import frames
from .central_system import CentralSystem
from .parts import Gateway

log = logging.getLogger(__name__)

#: Seconds that chargers have to answer our close frame. With gunicorn's own second of delay the sockets are
#: closed within two.
GRACE = 1.0
#: Seconds in which a balancer has asked whether we are ready.
NOTICED_AFTER = 3.0
#: Seconds between two portions of chargers that are let go.
_PORTION_SECONDS = 0.1


def drain(central: CentralSystem, gateway: Gateway) -> None:
    """Let the chargers go to the other processes, a few at a time over DRAIN_SECONDS. The balancer hears of it first."""
    seconds = central.settings.drain_seconds
    if central.alone or not seconds:
        return
    central.draining = True
    noticed = min(NOTICED_AFTER, seconds / 3)
    gevent.sleep(noticed)
    gateway.admission.stopping = True
    held = central.registry.held()
    log.info("%d chargers are let go, over %d s", len(held), seconds)
    pause = (seconds - noticed) / max(1, len(held))
    for number, session in enumerate(held, 1):
        session.close(frames.SERVICE_RESTART, "the server restarts, please reconnect")
        if number % max(1, round(_PORTION_SECONDS / pause)) == 0:
            gevent.sleep(_PORTION_SECONDS)


def shutdown(
    central: CentralSystem, gateway: Gateway, release: Callable[[], None], grace: float = GRACE
) -> None:
    """Take no more connections, close every charger's socket, wait at most `grace` seconds, drop the rest; `release`.

    After a reload the next worker accepts those that come meanwhile: they wait in the kernel. What comes on a
    connection that there was already is answered 503.
    """
    gateway.admission.stopping = True
    for listener in gateway.listeners:
        listener.close()
    gateway.waiting.end()
    registry = central.registry
    leaving = registry.held()
    for session in leaving:
        session.close(frames.SERVICE_RESTART, "the server restarts, please reconnect")
    deadline = monotonic() + grace
    while registry.held() and monotonic() < deadline:
        gevent.sleep(0.02)
    for session in registry.held():
        session.drop("the server restarts")
    if leaving:
        log.info("closed %d chargers' sockets for the shutdown", len(leaving))
    release()  # the next process may begin, while an operator's last request is still under way


def shut_down_on_sigterm(drain: Callable[[], None], stop: Callable[[], None]) -> None:
    """In a gunicorn worker: on SIGTERM `drain` first, then close the chargers' sockets beside whatever gunicorn does.

    Without it the worker would wait for them until its graceful timeout.
    """
    before: Any = signal.getsignal(signal.SIGTERM)
    begun = False

    def on_sigterm(number: int, frame: Any) -> None:
        nonlocal begun
        if begun:
            return
        begun = True
        gevent.spawn(ends, number, frame)  # a signal handler must not block

    def ends(number: int, frame: Any) -> None:
        try:
            drain()
        finally:
            before(number, frame)  # gunicorn takes no more connections, and waits for those that there are
            stop()

    signal.signal(signal.SIGTERM, on_sigterm)
