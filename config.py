"""Configuration, from environment variables and a file `.env`.

Every setting has a default that works on a laptop. `load()` reads the environment once, at start, and
refuses what cannot work with a message that says what to set.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from charger_mgmt import proxies
from charger_mgmt.errors import ConfigurationError
from charger_mgmt.store import database_url
from charger_mgmt.store.database_url import DatabaseUrl
from charger_mgmt.store.room import LEAST_BESIDES_COMMITTERS

ROOT = Path(__file__).resolve().parent
INSTANCE = ROOT / "instance"

#: Where a MySQL URL may be found; the first that is set wins.
DATABASE_VARIABLES = ("DATABASE_URL", "JAWSDB_URL", "CLEARDB_DATABASE_URL")
ONBOARDING = ("open", "approve", "closed")
SHORTEST_SECRET = 32


def environment() -> Mapping[str, str]:
    """The environment variables, and what a file `.env` beside this one says of those that are not set.

    ENV_FILE names another file.
    """
    written = dotenv_values(os.environ.get("ENV_FILE") or ROOT / ".env")
    return {name: value for name, value in written.items() if value is not None} | dict(os.environ)


def where() -> str:
    """host:port at which a browser or a charger on this machine finds the server."""
    settings = load()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings["HOST"], settings["HOST"])
    return f"[{host}]:{settings['PORT']}" if ":" in host else f"{host}:{settings['PORT']}"


def load(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The application's settings as Flask configuration keys, out of `environ` (by default `environment()`).

    Raises ConfigurationError, naming the variable, when a value cannot work.
    """
    read = _Reader(environment() if environ is None else environ)
    production = read.choice("APP_ENV", "development", ("development", "production")) == "production"
    database = _database(read, production)
    committers = read.whole("COMMITTERS", 2, least=1, most=16)
    workers = read.whole("WEB_CONCURRENCY", 1, least=1)
    redis_url = read.text("REDIS_URL", "")
    if workers > 1:
        raise ConfigurationError(
            f"WEB_CONCURRENCY={workers}: more than one worker needs a bus between them, which this"
            " version does not have yet. Set WEB_CONCURRENCY=1."
        )
    onboarding = read.choice("CHARGER_ONBOARDING", "approve" if production else "open", ONBOARDING)
    interval = read.whole("HEARTBEAT_INTERVAL", 300, least=1)
    timeout = read.whole("HEARTBEAT_TIMEOUT", 330, least=2)
    if timeout <= interval:
        raise ConfigurationError(
            f"HEARTBEAT_TIMEOUT={timeout} must be longer than HEARTBEAT_INTERVAL={interval}:"
            " a punctual charger would be marked Unavailable. Set it to at least"
            f" {interval + max(1, interval // 10)}."
        )
    return {
        "APP_ENV": "production" if production else "development",
        "SECRET_KEY": _secret(read, production),
        "JWT_SECRET_KEY": _secret(read, production),
        "JWT_ACCESS_TOKEN_EXPIRES": timedelta(seconds=read.whole("ACCESS_TOKEN_SECONDS", 3600, least=60)),
        "JWT_REFRESH_TOKEN_EXPIRES": timedelta(days=30),
        "JWT_DECODE_LEEWAY": 10,
        "SQLALCHEMY_DATABASE_URI": database.url,
        "DATABASE_TLS": database.tls,
        "MAX_CONTENT_LENGTH": read.whole("MAX_REQUEST_BYTES", 1 << 20, least=1024),
        "HOST": read.text("HOST", "127.0.0.1"),
        "PORT": read.whole("PORT", 8080, least=0, most=65535),
        #: How far back a charger's clock is believed.
        "CLOCKS_BELIEVED_FOR": timedelta(
            days=round(365.25 * read.whole("BELIEVE_CLOCKS_YEARS", 5, least=1, most=20))
        ),
        #: Whose word on a client's address counts (networks as text).
        "TRUSTED_PROXIES": _trusted_proxies(read),
        "LOG_LEVEL": read.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        #: One line for each REST request; health checks never.
        "ACCESS_LOG": read.flag("ACCESS_LOG", False),
        "REDIS_URL": redis_url,
        "CHARGER_ONBOARDING": onboarding,
        #: What an idTag that nobody entered is answered.
        "UNKNOWN_TAGS": read.choice(
            "UNKNOWN_TAGS", "accept" if onboarding == "open" else "invalid", ("accept", "invalid")
        ),
        "HEARTBEAT_INTERVAL": interval,
        "HEARTBEAT_TIMEOUT": timeout,
        #: How long before the limit a quiet charger is asked for a Heartbeat; 0: never.
        "LIVENESS_PROBE_SECONDS": read.whole("LIVENESS_PROBE_SECONDS", 20, least=0),
        #: How long after a boot a connector may stay unreported before it is taken to be gone.
        "RETIRE_CONNECTORS_AFTER": timedelta(seconds=read.whole("RETIRE_CONNECTORS_AFTER", 600, least=1)),
        "SWEEP_INTERVAL": read.number("SWEEP_INTERVAL", 2.0, least=0.05),
        "CALL_TIMEOUT": read.number("CALL_TIMEOUT", 30.0, least=0.1),
        #: How long an operator's start or stop waits for the charger, in all.
        "OPERATOR_WAIT": read.number("OPERATOR_WAIT", 10.0, least=0.1),
        #: Call time-outs in a row after which the socket is dropped.
        "CALL_TIMEOUTS_BEFORE_DROP": read.whole("CALL_TIMEOUTS_BEFORE_DROP", 3, least=1),
        "WEBSOCKET_PING_INTERVAL": read.whole("WEBSOCKET_PING_INTERVAL", 25, least=0, most=54),
        "MAX_MESSAGE_BYTES": read.whole("MAX_MESSAGE_BYTES", 1 << 20, least=1024),
        #: Chargers that may be on their way in at once; the others are asked to come back. 0: no limit.
        "ADMISSIONS_AT_ONCE": read.whole("ADMISSIONS_AT_ONCE", 200, least=0),
        #: Whether a charger must have a password ("password") or may go without ("optional").
        "CHARGER_AUTH": read.choice(
            "CHARGER_AUTH", "password" if production else "optional", ("optional", "password")
        ),
        #: Web pages that may open chargers' sockets, by their origin.
        "CHARGER_ORIGINS": tuple(read.text("CHARGER_ORIGINS", "").replace(",", " ").split()),
        #: Sockets without a password of one source, and identities that nobody knows from one in an hour. 0: no limit.
        "ANONYMOUS_SOCKETS_PER_SOURCE": read.whole(
            "ANONYMOUS_SOCKETS_PER_SOURCE", 500 if production else 0, least=0
        ),
        "NEW_CHARGERS_PER_SOURCE": read.whole("NEW_CHARGERS_PER_SOURCE", 50 if production else 5000, least=0),
        #: What a charger that nobody has approved may store in an hour. 0: no limit.
        "UNAPPROVED_BYTES_PER_HOUR": read.whole("UNAPPROVED_BYTES_PER_HOUR", 1 << 20, least=0),
        #: How long a socket of somebody who is not known yet may say nothing.
        "FIRST_MESSAGE_SECONDS": read.number("FIRST_MESSAGE_SECONDS", 30.0, least=0.1),
        "AUTOMATIC_CALLS": read.flag("AUTOMATIC_CALLS", True),
        #: How long after the boot answer the first automatic call goes out.
        "FOLLOW_UP_DELAY": read.number("FOLLOW_UP_DELAY", 1.0, least=0.0),
        "COMMITTERS": committers,
        #: Database connections: those of the chargers' side are held from the start, REST's opened when needed.
        "CHARGER_CONNECTIONS": read.whole(
            "CHARGER_CONNECTIONS", committers + 6, least=committers + LEAST_BESIDES_COMMITTERS, most=200
        ),
        "REST_CONNECTIONS": read.whole("REST_CONNECTIONS", 10, least=1, most=200),
        "BATCH_SIZE": read.whole("BATCH_SIZE", 256, least=1, most=5000),
        #: How long a charger's message waits for its commit before the socket is dropped.
        "COMMIT_TIMEOUT": read.number("COMMIT_TIMEOUT", 20.0, least=0.1),
        "DATABASE_TIMEOUT": read.whole("DATABASE_TIMEOUT", 10, least=1),
        # After how many days what grows without end is dropped; 0: never. Sessions are kept for good.
        "RETAIN_METER_VALUES_DAYS": read.whole("RETAIN_METER_VALUES_DAYS", 730, least=0),
        "RETAIN_STATUS_HISTORY_DAYS": read.whole("RETAIN_STATUS_HISTORY_DAYS", 365, least=0),
        "RETAIN_EVENTS_DAYS": read.whole("RETAIN_EVENTS_DAYS", 90, least=0),
        "RETAIN_LOG_INS_DAYS": 90,
        "RETAIN_COMMANDS_DAYS": read.whole("RETAIN_COMMANDS_DAYS", 365, least=0),
    }


