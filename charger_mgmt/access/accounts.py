"""Operators' accounts: who may log in, with which password (how: see log_in_rows.py).

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
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from zxcvbn import zxcvbn

from .. import clock
from ..database.connections import reading, writing
from ..errors import Conflict, InvalidInput, NotFound, TooManyAttempts
from . import log_in_rows, user_rows

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
#: Of zxcvbn's 0 to 4: more than a million guesses.
LEAST_SCORE = 2
#: Characters of a password that are judged; what is longer is strong enough.
_JUDGED = 64
LONGEST_NAME = 80
#: In commands it names who requested the calls that the system makes by itself.
RESERVED_NAME = "system"

#: OWASP's second recommended set: 19 MiB, two passes.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: What an unknown name's password is checked against, so that both cases take the same time.
_NOBODY = _hasher.hash("no account has this password")


def create(engine: Engine, username: str, password: str) -> None:
    """A new account. Raises InvalidInput, Conflict when the name is taken."""
    _check(username, password)
    hashed = _in_thread(_hasher.hash, password)
    try:
        with writing(engine) as conn:
            user_rows.add(conn, username, hashed, clock.now())
    except IntegrityError:
        raise Conflict(f"The user {username!r} exists already.") from None


def check_free(engine: Engine, username: str) -> None:
    """Raises InvalidInput when the name is not acceptable, Conflict when it is taken."""
    _check_name(username)
    with reading(engine) as conn:
        if user_rows.by_name(conn, username) is not None:
            raise Conflict(f"The user {username!r} exists already.")


def check_known(engine: Engine, username: str) -> None:
    """Raises NotFound when there is no such account."""
    with reading(engine) as conn:
        if user_rows.by_name(conn, username) is None:
            raise NotFound(f"There is no user {username!r}.")


def has_any(engine: Engine) -> bool:
    with reading(engine) as conn:
        return user_rows.count(conn) > 0


def set_password(engine: Engine, username: str, password: str) -> None:
    """A new password; every log-in of the account ends. Raises InvalidInput, NotFound."""
    _check(username, password)
    hashed = _in_thread(_hasher.hash, password)
    _change(engine, username, password_hash=hashed)


def set_active(engine: Engine, username: str, active: bool) -> None:
    """Disabled: no login, and every log-in ends for good, also if it is enabled again. Raises NotFound."""
    _change(engine, username, active=active)


def _change(engine: Engine, username: str, **values: Any) -> None:
    with writing(engine) as conn:
        row = user_rows.by_name(conn, username)
        if row is None:
            raise NotFound(f"There is no user {username!r}.")
        user_rows.change(conn, row.id, **values)
        log_in_rows.end_all(conn, row.id, clock.now())


def matches(hashed: str | None, password: str) -> bool:
    """Whether the password is the hashed one; for None, an account that is not there, False after the same time.

    Raises TooManyAttempts when too many are waiting for that.
    """
    return bool(_in_thread(_matches, _NOBODY if hashed is None else hashed, password))


def _check_name(username: str) -> None:
    if username == RESERVED_NAME:
        raise InvalidInput("The username is not free.", {"username": "stands for the system itself"})
    if (
        not username
        or len(username) > LONGEST_NAME
        or not username.isprintable()
        or username != username.strip()
    ):
        raise InvalidInput(
            "The username is not acceptable.",
            {"username": f"1 to {LONGEST_NAME} printable characters, no blanks at the ends"},
        )


def _check(username: str, password: str) -> None:
    _check_name(username)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput(
            "The password is not acceptable.",
            {"password": f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"},
        )
    estimate = _in_thread(zxcvbn, password[:_JUDGED], [username])
    if estimate["score"] < LEAST_SCORE:
        advice = estimate["feedback"]["warning"] or " ".join(estimate["feedback"]["suggestions"])
        raise InvalidInput(
            "The password is too easy to guess.", {"password": f"is too easy to guess. {advice}".strip()}
        )


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


_MOST_WAITING = 64
_waiting = 0
_pools: dict[int, ThreadPool] = {}


def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run slow hashing beside the loop, two at a time; without gevent's patching there is no loop to block."""
    global _waiting
    if not monkey.is_module_patched("socket"):
        return function(*arguments)
    if _waiting >= _MOST_WAITING:
        raise TooManyAttempts("Too many logins at this moment.", 2)
    hub = gevent.get_hub()
    pool = _pools.get(id(hub))
    if pool is None:
        pool = _pools[id(hub)] = ThreadPool(2, hub=hub)
    _waiting += 1
    try:
        return pool.apply(function, arguments)
    finally:
        _waiting -= 1
