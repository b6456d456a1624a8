"""Keys by which machines ask: each acts for an account, within a role and sites of its own, until a day.

A key may never do more than its account, and ends with it. It is shown once, when it is made; what is kept is its hash
(SHA-256 is enough: it has 256 random bits, so nobody can guess at it).
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row

from .. import clock
from ..database.base import AnyRow
from ..database.connections import reading, writing
from ..domain.roles import BY_KEY, Asker, common, lesser, sites_of
from ..errors import Conflict, DatabaseAway, InvalidInput, NotFound
from ..sites import places
from . import accounts, key_rows

log = logging.getLogger(__name__)

#: What a key begins with: so it is told from a token, and found by those who look for secrets that leaked.
PREFIX: Final = "cmk_"
#: Random bytes of a key, and the characters that it has then.
_RANDOM = 32
_LENGTH = len(PREFIX) + 43
#: How long a key lives of which nothing else was said, and at most.
USUALLY = timedelta(days=365)
LONGEST = timedelta(days=5 * 366)


def asker(engine: Engine, key: str, address: str) -> Asker | None:
    """Whom a key speaks for; None: for nobody (any more)."""
    if len(key) != _LENGTH:
        return None
    now = clock.now()
    with reading(engine) as conn:
        row = key_rows.living(conn, _hash(key), now)
    if row is None:
        return None
    if row.last_used_at is None or row.last_used_at < now - key_rows.USED_EVERY:
        try:
            with writing(engine) as conn:
                key_rows.used(conn, row.id, address[:64], now)
        except DatabaseAway:
            log.info("key %d: it could not be noted that it was used", row.id)
    role = lesser(row.role, row.user_role)
    sites = common(sites_of(row.sites), sites_of(row.user_sites))
    return Asker(row.user_id, row.username, role, sites, BY_KEY, key_id=row.id)


def create(
    engine: Engine,
    username: str,
    name: str,
    *,
    role: str,
    sites: Sequence[int] | None,
    expires_at: datetime | None,
    created_by: str,
) -> tuple[AnyRow, str]:
    """A new key's row, and the key itself, which nobody will see again.

    Raises NotFound for the account, InvalidInput for a day that has passed or is too far away, a site that is not there,
    Conflict for an account that is disabled, or an outside provider's: nobody here would hear that it has ended there.
    """
    key, now = PREFIX + secrets.token_urlsafe(_RANDOM), clock.now()
    expires_at = expires_at or now + USUALLY
    _check_day(expires_at, now)
    with writing(engine) as conn:
        user = accounts.find(conn, username)
        if not user.active:
            raise Conflict(f"{username} is disabled.")
        if user.issuer is not None:
            raise Conflict(
                f"{username} is an account of {user.issuer}: make a machine's own account for the key."
            )
        places.check(conn, sites, "sites")
        key_id = key_rows.add(
            conn,
            user_id=user.id,
            name=name,
            key_hash=_hash(key),
            role=role,
            sites=None if sites is None else sorted(set(sites)),
            created_at=now,
            created_by=created_by,
            expires_at=expires_at,
        )
        return _find(conn, key_id), key


def listed(engine: Engine, *, username: str | None, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """As key_rows.listed. Raises NotFound for an unknown account."""
    with reading(engine) as conn:
        user_id = None if username is None else accounts.find(conn, username).id
        return key_rows.listed(conn, user_id=user_id, before=before, limit=limit)


def find(engine: Engine, key_id: int) -> AnyRow:
    """Raises NotFound."""
    with reading(engine) as conn:
        return _find(conn, key_id)


def change(engine: Engine, key_id: int, changes: Mapping[str, Any]) -> AnyRow:
    """Change `name`, `role`, `sites` or `expires_at`. Raises NotFound, InvalidInput, Conflict when it has ended."""
    values = dict(changes)
    if "expires_at" in values:
        _check_day(values["expires_at"], clock.now())
    if values.get("sites") is not None:
        values["sites"] = sorted(set(values["sites"]))
    with writing(engine) as conn:
        if _find(conn, key_id).ended_at is not None:
            raise Conflict(f"Key {key_id} has ended: make another one.")
        places.check(conn, values.get("sites"), "sites")
        if values:
            key_rows.change(conn, key_id, **values)
        return _find(conn, key_id)


def end(engine: Engine, key_id: int) -> None:
    """End a key, now or before, for good. Raises NotFound."""
    with writing(engine) as conn:
        if _find(conn, key_id).ended_at is None:
            key_rows.change(conn, key_id, ended_at=clock.now())


def _find(conn: Connection, key_id: int) -> AnyRow:
    row = key_rows.by_id(conn, key_id)
    if row is None:
        raise NotFound(f"There is no key {key_id}.")
    return row


def _check_day(expires_at: datetime, now: datetime) -> None:
    message = None
    if expires_at <= now:
        message = "has passed"
    elif expires_at > now + LONGEST:
        message = f"must not be more than {LONGEST.days} days away"
    if message is not None:
        raise InvalidInput(f"expiresAt: {message}", {"expiresAt": message})


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
