"""What one source, or one charger that nobody has approved, may take of the chargers' door.

A source is an IPv4 address or the network of an IPv6 one (64 bits); behind a proxy of ours it is the client's
(TRUSTED_PROXIES). All of it is in this process's memory, bounded, and forgets the oldest first. Wrong passwords and new names
count wherever in the fleet they are tried (`tell`, `hear`); the rest is this process's own business.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from ..clock import monotonic
from ..feed import DoorTried
from ..proxies import source
from ..settings import Settings
from ..websocket import fairness
from ..websocket.fairness import Bucket

#: Seconds for which one who sent too much that said nothing is kept out.
PENALTY: Final = 20.0
#: Wrong passwords of one source at once, and a second in the long run.
GUESSES_AT_ONCE: Final = 20.0
GUESSES_A_SECOND: Final = 1 / 3
#: Identities that nobody knows of one source, a second in the long run and at once (see NEW_CHARGERS_PER_SOURCE, too).
NEW_A_SECOND: Final = 50.0
NEW_AT_ONCE: Final = 600.0
#: Dials of one identity from one source, the same.
DIALS_A_SECOND: Final = 10.0
DIALS_AT_ONCE: Final = 500.0
#: Wrong passwords at one charger from one source that are looked at whatever else comes from there.
OWN_AT_ONCE: Final = 3.0
OWN_A_SECOND: Final = 1 / 60
#: What one source may put into the inbox in an hour, in bytes, of messages that it may not send.
REFUSED_BYTES_PER_HOUR: Final = 1 << 20
_HOUR: Final = 3600.0
_MOST: Final = 10_000

K = TypeVar("K")
V = TypeVar("V")


class Sources:
    """Counts by source. Where it says seconds, these are what one should wait for; 0: nothing."""

    def __init__(self, settings: Settings) -> None:
        self._most_sockets = settings.anonymous_sockets_per_source
        self._new_chargers = settings.new_chargers_per_source
        self._unapproved_bytes = settings.unapproved_bytes_per_hour
        self._sockets: Counter[str] = Counter()
        self._penalties: OrderedDict[tuple[str, str, bool], float] = OrderedDict()
        self._guesses: OrderedDict[str, Bucket] = OrderedDict()
        self._guesses_at: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._new: OrderedDict[str, tuple[Bucket, ...]] = OrderedDict()
        self._spoken: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        self._dials: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        self._unapproved: OrderedDict[str, Bucket] = OrderedDict()
        self._told: OrderedDict[str, float] = OrderedDict()
        self._refused: OrderedDict[str, Bucket] = OrderedDict()
        #: Tells the other processes of a try that counts there, too.
        self.tell: Callable[[DoorTried], None] = lambda tried: None

    def hear(self, tried: DoorTried) -> None:
        """It was tried at another process."""
        if tried.new:
            self._take_new(tried.address)
        else:
            self._take_guess(tried.identity, tried.address)

    # Offenders

    def penalise(self, identity: str, address: str, *, proven: bool) -> None:
        """Keep somebody out for a while: this identity from this source, and not the one who has its password.

        "" stands for a flat socket that says no name.
        """
        key = identity, source(address), proven
        _kept(self._penalties, key, lambda: 0.0)
        self._penalties[key] = monotonic() + PENALTY

    def penalty(self, identity: str, address: str, *, proven: bool) -> int:
        """The seconds for which somebody is still kept out."""
        key = identity, source(address), proven
        left = self._penalties.get(key, 0.0) - monotonic()
        if left > 0:
            return math.ceil(left)
        self._penalties.pop(key, None)
        return 0

    # Passwords

    def guess_wait(self, identity: str, address: str) -> int:
        """Seconds until a password from this source is looked at.

        A charger that has proved itself from there need not wait, and each has a few tries whatever its
        neighbours do: the right one is enough.
        """
        origin, now = source(address), monotonic()
        everybody = self._guesses.get(origin)
        if everybody is None or (identity, origin) in self._proved:
            return 0
        own = self._guesses_at.get((identity, origin))
        return 0 if own is None else math.ceil(min(everybody.wait(now), own.wait(now)))

    def guessed(self, identity: str, address: str) -> None:
        """A password was wrong."""
        self._take_guess(identity, address)
        self.tell(DoorTried(identity, address, new=False))

    def _take_guess(self, identity: str, address: str) -> None:
        origin, now = source(address), monotonic()
        everybody = _kept(self._guesses, origin, lambda: Bucket(GUESSES_A_SECOND, GUESSES_AT_ONCE))
        own = _kept(self._guesses_at, (identity, origin), lambda: Bucket(OWN_A_SECOND, OWN_AT_ONCE))
        own.take(1, now)
        everybody.take(1, now)

    def guesses(self, address: str) -> bool:
        """Whether this source has tried too many wrong passwords."""
        everybody = self._guesses.get(source(address))
        return everybody is not None and everybody.wait(monotonic()) > 0

    def proved(self, identity: str, address: str) -> None:
        """A password was right."""
        _kept(self._proved, (identity, source(address)), lambda: None)

    # Strangers

    def new_charger_wait(self, identity: str, address: str) -> int:
        """Take one identity that nobody knows; the seconds to wait where too many came from there."""
        if not self._new_chargers:
            return 0
        now = monotonic()
        if wait := max(bucket.wait(now) for bucket in self._new_of(address)):
            return math.ceil(wait)
        self._take_new(address)
        self.tell(DoorTried(identity, address, new=True))
        return 0

    def _take_new(self, address: str) -> None:
        for bucket in self._new_of(address) if self._new_chargers else ():
            bucket.take(1, monotonic())

    def _new_of(self, address: str) -> tuple[Bucket, ...]:
        made = lambda: (  # noqa: E731
            Bucket(NEW_A_SECOND, NEW_AT_ONCE),
            Bucket(self._new_chargers / _HOUR, self._new_chargers),
        )
        return _kept(self._new, source(address), made)

    def dial_wait(self, identity: str, address: str) -> int:
        """Count one dial of an identity; the seconds to wait where there were too many."""
        made = lambda: Bucket(DIALS_A_SECOND, DIALS_AT_ONCE)  # noqa: E731
        bucket = _kept(self._dials, (identity, source(address)), made)
        return math.ceil(bucket.try_take(1, monotonic()))

    def frames_left(self, identity: str, address: str) -> Bucket:
        """A charger's bucket of frames: a new socket does not fill it again."""
        made = lambda: Bucket(fairness.FRAMES_A_SECOND, fairness.FRAMES_AT_ONCE)  # noqa: E731
        return _kept(self._spoken, (identity, source(address)), made)

    def takes_unapproved(self, identity: str, size: int) -> bool:
        """Whether so many bytes of a charger that nobody has approved are within its quota."""
        if not self._unapproved_bytes:
            return True
        made = lambda: Bucket(self._unapproved_bytes / _HOUR, self._unapproved_bytes)  # noqa: E731
        return not _kept(self._unapproved, identity, made).try_take(size, monotonic())

    def is_over_quota(self, identity: str) -> bool:
        """Whether nothing more of this charger is taken before it is approved."""
        bucket = self._unapproved.get(identity)
        return bucket is not None and bucket.wait(monotonic()) > 0

    def is_news(self, identity: str) -> bool:
        """Whether it was not said within the hour that this charger is over its quota."""
        now = monotonic()
        told = self._told.get(identity)
        if told is not None and now - told < _HOUR:
            return False
        _kept(self._told, identity, lambda: now)
        self._told[identity] = now
        return True

    def takes_refused(self, address: str, size: int) -> bool:
        """Whether so many bytes that this source may not say are kept all the same."""
        made = lambda: Bucket(REFUSED_BYTES_PER_HOUR / _HOUR, REFUSED_BYTES_PER_HOUR)  # noqa: E731
        return not _kept(self._refused, source(address), made).try_take(size, monotonic())

    # Sockets that prove nothing

    def is_full(self, address: str) -> bool:
        """Whether one more socket without a password is one too many of this source."""
        return 0 < self._most_sockets <= self._sockets[source(address)]

    def opened(self, address: str) -> None:
        self._sockets[source(address)] += 1

    def closed(self, address: str) -> None:
        origin = source(address)
        self._sockets[origin] -= 1
        if self._sockets[origin] <= 0:
            del self._sockets[origin]


def _kept(known: OrderedDict[K, V], key: K, made: Callable[[], V]) -> V:
    """The entry of a bounded memory, made when it is not there, and its newest from now on."""
    if key not in known:
        known[key] = made()
        if len(known) > _MOST:
            known.popitem(last=False)
    else:
        known.move_to_end(key)
    return known[key]
