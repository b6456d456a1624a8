"""What has happened: facts, told to whoever wants to know once they are committed.

Whoever stores something hands its facts to `Feed.publish` after the commit, never before. In this process that is a
function call; a bus between processes would stand behind the same two functions, so a fact may also never come:
whoever waits for one looks at the database when his time is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from gevent.event import Event

from .. import clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """A transaction has its row; `command_id` names the remote start that caused it, if one did."""

    identity: str
    transaction_id: int
    command_id: int | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A transaction is Completed."""

    identity: str
    transaction_id: int


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A call to a charger has come to its last state: answered, refused, or given up."""

    identity: str
    command_id: int


Fact: TypeAlias = SessionBegan | SessionEnded | CommandEnded
Listener: TypeAlias = Callable[[Fact], None]
T = TypeVar("T")


class Feed:
    """Tells facts to those who have subscribed. For greenlets, not for threads."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def publish(self, facts: Iterable[Fact]) -> None:
        """Tell what has been committed. Never waits and never raises: a listener that fails is logged."""
        for fact in facts:
            for listener in list(self._listeners):
                try:
                    listener(fact)
                except Exception:
                    log.exception("a listener failed on %s", fact)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell the listener of every fact from now on; it must not wait. Returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def awaits(
        self, matches: Callable[[Fact], bool], look: Callable[[], T | None], deadline: float
    ) -> T | None:
        """What `look` finds: now, or once a fact has come that matches, or at the deadline (monotonic seconds)."""
        came = Event()

        def listener(fact: Fact) -> None:
            if matches(fact):
                came.set()

        unsubscribe = self.subscribe(listener)
        try:
            while (found := look()) is None and (left := deadline - clock.monotonic()) > 0:
                came.wait(left)
                came.clear()
            return found
        finally:
            unsubscribe()
