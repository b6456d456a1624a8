"""People's passwords: which are taken, how they are kept.

No database connection is open while a password is hashed: hashing takes tens of milliseconds, and on
SQLite an open transaction would stop every charger's writes meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import argon2
import gevent
from gevent import monkey
from gevent.threadpool import ThreadPool
from zxcvbn import zxcvbn

from ..errors import InvalidInput, TooManyAttempts

SHORTEST = 8
LONGEST = 1024
#: Of zxcvbn's 0 to 4: more than a million guesses.
LEAST_SCORE = 2
#: Characters of a password that are judged: the time for it grows with their number far more than in proportion. What is longer is
#: judged by its beginning.
_JUDGED = 24

#: OWASP's second recommended set: 19 MiB, two passes.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: What an unknown name's password is checked against, so that both cases take the same time.
_NOBODY = _hasher.hash("no account has this password")


def hashed(username: str, password: str) -> str:
    """The new password of this account, as it is kept. Raises InvalidInput when it is easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(
            "The password is not acceptable.", {"password": f"{SHORTEST} to {LONGEST} characters"}
        )
    estimate = _in_thread(zxcvbn, password[:_JUDGED], [username], of="judging")
    if estimate["score"] < LEAST_SCORE:
        advice = estimate["feedback"]["warning"] or " ".join(estimate["feedback"]["suggestions"])
        raise InvalidInput(
            "The password is too easy to guess.", {"password": f"is too easy to guess. {advice}".strip()}
        )
    return str(_in_thread(_hasher.hash, password))


def matches(kept: str, password: str) -> bool:
    """Whether the password is the one that is kept; for "", an account without one, False after the same time.

    Raises TooManyAttempts when too many are waiting for that.
    """
    return bool(_in_thread(_matches, kept or _NOBODY, password)) and bool(kept)


def _matches(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


_MOST_WAITING = 64
_waiting = 0
_pools: dict[tuple[int, str], ThreadPool] = {}
#: Kind of work → how many at a time: who judges new passwords does not hold up who logs in.
_AT_A_TIME = {"hashing": 2, "judging": 1}


def _in_thread(function: Callable[..., Any], *arguments: Any, of: str = "hashing") -> Any:
    """Run slow work beside the loop; without gevent's patching there is no loop to block."""
    global _waiting
    if not monkey.is_module_patched("socket"):
        return function(*arguments)
    if _waiting >= _MOST_WAITING:
        raise TooManyAttempts("Too many logins at this moment.", 2)
    hub = gevent.get_hub()
    pool = _pools.get((id(hub), of))
    if pool is None:
        pool = _pools[id(hub), of] = ThreadPool(_AT_A_TIME[of], hub=hub)
    _waiting += 1
    try:
        return pool.apply(function, arguments)
    finally:
        _waiting -= 1
