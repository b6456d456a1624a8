"""Accounts: who may ask for anything, in which role, at which sites (how they log in: see log_ins.py)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..database import acts
from ..database.acts import Act
from ..database.base import AnyRow
from ..database.connections import reading, writing
from ..domain.roles import BY_PROVIDER, ROLES
from ..errors import Conflict, InvalidInput, NotFound
from ..sites import places
from . import key_rows, log_in_rows, passwords, user_rows

LONGEST_NAME = 80
#: In commands it names who requested the calls that the system makes by itself.
RESERVED_NAME = "system"
#: How long a reset link is good for.
RESET_WITHIN = timedelta(hours=1)


def create(
    engine: Engine,
    username: str,
    password: str | None,
    *,
    role: str,
    sites: Collection[int] | None = None,
) -> AnyRow:
    """A new account; without a password nobody can log in to it with one. Raises InvalidInput, Conflict when the name is taken."""
    _check_name(username)
    _check_role(role)
    kept = "" if password is None else passwords.hashed(username, password)
    try:
        with writing(engine) as conn:
            places.check(conn, sites, "sites")
            values = {"password_hash": kept, "role": role, "sites": _stored(sites)}
            user_rows.add(conn, username, clock.now(), **values)
            return find(conn, username)
    except IntegrityError:
        raise Conflict(f"The user {username!r} exists already.") from None


def check_free(engine: Engine, username: str) -> None:
    """Raises InvalidInput when the name is not acceptable, Conflict when it is taken."""
    _check_name(username)
    with reading(engine) as conn:
        if user_rows.by_name(conn, username) is not None:
            raise Conflict(f"The user {username!r} exists already.")


def known(engine: Engine, username: str) -> AnyRow:
    """Raises NotFound when there is no such account."""
    with reading(engine) as conn:
        return find(conn, username)


def find(conn: Connection, username: str, *, lock: bool = False) -> AnyRow:
    """The account's row. Raises NotFound."""
    row = user_rows.by_name(conn, username, lock=lock)
    if row is None:
        raise NotFound(f"There is no user {username!r}.")
    return row


def listed(engine: Engine, **filters: Any) -> Sequence[Row[Any]]:
    """As user_rows.listed."""
    with reading(engine) as conn:
        return user_rows.listed(conn, **filters)


def has_any(engine: Engine) -> bool:
    with reading(engine) as conn:
        return user_rows.count(conn) > 0


def set_password(engine: Engine, username: str, password: str) -> None:
    """A new password; every log-in of the account ends. Raises InvalidInput, NotFound."""
    kept = passwords.hashed(username, password)
    with writing(engine) as conn:
        row = find(conn, username, lock=True)
        _refuse_foreign(row, "its password")
        _set_password(conn, row, kept)


def change_password(engine: Engine, username: str, *, before: str, after: str) -> bool:
    """The same, by who knows the one before: False, it is another one."""
    row = known(engine, username)
    if not passwords.matches(row.password_hash, before):
        return False
    kept = passwords.hashed(username, after)
    try:
        with writing(engine) as conn:
            now = find(conn, username, lock=True)
            if now.password_hash != row.password_hash:
                raise _Overtaken
            _set_password(conn, now, kept)
    except _Overtaken:
        return False
    return True


class _Overtaken(Exception):
    """Somebody else was faster: nothing is stored, so nothing is in the audit trail."""


def change(engine: Engine, username: str, changes: Mapping[str, Any]) -> AnyRow:
    """Change `role`, `sites` or `active`.

    Disabled: no log-in, and every log-in and key ends for good, also if it is enabled again. Raises NotFound, InvalidInput, and
    Conflict for the last admin who could undo it, and for what an outside provider says.
    """
    if "role" in changes:
        _check_role(changes["role"])
    values = dict(changes)
    if "sites" in values:
        values["sites"] = _stored(values["sites"])
    with writing(engine) as conn:
        user_rows.lock_admins(conn)
        row = find(conn, username, lock=True)
        if "role" in values or "sites" in values:
            _refuse_foreign(row, "its role and sites")
        places.check(conn, values.get("sites"), "sites")
        acts.describe(username=username, before={name: getattr(row, name) for name in values})
        chiefs = user_rows.chiefs(conn)
        if values:
            user_rows.change(conn, row.id, **values)
        if chiefs and not user_rows.chiefs(conn):
            raise Conflict(f"{username} is the last admin: make somebody else one first.")
        if values.get("active") is False:
            log_in_rows.end_all(conn, row.id, clock.now())
            key_rows.end_all(conn, row.id, clock.now())
        return find(conn, username)


