"""Operators' accounts: who may log in, with which password, and how often one may guess.

No database connection is open while a password is hashed: hashing takes tens of milliseconds, and on
SQLite an open transaction would stop every charger's writes meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import argon2
import gevent
from gevent import monkey
from gevent.threadpool import ThreadPool
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..errors import ChargerManagementError, Conflict, InvalidInput, NotFound
from ..store import users
from ..store.connections import reading, writing

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
LONGEST_NAME = 80
#: In commands it names who requested the calls that the system makes by itself.
RESERVED_NAME = "system"

#: OWASP's second recommended set: 19 MiB, two passes.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: What an unknown name's password is checked against, so that both cases take the same time.
_NOBODY = _hasher.hash("no account has this password")


class LoginRefused(ChargerManagementError):
    """Unknown username or wrong password."""


class TooManyAttempts(ChargerManagementError):
    """Too many attempts; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    username: str


@dataclass
class LoginThrottle:
    """Counts the failed logins of each (username, address) in this process's memory.

    An attempt counts when it begins, so that parallel guesses do not slip through; a success clears it.
    """

    attempts: int = 10
    window: float = 60.0
    monotonic: Callable[[], float] = clock.monotonic
    most_keys: int = 10_000
    _seen: OrderedDict[tuple[str, str], list[float]] = field(default_factory=OrderedDict)

    def begin(self, username: str, address: str) -> None:
        """Count one attempt. Raises TooManyAttempts when the limit is reached."""
        now, key = self.monotonic(), (username, address)
        recent = [moment for moment in self._seen.pop(key, []) if moment > now - self.window]
        self._seen[key] = recent
        if len(recent) >= self.attempts:
            wait = max(1, round(recent[0] + self.window - now))
            raise TooManyAttempts("Too many failed logins; wait before the next one.", wait)
        recent.append(now)
        while len(self._seen) > self.most_keys:
            self._seen.popitem(last=False)

    def succeeded(self, username: str, address: str) -> None:
        self._seen.pop((username, address), None)


def login(engine: Engine, throttle: LoginThrottle, username: str, password: str, address: str) -> Account:
    """The account that this name and password open.

    Raises LoginRefused (the same, after the same time, for an unknown name), TooManyAttempts.
    """
    throttle.begin(username, address)
    with reading(engine) as conn:
        row = users.by_name(conn, username)
    right = _in_thread(_matches, row.password_hash if row else _NOBODY, password)
    if row is None or not right or not row.active:
        raise LoginRefused
    throttle.succeeded(username, address)
    return Account(row.id, row.username)


def active_account(engine: Engine, user_id: int) -> Account | None:
    """The account that a token speaks for, unless it was disabled or removed since."""
    with reading(engine) as conn:
        row = users.by_id(conn, user_id)
    return Account(row.id, row.username) if row is not None and row.active else None


def create(engine: Engine, username: str, password: str) -> None:
    """A new account. Raises InvalidInput, Conflict when the name is taken."""
    _check(username, password)
    hashed = _in_thread(_hasher.hash, password)
    try:
        with writing(engine) as conn:
            users.add(conn, username, hashed, clock.now())
    except IntegrityError:
        raise Conflict(f"The user {username!r} exists already.") from None


def check_free(engine: Engine, username: str) -> None:
    """Raises InvalidInput when the name is not acceptable, Conflict when it is taken."""
    _check_name(username)
    with reading(engine) as conn:
        if users.by_name(conn, username) is not None:
            raise Conflict(f"The user {username!r} exists already.")


def check_known(engine: Engine, username: str) -> None:
    """Raises NotFound when there is no such account."""
    with reading(engine) as conn:
        if users.by_name(conn, username) is None:
            raise NotFound(f"There is no user {username!r}.")


def has_any(engine: Engine) -> bool:
    with reading(engine) as conn:
        return users.count(conn) > 0


def set_password(engine: Engine, username: str, password: str) -> None:
    """Raises InvalidInput, NotFound."""
    _check(username, password)
    hashed = _in_thread(_hasher.hash, password)
    _change(engine, username, password_hash=hashed)


def set_active(engine: Engine, username: str, active: bool) -> None:
    """Disabled: no login, and every token given out before is refused. Raises NotFound."""
    _change(engine, username, active=active)


def _change(engine: Engine, username: str, **values: Any) -> None:
    with writing(engine) as conn:
        row = users.by_name(conn, username)
        if row is None:
            raise NotFound(f"There is no user {username!r}.")
        users.change(conn, row.id, **values)


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
