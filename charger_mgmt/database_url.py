"""A database URL as platforms hand it out, and what SQLAlchemy and PyMySQL want instead.

Every tool has its own words for an encrypted connection (`ssl-mode`, `sslmode`, `useSSL`, `tls`, …). They are
translated; one that is not known is refused, because to drop it could mean a password sent in the clear.
Other options of other drivers are dropped.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import ConfigurationError

_T = TypeVar("_T")

EXAMPLE = "mysql://user:password@host/chargers"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where the database is. `tls`: how its connections are encrypted; None: when the server offers it,
    False: never."""

    url: str
    tls: ssl.SSLContext | bool | None = None


class _Mode(IntEnum):
    """MySQL's five ways, the weakest first."""

    DISABLED = 0
    PREFERRED = 1
    REQUIRED = 2
    VERIFY_CA = 3
    VERIFY_IDENTITY = 4


_ABOUT_TLS = re.compile("ssl|tls|certificate|cipher", re.IGNORECASE)
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
#: Words for a mode: MySQL's own, PostgreSQL's, MariaDB Connector/J's, Go's.
_MODES = {
    "disabled": _Mode.DISABLED,
    "disable": _Mode.DISABLED,
    "preferred": _Mode.PREFERRED,
    "prefer": _Mode.PREFERRED,
    "allow": _Mode.PREFERRED,
    "required": _Mode.REQUIRED,
    "require": _Mode.REQUIRED,
    "trust": _Mode.REQUIRED,
    "skipverify": _Mode.REQUIRED,
    "verifyca": _Mode.VERIFY_CA,
    "verifyfull": _Mode.VERIFY_IDENTITY,
    "verifyidentity": _Mode.VERIFY_IDENTITY,
}
_MODE_OPTIONS = {"sslmode", "tls", "tlsmode", "ssl", "usessl", "usetls", "sslrequired"}
#: Options that ask for one mode when they are true; false says nothing.
_DEMANDS = {
    "requiressl": _Mode.REQUIRED,
    "verifyservercertificate": _Mode.VERIFY_CA,
    "sslverifycert": _Mode.VERIFY_CA,
    "sslverifyservercert": _Mode.VERIFY_IDENTITY,
    "sslverifyidentity": _Mode.VERIFY_IDENTITY,
    "sslcheckhostname": _Mode.VERIFY_IDENTITY,
}
_FILES = {
    "sslca": "ca",
    "sslcafile": "ca",
    "sslrootcert": "ca",
    "serversslcert": "ca",
    "sslcapath": "capath",
    "sslcert": "cert",
    "sslkey": "key",
}


def normalised(value: str, name: str = "DATABASE_URL") -> DatabaseUrl:
    """`mysql://…` as PyMySQL wants it, in utf8mb4. Raises ConfigurationError, which never shows the password."""
    try:
        url: URL = make_url(value)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"{name} is not a database URL. Example: {name}={EXAMPLE}") from None
    if url.get_backend_name() == "sqlite":
        return DatabaseUrl(value)
    if url.get_backend_name() not in ("mysql", "mariadb"):
        raise ConfigurationError(f"{name}: only mysql:// and sqlite:// URLs are supported.")
    if not url.database:
        raise ConfigurationError(f"{name} names no database. Example: {name}={EXAMPLE}")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise ConfigurationError(f"{name}: the port {url.port} does not exist. Example: {name}={EXAMPLE}")
    options = {"charset": "utf8mb4"}
    if "unix_socket" in url.query:
        options["unix_socket"] = str(url.query["unix_socket"])
    clean = url.set(drivername="mysql+pymysql", query=options)
    query = value.rpartition("@")[2].partition("?")[2]
    return DatabaseUrl(clean.render_as_string(hide_password=False), _tls(name, query))


def _tls(name: str, query: str) -> ssl.SSLContext | bool | None:
    wish = _Wish(name)
    for option, value in parse_qsl(query, keep_blank_values=True):
        key = option.lower().replace("-", "").replace("_", "")
        if key not in ("unixsocket", "charset") and _ABOUT_TLS.search(key + value):
            wish.hear(option, key, value.strip())
    return wish.granted()


