"""What has happened: facts, told to whoever wants to know once they are committed.

They are what we have stored; those of domain/facts.py are what a charger says.

Whoever stores something hands its facts to `Feed.publish` after the commit, never before. In this process that is a
function call; the other processes hear of it over the bus (bus.py). There a fact may also never come: what must be known
for sure is looked up in the database when the time is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar, cast, get_args

from gevent.event import Event

from . import clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """A transaction has its row; `command_id` names the remote start that caused it, if one did."""

    identity: str
    transaction_id: int
    id_tag_status: str
    command_id: int | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A transaction is Completed."""

    identity: str
    transaction_id: int


@dataclass(frozen=True, slots=True)
class CommandQueued:
    """A call to a charger has its row and waits for its `owner`, the process that holds the charger's socket.

    `payload` is what is to be sent, secrets included: they are in no row.
    """

    identity: str
    command_id: int
    charger_id: int
    owner: str
    action: str
    payload: dict[str, Any]
    message_id: str
    requested_by: str
    #: Of a new AuthorizationKey: whether the charger has it is known only from its answer.
    key_hash: str | None = None
    #: Of the charger's keys: no answer is kept with one of them in it.
    known_hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A call to a charger has come to its last `state` (commands/command_rows.py): answered, refused, or given up.

    `error_code` and `error_description` are those of a CALLERROR, or say why nothing was sent, or no answer came.
    """

    identity: str
    command_id: int
    state: str
    response: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_description: str | None = None
    sent: bool = True


@dataclass(frozen=True, slots=True)
class ChargerChanged:
    """An operator has changed how a charger is dealt with.

    `shut_out`: why its sockets must end; None: they stay. `boot_is_due`: it was Pending and is let in now.
    """

    identity: str
    admitted: bool | None = None
    strict: bool | None = None
    automatic_calls: bool | None = None
    shut_out: str | None = None
    boot_is_due: bool = False
    #: Whether its messages are kept from now on: "on", "off", "share" (as the setting has it).
    journal: str | None = None


@dataclass(frozen=True, slots=True)
class NewConnectionWanted:
    """An operator wants the charger to dial anew."""

    identity: str


@dataclass(frozen=True, slots=True)
class ConnectionTaken:
    """A newer socket speaks for the charger, at `process_id`; older ones, elsewhere, must end."""

    identity: str
    generation: int
    process_id: str


@dataclass(frozen=True, slots=True)
class LogInTried:
    """Somebody has tried to log in, under the keys of access/throttle.py; not `counts`: it was no guess.

    It concerns no charger.
    """

    keys: tuple[tuple[str, ...], ...]
    counts: bool
    identity: str = ""


@dataclass(frozen=True, slots=True)
class DoorTried:
    """A wrong password, or a name that nobody knows (`new`), was tried at the chargers' door, from this address."""

    identity: str
    address: str
    new: bool


Happened: TypeAlias = (
    SessionBegan
    | SessionEnded
    | CommandQueued
    | CommandEnded
    | ChargerChanged
    | NewConnectionWanted
    | ConnectionTaken
    | LogInTried
    | DoorTried
)
#: By their names.
KINDS: Final = {kind.__name__: kind for kind in get_args(Happened)}
Listener: TypeAlias = Callable[[Happened], None]
F = TypeVar("F")


class Heard:
    """The facts about one charger since somebody began to listen."""

    def __init__(self) -> None:
        self._facts: list[Happened] = []
        self._news = Event()

    def take(self, fact: Happened) -> None:
        self._facts.append(fact)
        self._news.set()

    def first(self, kind: type[F], matches: Callable[[F], bool], deadline: float) -> F | None:
        """The first one that matches: heard already, or until the deadline (monotonic seconds)."""
        while True:
            for fact in self._facts:
                if isinstance(fact, kind) and matches(fact):
                    return fact
            if (left := deadline - clock.monotonic()) <= 0:
                return None
            self._news.clear()
            self._news.wait(left)


class Feed:
    """Tells facts to those who have subscribed. For greenlets, not for threads."""

    def __init__(self) -> None:
        #: Kind of fact → who wants to know; None: every kind.
        self._listeners: dict[type | None, list[Listener]] = {}
        #: Identity → who waits for news of that charger: thousands may, and each fact concerns one or two.
        self._waiting: dict[str, list[Heard]] = {}
        #: Tells the other processes.
        self.beyond: Callable[[Collection[Happened]], None] | None = None

    def publish(self, facts: Collection[Happened]) -> None:
        """Tell what has been committed. Never waits and never raises: a listener that fails is logged."""
        self.tell_here(facts)
        if self.beyond is not None:
            self.beyond(facts)

    def tell_here(self, facts: Collection[Happened]) -> None:
        """The same, to this process alone."""
        for fact in facts:
            for listener in [*self._listeners.get(type(fact), ()), *self._listeners.get(None, ())]:
                try:
                    listener(fact)
                except Exception:
                    log.exception("a listener failed on %s of charger %s", type(fact).__name__, fact.identity)
            for heard in self._waiting.get(fact.identity, ()):
                heard.take(fact)

    def subscribe(self, kind: type[F] | None, listener: Callable[[F], None]) -> Callable[[], None]:
        """Tell the listener of every fact of this kind (None: any) from now on; it must not wait.

        Returns what ends that.
        """
        listeners = self._listeners.setdefault(kind, [])
        listeners.append(cast(Listener, listener))
        return lambda: listeners.remove(cast(Listener, listener))

    @contextmanager
    def listening(self, identity: str) -> Iterator[Heard]:
        """Keep the facts about a charger, from before what causes them."""
        heard = Heard()
        self._waiting.setdefault(identity, []).append(heard)
        try:
            yield heard
        finally:
            waiting = self._waiting[identity]
            waiting.remove(heard)
            if not waiting:
                del self._waiting[identity]