class ResetLinks:
    """Tokens by which somebody may set an account's password once, within RESET_WITHIN.

    One names the password that it is to replace, so it is worth nothing any more once there is another one.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._serializer = URLSafeTimedSerializer(list(secrets), salt="reset")

    def make(self, row: AnyRow) -> tuple[str, datetime]:
        """A token for this account, and until when it is good. Raises Conflict."""
        _refuse_foreign(row, "its password")
        if not row.active:
            raise Conflict(f"{row.username} is disabled.")
        return str(self._serializer.dumps([row.id, _mark(row)])), clock.now() + RESET_WITHIN

    def owner(self, engine: Engine, token: str) -> AnyRow:
        """The account whose password it is for. Raises InvalidInput for a token that is not good (any more)."""
        try:
            user_id, mark = self._serializer.loads(token, max_age=int(RESET_WITHIN.total_seconds()))
        except (BadData, ValueError, TypeError):
            raise _not_good() from None
        with reading(engine) as conn:
            row = user_rows.by_id(conn, user_id)
        if row is None or _mark(row) != mark or not row.active:
            raise _not_good()
        return row


def reset_password(engine: Engine, owner: AnyRow, password: str) -> None:
    """A new password for the owner of a reset link, as it was then. Raises InvalidInput."""
    kept = passwords.hashed(owner.username, password)
    with writing(engine) as conn:
        now = find(conn, owner.username, lock=True)
        if _mark(now) != _mark(owner) or not now.active:
            raise _not_good()
        _set_password(conn, now, kept)


@dataclass(frozen=True, slots=True)
class Foreign:
    """Whom an outside provider's token speaks for, and what that says of them."""

    issuer: str
    subject: str
    name: str
    role: str
    sites: Collection[int] | None


def foreign(engine: Engine, who: Foreign, address: str, *, signs_in: bool) -> AnyRow:
    """The account of somebody whom an outside provider knows: made if it is new, and brought up to date when they sign in.

    A token changes nothing of an account that is there: it speaks for itself, and may be older than what is known.

    They are known by issuer and subject, never by a name: nobody becomes somebody else by being called so.
    """
    with reading(engine) as conn:
        row = user_rows.by_subject(conn, who.issuer, who.subject)
    stored = {"role": who.role, "sites": _stored(who.sites)}
    if row is not None and (not signs_in or {"role": row.role, "sites": row.sites} == stored):
        return row
    for name in _free_names(who):
        known_as = name if row is None else row.username
        act = Act("userOfProvider", known_as, known_as, BY_PROVIDER, address=address, details=dict(stored))
        try:
            with acts.acting(act), writing(engine) as conn:
                row = user_rows.by_subject(conn, who.issuer, who.subject)
                if row is not None:
                    acts.describe(before={name: getattr(row, name) for name in stored})
                    user_rows.change(conn, row.id, **stored)
                elif user_rows.by_name(conn, name) is None:
                    values = {"issuer": who.issuer, "subject": who.subject} | stored
                    user_rows.add(conn, name, clock.now(), password_hash="", **values)
                else:
                    raise _Overtaken
                now = user_rows.by_subject(conn, who.issuer, who.subject)
                assert now is not None
                return now
        except (IntegrityError, _Overtaken):  # it has just been made, or the name is taken
            continue
    raise Conflict("There is no name left for this account.")


def _free_names(who: Foreign) -> list[str]:
    """What the account may be called: as the provider says, else with something that tells it from its namesake."""
    mark = hashlib.sha256(f"{who.issuer} {who.subject}".encode(errors="replace")).hexdigest()
    kept = "".join(char for char in who.name if char.isprintable()).strip()[: LONGEST_NAME - 18].strip()
    names = [kept, f"{kept} ({mark[:8]})".strip(), f"account {mark[:16]}"]
    # Twice: who lost a race for the row finds it the second time.
    return [name for name in names if name and name not in _UNUSABLE] * 2


_UNUSABLE = (RESERVED_NAME, ".", "..")


def _set_password(conn: Connection, row: AnyRow, kept: str) -> None:
    user_rows.change(conn, row.id, password_hash=kept)
    log_in_rows.end_all(conn, row.id, clock.now())


def _mark(row: AnyRow) -> str:
    """What changes with an account's password."""
    return hashlib.sha256(row.password_hash.encode()).hexdigest()[:16]


def _not_good() -> InvalidInput:
    message = "is not good, or not any more: ask for another one"
    return InvalidInput(f"resetToken: {message}", {"resetToken": message})


def _refuse_foreign(row: AnyRow, what: str) -> None:
    if row.issuer is not None:
        raise Conflict(f"{row.username} is an account of {row.issuer}, which decides on {what}.")


def _stored(sites: Collection[int] | None) -> list[int] | None:
    return None if sites is None else sorted(set(sites))


def _check_role(role: str) -> None:
    if role not in ROLES:
        message = f"must be one of {', '.join(ROLES)}"
        raise InvalidInput(f"role: {message}", {"role": message})


def _check_name(username: str) -> None:
    if username == RESERVED_NAME:
        raise InvalidInput("The username is not free.", {"username": "stands for the system itself"})
    if (
        not username
        or len(username) > LONGEST_NAME
        or not username.isprintable()
        or username != username.strip()
        or username in _UNUSABLE
    ):
        raise InvalidInput(
            "The username is not acceptable.",
            {"username": f"1 to {LONGEST_NAME} printable characters, no blanks at the ends"},
        )