class _Wish:
    """What the options of one URL ask of the connection's encryption, all together."""

    def __init__(self, name: str) -> None:
        self._name = name
        #: The modes that were named, by the option that named them.
        self._modes: dict[str, _Mode] = {}
        self._demanded: dict[str, _Mode] = {}
        self._files: dict[str, str] = {}
        self._ciphers = ""

    def hear(self, option: str, key: str, value: str) -> None:
        if not value:
            raise self._refusal(f"{option} is empty. Give it a value, or leave it out")
        if key in _FILES:
            self._hear_file(option, _FILES[key], value)
        elif key in _DEMANDS:
            if self._is_true(option, value):
                self._demanded[option] = _DEMANDS[key]
        elif key in _MODE_OPTIONS:
            mode = self._mode(option, key, value)
            if self._modes.setdefault(option, mode) is not mode:
                raise self._refusal(f"{option} is set more than once. Leave one")
        elif key == "ssldisabled":
            if self._is_true(option, value):
                self._modes[option] = _Mode.DISABLED
        elif key == "sslaccept":
            self._demanded[option] = self._accepted(option, value)
        elif key == "sslcipher":
            self._ciphers = value
        else:
            raise self._refusal(
                f"the option {option} is not understood, and without it the connection might be less safe than you"
                " want. Use ssl_mode, ssl_ca, ssl_cert and ssl_key"
            )

    def granted(self) -> ssl.SSLContext | bool | None:
        mode = self._settled()
        if mode is None or mode is _Mode.PREFERRED:
            return None
        if mode is _Mode.DISABLED:
            return False
        context = ssl.create_default_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # servers' own certificates are rarely that strict
        context.check_hostname = mode is _Mode.VERIFY_IDENTITY
        context.verify_mode = ssl.CERT_REQUIRED if mode >= _Mode.VERIFY_CA else ssl.CERT_NONE
        if "ca" in self._files or "capath" in self._files:
            context = self._trusting(mode)
        if "cert" in self._files:
            self._load(
                "ssl_cert", lambda: context.load_cert_chain(self._files["cert"], self._files.get("key"))
            )
        if self._ciphers:
            self._load("ssl_cipher", lambda: context.set_ciphers(self._ciphers))
        return context

    def _settled(self) -> _Mode | None:
        """The one mode that all options agree on; None: nothing was said."""
        if "key" in self._files and "cert" not in self._files:
            raise self._refusal("ssl_key is set and ssl_cert is not. Set both, or none")
        named = set(self._modes.values())
        if len(named) > 1 and (min(named) < _Mode.REQUIRED):
            raise self._contradiction(self._modes)
        wanted = dict(self._demanded)
        if self._files:
            trusts = "ca" in self._files or "capath" in self._files
            strictest = _Mode.VERIFY_CA if named or self._demanded else _Mode.VERIFY_IDENTITY
            wanted |= dict.fromkeys(self._files, strictest if trusts else _Mode.REQUIRED)
        if self._ciphers:
            wanted["ssl_cipher"] = _Mode.REQUIRED
        if wanted and named and min(named) < _Mode.REQUIRED:
            raise self._contradiction(self._modes | wanted)
        modes = named | set(wanted.values())
        return max(modes) if modes else None

    def _trusting(self, mode: _Mode) -> ssl.SSLContext:
        """A context that trusts the given authorities and no others."""

        def make() -> ssl.SSLContext:
            return ssl.create_default_context(cafile=self._files.get("ca"), capath=self._files.get("capath"))

        context = self._load("ssl_ca", make)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = mode is _Mode.VERIFY_IDENTITY
        return context

    def _load(self, option: str, load: Callable[[], _T]) -> _T:
        try:
            return load()
        except (ssl.SSLError, OSError) as error:
            raise self._refusal(f"{option} cannot be used: {error}. Set it to a file in PEM format") from None

    def _hear_file(self, option: str, kind: str, value: str) -> None:
        path = Path(value)
        if not (path.is_dir() if kind == "capath" else path.is_file()):
            what = "a folder" if kind == "capath" else "a file"
            raise self._refusal(f"{option}={value} is not {what} here. Put it there, or correct the path")
        if self._files.setdefault(kind, value) != value:
            raise self._refusal(f"{option} names a second file for the same thing. Leave one out")

    def _mode(self, option: str, key: str, value: str) -> _Mode:
        word = value.lower().replace("-", "").replace("_", "")
        if word in _MODES:
            return _MODES[word]
        if word in _YES:  # Go's `tls=true` looks at the server's name, too
            return _Mode.VERIFY_IDENTITY if key == "tls" else _Mode.REQUIRED
        if word in _NO:
            return _Mode.DISABLED
        if value.startswith("{"):
            return self._from_json(option, value)
        raise self._refusal(
            f"{option}={value!r} is not understood. Set ssl_mode to DISABLED, PREFERRED, REQUIRED, VERIFY_CA or"
            " VERIFY_IDENTITY"
        )

    def _from_json(self, option: str, value: str) -> _Mode:
        """Node's way: `ssl={"rejectUnauthorized":true}`."""
        try:
            wish = json.loads(value)
        except ValueError:
            wish = None
        if not isinstance(wish, dict) or not set(wish) <= {"rejectUnauthorized"}:
            raise self._refusal(
                f"{option}={value!r} is not understood. Use ssl_mode, ssl_ca, ssl_cert, ssl_key"
            )
        return _Mode.VERIFY_IDENTITY if wish.get("rejectUnauthorized", True) else _Mode.REQUIRED

    def _accepted(self, option: str, value: str) -> _Mode:
        modes = {"strict": _Mode.VERIFY_IDENTITY, "accept_invalid_certs": _Mode.REQUIRED}
        if value.lower() not in modes:
            raise self._refusal(f"{option}={value!r}: set it to strict or accept_invalid_certs")
        return modes[value.lower()]

    def _is_true(self, option: str, value: str) -> bool:
        word = value.lower()
        if word not in _YES | _NO:
            raise self._refusal(f"{option}={value!r}: set it to true or false")
        return word in _YES

    def _contradiction(self, said: Mapping[str, _Mode]) -> ConfigurationError:
        wishes = ", ".join(f"{option} ({mode.name})" for option, mode in said.items())
        return self._refusal(f"its options contradict each other: {wishes}. Leave one out")

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self._name}: {what}.")
