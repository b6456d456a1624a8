"""Logging in and out: who a token speaks for, and for how long.

A log-in is a row; every token names it, so ending it ends them all at once and for good: by logging out, a new
password, disabling the account, or a refresh token that comes a second time (somebody has a copy of it).
"""

from __future__ import annotations

import logging
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine

from .. import clock
from ..database.connections import reading, writing
from ..errors import LogInEnded, LoginRefused, TooManyAttempts
from . import accounts, log_in_rows, user_rows
from .throttle import LoginThrottle

log = logging.getLogger(__name__)

#: How long a source or a device counts as known after a log-in from it.
KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class LogIn:
    """Somebody who is logged in. `refresh_key` names the refresh token that is valid."""

    user_id: int
    username: str
    key: str
    refresh_key: str


class Devices:
    """The tokens by which a device is known that an account has logged in from."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="device")

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
    source: str,
) -> LogIn:
    """Log in. Raises LoginRefused (the same, after the same time, for an unknown name), TooManyAttempts."""
    device = devices.name(device_token, username)
    with reading(engine) as conn:
        row = user_rows.by_name(conn, username)
    known = partial(_is_known, engine, username, source)
    try:
        throttle.begin(username, source, device, known, exists=row is not None)
    except TooManyAttempts:
        log.warning("log-in from %s as %r refused: too many attempts", source, username)
        raise
    right = accounts.matches(row.password_hash if row else None, password)
    if row is None or not right or not row.active:
        log.warning("log-in from %s as %r failed", source, username)
        raise LoginRefused
    throttle.succeeded(username, source, device)
    made = LogIn(row.id, row.username, str(uuid.uuid4()), str(uuid.uuid4()))
    with writing(engine) as conn:
        log_in_rows.add(conn, row.id, made.key, made.refresh_key, source[:64], clock.now())
    return made


def living(engine: Engine, user_id: int, key: str) -> LogIn | None:
    """The log-in by this key, if it has not ended and its account is active."""
    with reading(engine) as conn:
        row = log_in_rows.living(conn, user_id, key)
    return None if row is None else LogIn(row.id, row.username, key, row.refresh_key)


def refreshed(engine: Engine, current: LogIn, used: str) -> LogIn:
    """The log-in with its next refresh token; `used` names the one that was sent. Raises LogInEnded."""
    after = str(uuid.uuid4())
    with writing(engine) as conn:
        valid = log_in_rows.refresh(conn, current.key, used, after, clock.now())
        if not valid:
            log_in_rows.end(conn, current.key, clock.now())
    if not valid:
        log.warning("a refresh token of %r came a second time: its log-in has been ended", current.username)
        raise LogInEnded
    return LogIn(current.user_id, current.username, current.key, after)


def end(engine: Engine, current: LogIn, *, everywhere: bool) -> None:
    """Log out, here or everywhere."""
    with writing(engine) as conn:
        if everywhere:
            log_in_rows.end_all(conn, current.user_id, clock.now())
        else:
            log_in_rows.end(conn, current.key, clock.now())


def _is_known(engine: Engine, username: str, source: str) -> bool:
    with reading(engine) as conn:
        row = user_rows.by_name(conn, username)
        return row is not None and log_in_rows.came_from(conn, row.id, source[:64], clock.now() - KNOWN_FOR)
