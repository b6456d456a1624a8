"""Who gets a socket: everything is decided before the upgrade (OCPP-J sections 3.2 and 6.2).

After the 101 there is no way back to HTTP. The order: are we open, is it a WebSocket, is there room, is the identity
known, are the credentials right, may it come in, is there a common subprotocol.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent
from sqlalchemy import Row

from ..chargers import passwords
from ..database import chargers
from ..database.database import Database
from ..domain import dialect, identities
from ..domain.registration import admits, shut_out
from ..errors import DatabaseAway
from ..settings import Settings
from ..web import problems
from . import addresses
from .addresses import Credentials
from .lookups import LookUps
from .pacing import Pacing, retry_after
from .places import Places
from .sources import Sources

log = logging.getLogger(__name__)

OCPP16, FLAT = dialect.OCPP16.name, dialect.FLAT.name
#: Seconds that a newcomer waits for room before it is asked to come back.
ROOM_PATIENCE = 3.0
_DIALS_TOO_OFTEN = "This charger dials too often."
#: Seconds after which a source with too many sockets may ask again.
_LATER = 30
#: Seconds for which the answer to somebody who asks too much is kept back: who waits for it asks less.
_HELD_BACK = 2.0
#: How many wait for such an answer at a time, and the share of all places that they may take.
_MOST_HELD = 256
_HELD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Admitted:
    """A socket may be opened. For a flat one `identity` is the charger whose password it was opened with.

    `proven`: the password was given, and `password_hash` is what it made. `known`: proven, or accepted before.
    """

    dialect: str
    identity: str | None
    subprotocol: str | None = None
    proven: bool = False
    known: bool = False
    password_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The HTTP answer instead of an upgrade: a problem document (RFC 9457)."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return problems.document(self.status, problems.code_of(self.status), self.detail)


class _NotNow(Exception):
    """Too many wrong passwords came from there; `seconds` until the next one is looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Admission:
    """Decides about upgrade requests. `stopping`: this process is about to end."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        pacing: Pacing,
        sources: Sources,
        places: Places,
    ) -> None:
        self._database = database
        self._pacing = pacing
        self._sources = sources
        self._places = places
        self._onboarding = settings.charger_onboarding
        self._needs_password = settings.charger_auth == "password"
        self._origins = settings.charger_origins
        #: Finds a charger's row; raises DatabaseAway.
        self.find = LookUps(database).find
        self._held = 0
        self.stopping = False
        #: Nothing that this process would say of its chargers reached anybody (gateway/fleet.py).
        self.out_of_touch = False

    def decide(self, environ: Mapping[str, Any]) -> Admitted | Refused:
        """What becomes of a request for /ocpp. Never raises for what a client can do.

        Who asks too much is told so late.
        """
        decision = self._decide_at_once(environ)
        if isinstance(decision, Refused) and (
            decision.status == 429 or (decision.status == 401 and self._guesses(environ))
        ):
            self._hold_back()  # it holds nobody's place among those who enter
        return decision

    def _guesses(self, environ: Mapping[str, Any]) -> bool:
        """Whether one more wrong password came from where there were too many."""
        return addresses.credentials(environ) is not None and self._sources.guesses(
            environ.get("REMOTE_ADDR", "")
        )

    def _hold_back(self) -> None:
        """Wait, unless too many do."""
        most = _MOST_HELD if self._places.total is None else int(self._places.total * _HELD_SHARE)
        if self._held < min(_MOST_HELD, most):
            self._held += 1
            try:
                gevent.sleep(_HELD_BACK)
            finally:
                self._held -= 1

    def _decide_at_once(self, environ: Mapping[str, Any]) -> Admitted | Refused:
        if self.stopping:
            return _away("The server is restarting.")
        if (refused := self._form(environ)) is not None:
            return refused
        if self.out_of_touch or not self._database.available:
            return _away("The database is away.")
        address = environ.get("REMOTE_ADDR", "")
        given = addresses.credentials(environ)
        identity = environ.get(addresses.SEGMENT, b"").decode(errors="replace") or (
            given.user if given else ""
        )
        too_often = self._sources.dial_wait(identity, address) if identity else 0
        if too_often and given is None:
            return _too_many(too_often, _DIALS_TOO_OFTEN)
        if not self._places.has_room(known=True):
            return _away("Every place is taken.")
        if not self._pacing.waits_for_room(ROOM_PATIENCE):
            return _away("Too many chargers are dialing in at once.")
        try:
            with self._pacing.entering():
                decision = self._decide(environ, given, address)
        except DatabaseAway:
            return _away("The database is away.")
        except _NotNow as wait:
            log.warning("%s: too many wrong passwords from there", address)
            return _too_many(wait.seconds, "Too many wrong passwords came from here.")
        if isinstance(decision, Admitted):
            return self._within_limits(decision, identity, address, too_often)
        return decision

    def _within_limits(
        self, decision: Admitted, identity: str, address: str, too_often: int
    ) -> Admitted | Refused:
        """What counts for those who may come in; most of it not for those who have proved themselves."""
        if seconds := self._sources.penalty(identity, address, proven=decision.proven):
            return _too_many(seconds, "Too many frames that said nothing came from here.")
        if not decision.proven:
            if too_often:
                return _too_many(too_often, _DIALS_TOO_OFTEN)
            if self._sources.is_full(address):
                log.warning("%s: refused, it has ANONYMOUS_SOCKETS_PER_SOURCE sockets already", address)
                return _too_many(_LATER, "Too many sockets without a password are open from here.")
            if not self._places.has_room(known=decision.known):
                return _away("The places for chargers that are not known yet are taken.")
        return decision

    def _form(self, environ: Mapping[str, Any]) -> Refused | None:
        """What is wrong with the request, whoever it is from; None: nothing."""
        if not addresses.is_upgrade(environ) or environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            return Refused(
                426,
                "Chargers connect here with a WebSocket: ws://<host>/ocpp/<identity>, subprotocol ocpp1.6.",
                {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
            )
        if not addresses.has_usable_key(environ):
            return _bad("Sec-WebSocket-Key is not 16 bytes in base64.")
        if addresses.has_body(environ):
            return _bad("An upgrade request has no body.")
        if environ.get("gunicorn.socket") is None:
            return Refused(501, "WebSockets are served by gunicorn's gevent worker only.")
        if not addresses.is_from_here(environ, self._origins):
            return Refused(403, "A web page may not open a charger's socket (see CHARGER_ORIGINS).")
        return None

    def _decide(
        self, environ: Mapping[str, Any], given: Credentials | None, address: str
    ) -> Admitted | Refused:
        offered = addresses.subprotocols(environ)
        try:
            identity = environ.get(addresses.SEGMENT, b"").decode()
        except UnicodeDecodeError:
            return _bad("The identity in the path is not UTF-8.")
        if identity:
            return self._ocpp_j(identity, offered, given, address)
        if OCPP16 in offered:
            if given is None:
                return _bad("The path must end with the charger's identity: /ocpp/<identity>.")
            return self._ocpp_j(given.user, offered, given, address)
        if offered:
            return _no_subprotocol()
        row = self.find(given.user) if given is not None else None
        if given is not None and row is not None and row.allow_missing_subprotocol:
            return self._ocpp_j(given.user, offered, given, address)
        if "HTTP_AUTHORIZATION" in environ and given is None:
            return _unauthorized()
        if row is None or given is None or not row.password_hash:
            return Admitted(FLAT, None)
        if (used := self._proven(row, given, address)) is None:
            return _unauthorized()
        if shut_out(row.blocked, row.approved):
            return _forbidden()
        return Admitted(FLAT, row.identity, proven=True, known=True, password_hash=used)

    def _proven(self, row: Row[Any], given: Credentials | None, address: str) -> str | None:
        """The hash that the credentials made; None: they are not the charger's. Raises _NotNow.

        The user is the identity (whitepaper A00.FR.204). A key whose answer was lost is settled by what the
        charger uses.
        """
        if given is None or given.user != row.identity:
            return None
        if seconds := self._sources.guess_wait(row.identity, address):
            raise _NotNow(seconds)
        pending = row.pending_password_hashes
        used = passwords.proven(row.password_hash, pending, given.password)
        if used is None:
            self._sources.guessed(row.identity, address)
            return None
        self._sources.proved(row.identity, address)
        if pending:
            left = passwords.settled(row.password_hash, pending, used)
            with self._database.writing() as conn:
                chargers.settle_password(conn, row.id, pending, used, left)
        return used

    def _ocpp_j(
        self, identity: str, offered: list[str], given: Credentials | None, address: str
    ) -> Admitted | Refused:
        if (wrong := identities.problem(identity)) is not None:
            return _bad(f"The identity {wrong}.")
        row = self.find(identity)
        used = None
        if row is None:
            if self._onboarding == "closed":
                return Refused(404, "No charger by this identity is known here.")
            if self._needs_password:
                return self._without_password(identity)
        else:
            if row.password_hash or row.pending_password_hashes:
                used = self._proven(row, given, address)
            if used is None and row.password_hash:
                log.warning("charger %s: refused, wrong or missing credentials", identity)
                return _unauthorized()
            if shut_out(row.blocked, row.approved):
                log.info("charger %s: refused, the operator has shut it out", identity)
                return _forbidden()
            if used is None and self._needs_password:
                if not row.allow_without_password:
                    return self._without_password(identity)
                log.warning("charger %s: let in without a password, by allowWithoutPassword", identity)
            if self._is_over_quota(row):
                return _too_many(_LATER, "This charger has stored what it may before it is approved.")
            if row.dialect_pinned and row.bound_dialect == FLAT:
                log.warning("charger %s: refused, an operator has bound it to the flat dialect", identity)
                return Refused(403, "This charger speaks the flat dialect (see boundDialect).")
        missing = not offered and row is not None and row.allow_missing_subprotocol
        if OCPP16 not in offered and not missing:
            return _no_subprotocol()
        if row is None and (seconds := self._sources.new_charger_wait(identity, address)):
            log.warning(
                "%s: refused, too many new chargers (NEW_CHARGERS_PER_SOURCE) came from there", address
            )
            return _too_many(seconds, "Too many chargers that nobody knows came from here.")
        return Admitted(
            OCPP16,
            identity,
            None if missing else OCPP16,
            proven=used is not None,
            known=used is not None or (row is not None and row.registration == "Accepted"),
            password_hash=used or (row.password_hash if row is not None else None),
        )

    def _is_over_quota(self, row: Row[Any]) -> bool:
        return not admits(row.approved, self._onboarding) and self._sources.is_over_quota(row.identity)

    @staticmethod
    def _without_password(identity: str) -> Refused:
        log.warning(
            "charger %s: refused, it has no password here: set one (PATCH /api/chargers/…), or allowWithoutPassword",
            identity,
        )
        return _unauthorized()


def _bad(detail: str) -> Refused:
    return Refused(400, detail)


def _no_subprotocol() -> Refused:
    return _bad("No common subprotocol: offer ocpp1.6 in Sec-WebSocket-Protocol.")


def _unauthorized() -> Refused:
    return Refused(
        401,
        "This charger needs HTTP Basic credentials; the user name is its identity.",
        {"WWW-Authenticate": 'Basic realm="chargers"'},
    )


def _forbidden() -> Refused:
    return Refused(403, "This charger is not let in.")


def _too_many(seconds: int, detail: str) -> Refused:
    return Refused(429, detail, {"Retry-After": str(seconds)})


def _away(detail: str) -> Refused:
    return Refused(503, detail, {"Retry-After": retry_after()})
