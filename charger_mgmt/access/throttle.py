"""How often one may guess a password. The limits hit who guesses, not whose password it is.

    one source, one account    10 a minute
    one source, all accounts   60 a minute
    one account, all sources   100 in ten minutes; then only sources that the account has logged in from before
    a known device             10 a minute, and none of the others

A device is known by the token that a log-in from it has got (`deviceToken`). In this process's memory; processes that share a
database tell each other what they count.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from .. import clock
from ..errors import TooManyAttempts


class Limit(NamedTuple):
    """So many attempts within so many seconds."""

    attempts: int
    window: float


OF_A_PAIR: Final = Limit(10, 60.0)
OF_A_DEVICE: Final = Limit(10, 60.0)
OF_A_SOURCE: Final = Limit(60, 60.0)
OF_AN_ACCOUNT: Final = Limit(100, 600.0)

_Key: TypeAlias = tuple[str, ...]
Keys: TypeAlias = tuple[_Key, ...]


#: Attempts under one key: more than any limit counts.
_REMEMBERED = 1000


@dataclass
class LoginThrottle:
    """Counts attempts. One counts when it begins, so that parallel guesses do not slip through."""

    monotonic: Callable[[], float] = clock.monotonic
    most_keys: int = 10_000
    #: Tells the other processes: an attempt under these keys, or (False) that it was no guess.
    tell: Callable[[Keys, bool], None] = lambda keys, counts: None
    #: Kind of the key → key → when. Each kind has a bounded memory of its own.
    _seen: dict[str, OrderedDict[_Key, deque[float]]] = field(
        default_factory=lambda: defaultdict(OrderedDict)
    )

    def begin(
        self,
        username: str,
        source: str,
        device: str | None,
        is_known: Callable[[], bool],
        *,
        exists: bool = True,
    ) -> None:
        """Count one attempt. Raises TooManyAttempts when a limit is reached.

        `device` names a device that the account has logged in from; `is_known` tells whether it has from this
        source, and is asked only when that decides. Names that no account has (`exists` False) are counted apart:
        made-up ones must not push out the memory of real ones.
        """
        if device is not None:
            self._count({("device", device): OF_A_DEVICE})
            return
        self._count({("pair", username, source): OF_A_PAIR, ("source", source): OF_A_SOURCE})
        account = ("account" if exists else "name", username)
        if self._wait(account, OF_AN_ACCOUNT) and is_known():
            return
        self._count({account: OF_AN_ACCOUNT})

    def succeeded(self, username: str, source: str, device: str | None) -> None:
        """It was no guess: what was counted for it is forgotten."""
        if device is not None:
            keys: Keys = (("device", device),)
        else:
            keys = (("pair", username, source), ("source", source), ("account", username))
        self.hear(keys, counts=False)
        self.tell(keys, False)

    def hear(self, keys: Keys, *, counts: bool) -> None:
        """There was an attempt under these keys; or it was no guess: what is its own is forgotten, of others' one is taken back."""
        now = self.monotonic()
        for key in keys:
            seen = self._seen[key[0]]
            if counts:
                seen.setdefault(key, deque(maxlen=_REMEMBERED)).append(now)
                seen.move_to_end(key)
                while len(seen) > self.most_keys:
                    seen.popitem(last=False)
            elif key[0] in ("device", "pair"):
                seen.pop(key, None)
            elif times := seen.get(key):
                times.pop()

    def _count(self, limits: dict[_Key, Limit]) -> None:
        wait = max(self._wait(key, limit) for key, limit in limits.items())
        if wait:
            raise TooManyAttempts("Too many failed logins; wait before the next one.", wait)
        self.hear(tuple(limits), counts=True)
        self.tell(tuple(limits), True)

    def _wait(self, key: _Key, limit: Limit) -> int:
        """Seconds until the next attempt; 0: now."""
        times, now = self._seen[key[0]].get(key), self.monotonic()
        if times is None:
            return 0
        while times and times[0] <= now - limit.window:
            times.popleft()
        return max(1, round(times[0] + limit.window - now)) if len(times) >= limit.attempts else 0
