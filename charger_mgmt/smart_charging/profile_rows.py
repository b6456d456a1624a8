"""Charging profiles: the library, and what is installed where."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from ..database.base import AnyRow
from ..database.models import Charger, ChargingProfile, InstalledProfile, Transaction
from ..domain.transactions import IN_PROGRESS

REQUESTED = "requested"
INSTALLED = "installed"
REFUSED = "refused"
REPLACED = "replaced"
CLEARED = "cleared"
STATES = (REQUESTED, INSTALLED, REFUSED, REPLACED, CLEARED)

_L = ChargingProfile.__table__.c
_P = InstalledProfile.__table__.c
_C = Charger.__table__.c
_T = Transaction.__table__.c
#: chargingProfileIds of ours begin here: smaller ones are left to who sends profiles by hand.
FIRST_ID = 1_000_000


def library(conn: Connection, *, after: str | None, limit: int) -> Sequence[Row[Any]]:
    """By name; those beyond `after`."""
    query = select(ChargingProfile.__table__).order_by(_L.name).limit(limit)
    return conn.execute(query.where(_L.name > after) if after is not None else query).all()


def of_library(conn: Connection, number: int) -> AnyRow | None:
    return conn.execute(select(ChargingProfile.__table__).where(_L.id == number)).first()


def add_to_library(conn: Connection, **values: Any) -> int:
    made = conn.execute(insert(ChargingProfile.__table__).values(**values))
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def change_in_library(conn: Connection, number: int, **values: Any) -> None:
    conn.execute(update(ChargingProfile.__table__).where(_L.id == number).values(**values))


def drop_from_library(conn: Connection, number: int) -> None:
    conn.execute(delete(ChargingProfile.__table__).where(_L.id == number))


def add(conn: Connection, **values: Any) -> int:
    """A new row; its number. Without a `profile_id` it is given one of ours."""
    made = conn.execute(insert(InstalledProfile.__table__).values(**values))
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def change(conn: Connection, number: int, **values: Any) -> None:
    conn.execute(update(InstalledProfile.__table__).where(_P.id == number).values(**values))


def by_id(conn: Connection, number: int) -> AnyRow | None:
    return conn.execute(select(InstalledProfile.__table__).where(_P.id == number)).first()


def by_profile_id(conn: Connection, charger_id: int, profile_id: int) -> AnyRow | None:
    """The newest of a charger's with this chargingProfileId."""
    query = select(InstalledProfile.__table__).where(_P.charger_id == charger_id, _P.profile_id == profile_id)
    return conn.execute(query.order_by(_P.id.desc()).limit(1)).first()


def listed(
    conn: Connection, charger_id: int, *, state: str | None, before: int | None, limit: int
) -> Sequence[Row[Any]]:
    """Newest first; those with a number below `before`."""
    query = select(InstalledProfile.__table__).where(_P.charger_id == charger_id)
    if state is not None:
        query = query.where(_P.state == state)
    if before is not None:
        query = query.where(_P.id < before)
    return conn.execute(query.order_by(_P.id.desc()).limit(limit)).all()


def installed(conn: Connection, charger_id: int) -> Sequence[Row[Any]]:
    """What a charger holds, as far as we know, but for profiles of sessions that are over."""
    running = select(_T.id).where(_T.id == _P.transaction_id, _T.status == IN_PROGRESS).exists()
    return conn.execute(
        select(InstalledProfile.__table__)
        .where(
            _P.charger_id == charger_id,
            _P.state == INSTALLED,
            or_(_P.purpose != "TxProfile", _P.transaction_id.is_(None), running),
        )
        .order_by(_P.id)
    ).all()


def replace(
    conn: Connection, charger_id: int, connector_id: int, purpose: str, level: int, profile_id: int, by: int
) -> None:
    """A newly installed profile takes the place of what has its id, or its purpose and stack level there (section 3.13.2)."""
    same = and_(_P.connector_id == connector_id, _P.purpose == purpose, _P.stack_level == level)
    conn.execute(
        update(InstalledProfile.__table__)
        .where(
            _P.charger_id == charger_id,
            _P.state == INSTALLED,
            or_(same, _P.profile_id == profile_id),
            _P.id != by,
        )
        .values(state=REPLACED, kept=False)
    )


def clear(
    conn: Connection,
    charger_id: int,
    *,
    profile_id: int | None = None,
    connector_id: int | None = None,
    purpose: str | None = None,
    level: int | None = None,
) -> None:
    """The charger holds none any more that fits all of what is given."""
    query = update(InstalledProfile.__table__).where(_P.charger_id == charger_id, _P.state == INSTALLED)
    for column, value in (
        (_P.profile_id, profile_id),
        (_P.connector_id, connector_id),
        (_P.purpose, purpose),
        (_P.stack_level, level),
    ):
        if value is not None:
            query = query.where(column == value)
    conn.execute(query.values(state=CLEARED, kept=False))


def kept(conn: Connection, charger_id: int, now: datetime) -> AnyRow | None:
    """The limit that an operator wants of the whole charger now."""
    query = select(InstalledProfile.__table__).where(
        _P.charger_id == charger_id,
        _P.kept.is_(True),
        _P.state.in_((REQUESTED, INSTALLED)),
        or_(_P.expires_at.is_(None), _P.expires_at > now),
    )
    return conn.execute(query.order_by(_P.id.desc()).limit(1)).first()


def waiting(conn: Connection, now: datetime, since: datetime, limit: int) -> Sequence[AnyRow]:
    """Limits that their connected charger does not have (yet, or since it booted), not tried since then; with `identity`."""
    return conn.execute(
        select(InstalledProfile.__table__, _C.identity)
        .join(Charger.__table__, _C.id == _P.charger_id)
        .where(
            _P.kept.is_(True),
            or_(
                _P.state == REQUESTED,
                and_(_P.state == INSTALLED, _P.answered_at < _C.booted_at),
            ),
            or_(_P.expires_at.is_(None), _P.expires_at > now),
            or_(_P.tried_at.is_(None), _P.tried_at < since),
            _C.connected.is_(True),
            _C.removed_at.is_(None),
            _C.registration == "Accepted",
            _C.automatic_calls.is_(True),
        )
        .limit(limit)
    ).all()
