"""Configuration, from environment variables and a file `.env`.

What can be set stands in charger_mgmt/settings.py; every setting has a default that works on a laptop. `load()` reads
the environment once, at start, and refuses what cannot work with a message that says what to set. `python -m config`
writes README.md's table.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from dotenv import dotenv_values

from charger_mgmt.database_url import DatabaseUrl
from charger_mgmt.domain.roles import ROLES
from charger_mgmt.errors import ConfigurationError
from charger_mgmt.settings import MAKE_A_SECRET, PRODUCTION, FirstAccount, Settings, resolved, variables

ROOT = Path(__file__).resolve().parent
INSTANCE = ROOT / "instance"
README = ROOT / "README.md"
#: Around the table in README.md.
BEGIN, END = "<!-- settings: written by `make readme` -->\n", "<!-- /settings -->\n"

_T = TypeVar("_T", bound=Settings | FirstAccount)


def environment() -> Mapping[str, str]:
    """The environment variables, and what a file `.env` beside this one says of those that are not set.

    ENV_FILE names another file.
    """
    written = dotenv_values(os.environ.get("ENV_FILE") or ROOT / ".env")
    return {name: value for name, value in written.items() if value is not None} | dict(os.environ)


def where() -> str:
    """host:port at which a browser or a charger on this machine finds the server."""
    settings = load()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings, out of `environ` (by default `environment()`).

    Raises ConfigurationError, naming the variable, when a value cannot work.
    """
    settings = _read(Settings, environ)
    if settings.web_concurrency > 1 and not settings.redis_url:
        raise ConfigurationError(
            f"WEB_CONCURRENCY={settings.web_concurrency}: more than one worker needs a bus between them. Set REDIS_URL"
            " (redis://127.0.0.1:6379/0), or WEB_CONCURRENCY=1."
        )
    if settings.redis_url and settings.database_url.url.startswith("sqlite"):
        raise ConfigurationError(
            "REDIS_URL: several processes need MySQL or MariaDB, and DATABASE_URL is SQLite. Set DATABASE_URL, or unset"
            " REDIS_URL."
        )
    _check_provider(settings)
    interval = settings.heartbeat_interval
    if settings.heartbeat_timeout <= interval:
        raise ConfigurationError(
            f"HEARTBEAT_TIMEOUT={settings.heartbeat_timeout} must be longer than HEARTBEAT_INTERVAL={interval}:"
            " a punctual charger would be marked Unavailable. Set it to at least"
            f" {interval + max(1, interval // 10)}."
        )
    return settings


def _check_provider(settings: Settings) -> None:
    """Raises ConfigurationError for an identity provider of which too little is known."""
    if not settings.oidc_issuer:
        if settings.oidc_client_id or settings.oidc_audience:
            raise ConfigurationError(
                "OIDC_CLIENT_ID or OIDC_AUDIENCE is set: set OIDC_ISSUER, too, to the provider that they belong to."
            )
        return
    if not settings.oidc_client_id and not settings.oidc_audience:
        raise ConfigurationError(
            "OIDC_ISSUER is set: set OIDC_CLIENT_ID for people who sign in there, OIDC_AUDIENCE for programs with its"
            " tokens, or both."
        )
    if settings.oidc_client_id and not settings.public_url:
        raise ConfigurationError(
            "OIDC_CLIENT_ID is set: set PUBLIC_URL, too, to where people find this server. The provider sends them back"
            " there."
        )
    if settings.oidc_audience and settings.oidc_audience == settings.oidc_client_id:
        raise ConfigurationError(
            "OIDC_AUDIENCE must not be OIDC_CLIENT_ID: what tells this server who somebody is would open the API."
            " Register an API (resource) of its own at the provider."
        )
    mapping = dict(each.rpartition("=")[::2] for each in settings.oidc_roles)
    if not mapping or not all(theirs and ours in ROLES for theirs, ours in mapping.items()):
        raise ConfigurationError(
            f"OIDC_ROLES={','.join(settings.oidc_roles)!r}: say which of the provider's roles is which here, as in"
            f" charger-admins=admin,staff=viewer. There are {', '.join(ROLES)}."
        )


def first_account() -> FirstAccount:
    """What `flask user create-first` is given."""
    return _read(FirstAccount, None)


def _read(what: type[_T], environ: Mapping[str, str] | None) -> _T:
    """Each variable or its default, in order; an empty one counts as unset."""
    environ = environment() if environ is None else environ
    known = SimpleNamespace()
    for field, variable in variables(what):
        for name in (field.upper(), *variable.also):
            given = environ.get(name, "")
            if text := given if variable.verbatim else given.strip():
                value = variable.read(name, text, known)
                break
        else:
            value = (
                _IN_THIS_FOLDER[field](known)
                if field in _IN_THIS_FOLDER
                else resolved(variable.default, known)
            )
        setattr(known, field, value)
    return what(**vars(known))


def _remembered_secret(known: Any) -> str:
    """A random secret of this folder, kept so that tokens survive a restart on a laptop."""
    if known.app_env == PRODUCTION:
        raise ConfigurationError(
            f"JWT_SECRET_KEY is not set: it signs every operator's token. {MAKE_A_SECRET}"
        )
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


def _sqlite(known: Any) -> DatabaseUrl:
    if known.app_env == PRODUCTION:
        raise ConfigurationError(
            "DATABASE_URL is not set. Example: DATABASE_URL=mysql://user:password@host/chargers"
        )
    INSTANCE.mkdir(exist_ok=True)
    return DatabaseUrl(f"sqlite:///{INSTANCE / 'chargers.sqlite3'}")


#: Defaults that config.py makes.
_IN_THIS_FOLDER = {"database_url": _sqlite, "jwt_secret_key": _remembered_secret}


def readme() -> str:
    """README.md, with the table of settings as they are declared."""
    rows = ["| variable | default | values | meaning |", "|---|---|---|---|"]
    for what in (Settings, FirstAccount):
        for field, variable in variables(what):
            cells = f"`{field.upper()}`", variable.default_said, variable.values, variable.meaning
            rows.append("".join(f"| {cell} " if cell else "| " for cell in cells) + "|")
    before, rest = README.read_text().split(BEGIN)
    _, after = rest.split(END)
    return "".join([before, BEGIN, *(f"{row}\n" for row in rows), END, after])


if __name__ == "__main__":
    README.write_text(readme())
