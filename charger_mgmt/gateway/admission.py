"""Who gets a socket: everything is decided before the upgrade (OCPP-J sections 3.2 and 6.2).

After the 101 there is no way back to HTTP. The order: are we open, is it a WebSocket, is the identity known,
are the credentials right, is there a common subprotocol.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gevent.lock import BoundedSemaphore
from sqlalchemy import Engine, Row

from ..errors import DatabaseAway
from ..ocpp import identities
from ..services import charger_passwords
from ..services.committer import Committer
from ..store import chargers
from ..store.connections import reading, writing
from . import addresses
from .addresses import Credentials
from .pacing import Pacing, retry_after

log = logging.getLogger(__name__)

OCPP16 = "ocpp1.6"
FLAT = "flat"
#: Lookups at a time: when a whole site redials, the committer must still get its connections.
_LOOKUPS = 4
#: Seconds that a lookup stands in line; a charger's own patience is not much longer.
_PATIENCE = 10.0
#: Seconds that a newcomer waits for room before it is asked to come back.
_ROOM_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """A socket may be opened. For a flat one `identity` is the charger whose password it was opened with."""

    dialect: str
    identity: str | None
    subprotocol: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The HTTP answer instead of an upgrade: a problem document (RFC 9457)."""

    status: int
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return json.dumps(
            {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        ).encode()


class Admission:
    """Decides about upgrade requests. `stopping`: this process is about to end."""

    def __init__(
        self, engine: Engine, committer: Committer, settings: Mapping[str, Any], pacing: Pacing
    ) -> None:
        # On SQLite a transaction of this engine would take the write lock, and this one only reads.
        self._engine = engine.execution_options(sqlite_begin="BEGIN")
        self._committer = committer
        self._pacing = pacing
        self._closed = settings["CHARGER_ONBOARDING"] == "closed"
        self._turns = BoundedSemaphore(_LOOKUPS)
        self.stopping = False

    def decide(self, environ: Mapping[str, Any]) -> Admitted | Refused:
        """What becomes of a request for /ocpp. Never raises for what a client can do."""
        if self.stopping:
            return _away("The server is restarting.")
        if not addresses.is_upgrade(environ) or environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            return Refused(
                426,
                "Upgrade Required",
                "Chargers connect here with a WebSocket: ws://<host>/ocpp/<identity>, subprotocol ocpp1.6.",
                {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
            )
        if not addresses.has_usable_key(environ):
            return _bad("Sec-WebSocket-Key is not 16 bytes in base64.")
        if addresses.has_body(environ):
            return _bad("An upgrade request has no body.")
        if environ.get("gunicorn.socket") is None:
            return Refused(501, "Not Implemented", "WebSockets are served by gunicorn's gevent worker only.")
        if not self._committer.available:
            return _away("The database is away.")
        if seconds := self._pacing.penalty(self._who(environ)):
            return Refused(
                429,
                "Too Many Requests",
                "Too many frames that said nothing came from here.",
                {"Retry-After": str(seconds)},
            )
        if not self._pacing.waits_for_room(_ROOM_PATIENCE):
            return _away("Too many chargers are dialing in at once.")
        try:
            with self._pacing.entering():
                return self._decide(environ)
        except DatabaseAway:
            return _away("The database is away.")

    @staticmethod
    def _who(environ: Mapping[str, Any]) -> str:
        """Who would be kept out: the identity in the path, or where a flat socket comes from."""
        identity = environ.get(addresses.SEGMENT, b"").decode(errors="replace")
        return identity or environ.get("REMOTE_ADDR", "")

    def find(self, identity: str) -> Row[Any] | None:
        """The charger's row. Raises DatabaseAway."""
        if not self._turns.acquire(timeout=_PATIENCE):
            raise DatabaseAway("too many chargers are dialing in at once")
        try:
            if not self._committer.available:  # it went away while this one stood in line
                raise DatabaseAway
            with reading(self._engine) as conn:
                return chargers.by_identity(conn, identity)
        finally:
            self._turns.release()

    def _decide(self, environ: Mapping[str, Any]) -> Admitted | Refused:
        offered = addresses.subprotocols(environ)
        given = addresses.credentials(environ)
        try:
            identity = environ.get(addresses.SEGMENT, b"").decode()
        except UnicodeDecodeError:
            return _bad("The identity in the path is not UTF-8.")
        if identity:
            return self._ocpp_j(identity, offered, given)
        if OCPP16 in offered:
            if given is None:
                return _bad("The path must end with the charger's identity: /ocpp/<identity>.")
            return self._ocpp_j(given.user, offered, given)
        if offered:
            return _no_subprotocol()
        row = self.find(given.user) if given is not None else None
        if given is not None and row is not None and row.allow_missing_subprotocol:
            return self._ocpp_j(given.user, offered, given)
        if "HTTP_AUTHORIZATION" in environ and given is None:
            return _unauthorized()
        if row is None or given is None or not row.password_hash:
            return Admitted(FLAT, None)
        return Admitted(FLAT, row.identity) if self._may_enter(row, given) else _unauthorized()

    def _may_enter(self, row: Row[Any], given: Credentials | None) -> bool:
        """Whether the credentials are the charger's; the user is the identity (whitepaper A00.FR.204).

        A key whose answer was lost is settled by what the charger uses.
        """
        pending = row.pending_password_hashes
        if not row.password_hash and not pending:
            return True
        used = None
        if given is not None and given.user == row.identity:
            used = charger_passwords.proven(row.password_hash, pending, given.password)
        if used is not None and pending:
            left = charger_passwords.settled(row.password_hash, pending, used)
            with writing(self._engine) as conn:
                chargers.settle_password(conn, row.id, pending, used, left)
        return used is not None or not row.password_hash

    def _ocpp_j(self, identity: str, offered: list[str], given: Credentials | None) -> Admitted | Refused:
        if (wrong := identities.problem(identity)) is not None:
            return _bad(f"The identity {wrong}.")
        row = self.find(identity)
        if row is None and self._closed:
            return Refused(404, "Not Found", "No charger by this identity is known here.")
        if row is not None and not self._may_enter(row, given):
            log.warning("charger %s: refused, wrong or missing credentials", identity)
            return _unauthorized()
        if OCPP16 in offered:
            return Admitted(OCPP16, identity, OCPP16)
        if not offered and row is not None and row.allow_missing_subprotocol:
            return Admitted(OCPP16, identity)
        return _no_subprotocol()


def _bad(detail: str) -> Refused:
    return Refused(400, "Bad Request", detail)


def _no_subprotocol() -> Refused:
    return _bad("No common subprotocol: offer ocpp1.6 in Sec-WebSocket-Protocol.")


def _unauthorized() -> Refused:
    return Refused(
        401,
        "Unauthorized",
        "This charger needs HTTP Basic credentials; the user name is its identity.",
        {"WWW-Authenticate": 'Basic realm="chargers"'},
    )


def _away(detail: str) -> Refused:
    return Refused(503, "Service Unavailable", detail, {"Retry-After": retry_after()})
