"""Logging in and out: who a token speaks for, and for how long.

A log-in is a row; every token names it, so ending it ends them all at once, on every process, and for good: by logging out,
a new password, disabling the account, or a refresh token that comes a second time (somebody has a copy of it).
"""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine, Row

from .. import clock
from ..database import acts
from ..database.base import AnyRow
from ..database.connections import reading, writing
from ..domain.roles import BY_LOG_IN, Asker, sites_of
from ..errors import LogInEnded, LoginRefused, NotFound, TooManyAttempts
from ..settings import Settings
from . import accounts, log_in_rows, passwords, user_rows
from .log_in_rows import Since
from .throttle import LoginThrottle

log = logging.getLogger(__name__)

#: How long a source or a device counts as known after a log-in from it.
KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class LogIn:
    """Somebody who is logged in. `refresh_key` names the refresh token that is valid."""

    asker: Asker
    key: str
    refresh_key: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a log-in comes from: an address (IPv6: a network), and what the client says it is."""

    address: str
    user_agent: str | None = None


class Devices:
    """The tokens by which a device is known that an account has logged in from."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._serializer = URLSafeTimedSerializer(list(secrets), salt="device")

    def token(self, username: str) -> str:
        return str(self._serializer.dumps([username, secrets.token_urlsafe(12)]))

    def name(self, token: str | None, username: str) -> str | None:
        """The device's name, if the token is one of this account's."""
        if token is None:
            return None
        try:
            owner, name = self._serializer.loads(token, max_age=int(KNOWN_FOR.total_seconds()))
        except (BadData, ValueError, TypeError):
            return None
        return str(name) if owner == username else None


def begin(
    engine: Engine,
    throttle: LoginThrottle,
    devices: Devices,
    *,
    username: str,
    password: str,
    device_token: str | None,
    origin: Origin,
) -> LogIn:
    """Log in. Raises LoginRefused (the same, after the same time, for an unknown name), TooManyAttempts.

    The name is kept nowhere unless an account has it: people type passwords into the wrong field.
    """
    source = origin.address
    device = devices.name(device_token, username)
    with reading(engine) as conn:
        row = user_rows.by_name(conn, username)
    acts.describe(username=None if row is None else username)
    whom = "nobody" if row is None else f"user {row.id}"
    known = partial(_is_known, engine, username, source)
    try:
        throttle.begin(username, source, device, known, exists=row is not None)
    except TooManyAttempts:
        log.warning("log-in from %s as %s refused: too many attempts", source, whom)
        raise
    right = passwords.matches(row.password_hash if row else "", password)
    if row is None or not right or not row.active:
        log.warning("log-in from %s as %s failed", source, whom)
        raise LoginRefused
    throttle.succeeded(username, source, device)
    return begun(engine, row, origin)


def begun(engine: Engine, row: AnyRow, origin: Origin) -> LogIn:
    """A new log-in of this account, whose holder has proved who they are."""
    key, refresh_key = str(uuid.uuid4()), str(uuid.uuid4())
    agent = None if origin.user_agent is None else origin.user_agent[:255]
    if (act := acts.current()) is not None:
        act.username, act.by = row.username, BY_LOG_IN
    with writing(engine) as conn:
        log_in_rows.add(conn, row.id, key, refresh_key, origin.address[:64], agent, clock.now())
    return LogIn(_asker(row, key), key, refresh_key)


def limits(settings: Settings) -> Since:
    """From when on log-ins are still good now."""
    now = clock.now()
    return Since(
        now - timedelta(seconds=settings.log_in_seconds),
        now - timedelta(seconds=settings.log_in_idle_seconds),
    )


def living(engine: Engine, user_id: int, key: str, settings: Settings) -> LogIn | None:
    """The log-in by this key, if it has not ended and its account is active."""
    with reading(engine) as conn:
        row = log_in_rows.living(conn, user_id, key, limits(settings))
    return None if row is None else LogIn(_asker(row, key), key, row.refresh_key)


def refreshed(engine: Engine, current: LogIn, used: str) -> LogIn:
    """The log-in with its next refresh token; `used` names the one that was sent. Raises LogInEnded."""
    after = str(uuid.uuid4())
    with writing(engine) as conn:
        valid = log_in_rows.refresh(conn, current.key, used, after, clock.now())
        if not valid:
            log_in_rows.end(conn, current.key, clock.now())
    if not valid:
        log.warning(
            "a refresh token came a second time: a log-in of user %d has been ended", current.asker.user_id
        )
        raise LogInEnded("This refresh token has been used before: its log-in has been ended. Log in again.")
    return LogIn(current.asker, current.key, after)


def end(engine: Engine, asker: Asker, *, everywhere: bool) -> None:
    """Log out, here or everywhere."""
    with writing(engine) as conn:
        if everywhere:
            log_in_rows.end_all(conn, asker.user_id, clock.now())
        elif asker.log_in is not None:
            log_in_rows.end(conn, asker.log_in, clock.now())


def listed(engine: Engine, username: str, settings: Settings) -> Sequence[Row[Any]]:
    """The log-ins of an account that have not ended, the newest first. Raises NotFound."""
    with reading(engine) as conn:
        return log_in_rows.listed(conn, accounts.find(conn, username).id, limits(settings))


def end_one(engine: Engine, username: str, log_in_id: int) -> None:
    """End one log-in of an account. Raises NotFound."""
    with writing(engine) as conn:
        if not log_in_rows.end_one(conn, accounts.find(conn, username).id, log_in_id, clock.now()):
            raise NotFound(f"{username} has no log-in {log_in_id}.")


def end_all(engine: Engine, username: str) -> None:
    """End every log-in of an account. Raises NotFound."""
    with writing(engine) as conn:
        log_in_rows.end_all(conn, accounts.find(conn, username).id, clock.now())


def _asker(row: AnyRow, key: str) -> Asker:
    return Asker(row.id, row.username, row.role, sites_of(row.sites), BY_LOG_IN, log_in=key)


def _is_known(engine: Engine, username: str, source: str) -> bool:
    with reading(engine) as conn:
        row = user_rows.by_name(conn, username)
        return row is not None and log_in_rows.came_from(conn, row.id, source[:64], clock.now() - KNOWN_FOR)