class _Reader:
    """Typed reading of environment variables; an empty value counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise ConfigurationError(f"{name}={value!r}: set it to one of {', '.join(allowed)}.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name, "on" if default else "off").lower()
        if value in ("1", "on", "true", "yes"):
            return True
        if value in ("0", "off", "false", "no"):
            return False
        raise ConfigurationError(f"{name}={value!r}: set it to on or off.")

    def number(self, name: str, default: float, *, least: float) -> float:
        return self._number(name, default, least, None, float)

    def whole(self, name: str, default: int, *, least: int, most: int | None = None) -> int:
        return self._number(name, default, least, most, int)

    def _number(self, name: str, default: Any, least: Any, most: Any, kind: Any) -> Any:
        value = self.text(name, "")
        if not value:
            return default
        try:
            number = kind(value)
        except ValueError:
            raise ConfigurationError(f"{name}={value!r} is not a number. Example: {name}={default}") from None
        if not number >= least or (most is not None and number > most) or number == float("inf"):
            limits = f"at least {least}" + (f" and at most {most}" if most is not None else "")
            raise ConfigurationError(f"{name}={value}: it must be {limits}.")
        return number


def _trusted_proxies(read: _Reader) -> tuple[str, ...]:
    try:
        return proxies.networks(read.text("TRUSTED_PROXIES", ""))
    except ValueError as error:
        raise ConfigurationError(
            f"TRUSTED_PROXIES: {str(error)!r} is neither an address nor a network."
            " Example: TRUSTED_PROXIES=10.0.0.0/8,192.0.2.7"
        ) from None


def _secret(read: _Reader, production: bool) -> str:
    secret = read.text("JWT_SECRET_KEY", "")
    if secret and len(secret) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"JWT_SECRET_KEY is too short: it needs at least {SHORTEST_SECRET} characters. Make one with"
            " `python3 -c 'import secrets; print(secrets.token_hex(32))'`."
        )
    if secret:
        return secret
    if production:
        raise ConfigurationError(
            "JWT_SECRET_KEY is not set: it signs every operator's token. Make one with"
            " `python3 -c 'import secrets; print(secrets.token_hex(32))'`."
        )
    return _remembered_secret()


def _remembered_secret() -> str:
    """A random secret of this folder, kept so that tokens survive a restart on a laptop."""
    path = INSTANCE / "jwt-secret"
    INSTANCE.mkdir(exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        secret = secrets.token_hex(32)
        file.write(secret)
    return secret


def _database(read: _Reader, production: bool) -> DatabaseUrl:
    for name in DATABASE_VARIABLES:
        if value := read.text(name, ""):
            return database_url.normalised(value, name)
    if production:
        raise ConfigurationError(
            "DATABASE_URL is not set. Example: DATABASE_URL=mysql://user:password@host/chargers"
        )
    INSTANCE.mkdir(exist_ok=True)
    return DatabaseUrl(f"sqlite:///{INSTANCE / 'chargers.sqlite3'}")
