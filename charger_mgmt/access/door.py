"""What stands before every request under /api: who asks, whether they may, and what is kept of it.

    Bearer eyJ…    a token of ours (tokens.py), or of the identity provider (provider.py), by its issuer
    Bearer cmk_…   a key (keys.py)

Whoever is limited to sites finds no charger but theirs: a path that names another one is not found. What changes
something gets its entry in the audit trail (database/acts.py), also when it is refused.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import jwt as pyjwt
from flask import Response, abort, current_app, g, request
from flask_jwt_extended import current_user, verify_jwt_in_request

from .. import clock, proxies
from ..database import acts
from ..database.acts import Act
from ..database.chargers import find as find_charger
from ..database.connections import reading, writing
from ..domain.roles import BY_PROVIDER, ROLES, Asker, may, sites_of
from ..errors import ChargerManagementError, Forbidden, LoginRefused
from ..extensions import db
from ..settings import Settings
from ..web.endpoint import Endpoint
from ..web.openapi import operation_id
from ..web.paths import as_it_came
from ..web.process import serving
from . import accounts, keys, tokens
from .log_ins import Devices, LogIn
from .provider import Provider
from .throttle import LoginThrottle

log = logging.getLogger(__name__)

_READ = ("GET", "HEAD", "OPTIONS")
#: Refusals of one account in a minute that are kept, or of one source that is none; of all such sources; the others are the log's.
MOST_REFUSALS = 60
MOST_OF_STRANGERS = 600
_MOST_COUNTED = 10_000
#: Bodies that are no log-in at all.
_NOT_EVEN_READ = (400, 408, 413, 415)
_NO_DATABASE = ("database-away", "database-busy")
_BEARER = "Bearer "


class Door(Protocol):
    """What logging in needs of the process."""

    @property
    def throttle(self) -> LoginThrottle: ...
    @property
    def devices(self) -> Devices: ...
    @property
    def reset_links(self) -> accounts.ResetLinks: ...
    @property
    def provider(self) -> Provider: ...
    @property
    def refusals(self) -> Refusals: ...


class Refusals:
    """Counts what accounts were refused in this minute: who repeats it without end must not fill the disk."""

    def __init__(self, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._monotonic = monotonic
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def has_room(self, act: Act) -> bool:
        """Count one more of an account's, or of a source of which nobody knows who it is; whether it is to be kept."""
        if (minute := int(self._monotonic() // 60)) != self._minute:
            self._minute = minute
            self._counts.clear()
        whose = act.username or (act.details or {}).get("username")
        if whose is not None:  # also of a log-in that failed
            return self._takes(f"account {whose}", MOST_REFUSALS)
        return self._takes(f"source {act.address}", MOST_REFUSALS) and self._takes("", MOST_OF_STRANGERS)

    def _takes(self, whom: str, most: int) -> bool:
        if whom not in self._counts and len(self._counts) > _MOST_COUNTED:
            return False
        self._counts[whom] += 1
        return self._counts[whom] <= most


def door() -> Door:
    process: Door = current_app.extensions["charger_mgmt"]
    return process


def settings() -> Settings:
    return serving().central.settings


def address() -> str:
    """Where the request comes from: an address, of IPv6 a network."""
    return proxies.source(request.remote_addr or "")


def check() -> None:
    """Before every request under /api: no token, no entry; the wrong role, no entry. A view that declares nothing is
    nobody's but an admin's.
    """
    acts.end()  # of a request before, on the same connection
    view = current_app.view_functions[request.endpoint or ""]
    access = view.access if isinstance(view, Endpoint) else "admin"
    act = g.act = Act(operation_id(view), as_it_came(), address=address())
    if access != "open":
        asker = g.asker = _asker(access)
        act.username, act.by, act.key_id = asker.username, asker.by, asker.key_id
        if access in ROLES and not may(asker.role, access):
            raise Forbidden(f"This needs the role {access}; yours is {asker.role}.")
        if isinstance(view, Endpoint) and view.whole_fleet and asker.sites is not None:
            raise Forbidden("This concerns the whole fleet, and you are limited to sites.")
        _check_sight(asker)
    if request.method not in _READ and (not isinstance(view, Endpoint) or view.audited):
        acts.begin(act)


def note(response: Response) -> Response:
    """After every request under /api: what has no entry yet, and needs one, gets it."""
    begun, act = acts.end(), g.get("act")
    if act is None:
        return response
    result = g.get("problem", str(response.status_code)) if response.status_code >= 400 else acts.DONE
    if not _is_kept(act, result, response.status_code, begun=begun is not None):
        return response
    if result in _NO_DATABASE or (result != acts.DONE and not door().refusals.has_room(act)):
        _log_instead(act, result)
        return response
    try:
        with writing(db.engine) as conn:
            act.note(conn, result)
    except ChargerManagementError:
        _log_instead(act, result)
    return response


def _log_instead(act: Act, result: str) -> None:
    """The log is all that is left; it names accounts by number only."""
    asker = g.get("asker")
    who = act.address if asker is None else f"user {asker.user_id}"
    log.warning("not in the audit trail: %s by %s: %s", act.action, who, result)


def _is_kept(act: Act, result: str, status: int, *, begun: bool) -> bool:
    if result == acts.DONE:
        return begun and not act.noted
    if act.by is None and status in _NOT_EVEN_READ:
        return False
    if status == 429:  # whoever tries as often as they like must not fill the disk: the log counts them
        return False
    return begun or (act.by is not None and (request.method not in _READ or status == 403))


def _asker(access: str) -> Asker:
    """Who asks. Ends the request (401) for who cannot be told."""
    token = request.headers.get("Authorization", "").removeprefix(_BEARER).strip()
    if access == "refresh token":
        verify_jwt_in_request(refresh=True)
    elif token.startswith(keys.PREFIX):
        if (asker := keys.asker(db.engine, token, address())) is None:
            abort(tokens.refused("The key is not valid, has ended, or its account is disabled."))
        return asker
    elif door().provider.takes_tokens and _issuer(token) == settings().oidc_issuer:
        return _foreign_asker(token)
    else:
        verify_jwt_in_request()
    log_in: LogIn = current_user
    return log_in.asker


def _foreign_asker(token: str) -> Asker:
    try:
        who = door().provider.bearer(token)
    except LoginRefused as error:
        abort(tokens.refused(str(error)))
    row = accounts.foreign(db.engine, who, address(), signs_in=False)
    if not row.active:
        abort(tokens.refused("The account is disabled."))
    return Asker(row.id, row.username, who.role, sites_of(who.sites), BY_PROVIDER)


def _issuer(token: str) -> str | None:
    """Whom a token claims to be of; nothing is believed of it by that."""
    try:
        claimed = pyjwt.decode(token, options={"verify_signature": False}).get("iss")
    except (pyjwt.PyJWTError, ValueError, RecursionError):
        return None
    return claimed if isinstance(claimed, str) else None


def _check_sight(asker: Asker) -> None:
    """Raises NotFound when the path names a charger that is not theirs to see."""
    identity = (request.view_args or {}).get("charger_id")
    if identity is not None and asker.sites is not None:
        with reading(db.engine) as conn:
            find_charger(conn, identity, removed=True, sites=asker.sites)
