"""Limits of sessions: so much energy, or so many minutes, of one session or of every session of a tag.

They are kept in the database and looked at every few seconds by whoever leads: a session that has come to its limit is
stopped (RemoteStopTransaction), and again each minute until its charger reports the end. So limits outlive every process, and cost
the chargers' messages nothing. Energy is known as often as the charger meters: it may take a little more than it should.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import gevent
from sqlalchemy import Connection, Engine, Select, and_, func, insert, or_, select, update

from .. import clock
from ..central import Central
from ..commands import outbox
from ..database.base import AnyRow
from ..database.connections import reading, writing
from ..database.models import Charger, Command, LimitStop, SessionLimit, Tag, Transaction
from ..domain import dialect
from ..domain.roles import Sites
from ..domain.transactions import COMPLETED, IN_PROGRESS
from ..errors import ChargerManagementError, Conflict, NotFound
from . import history_rows

log = logging.getLogger(__name__)

ENERGY: Final = "energy"
TIME: Final = "time"
#: Between two looks, in seconds; and until a charger that did not stop is asked again.
EVERY: Final = 5.0
AGAIN: Final = timedelta(minutes=1)
_AT_ONCE = 100
#: After which a limit is forgotten whose session never began.
FORGOTTEN = timedelta(days=1)

_T = Transaction.__table__.c
_L = SessionLimit.__table__.c
_S = LimitStop.__table__.c
_G = Tag.__table__.c
_C = Charger.__table__.c
_CALLED = [each.name for each in dialect.BY_NAME.values() if each.takes_calls]


@dataclass(frozen=True, slots=True)
class LimitState:
    """The limits of one session, the stricter of its own and its tag's, and whether it has come to one."""

    energy_mwh: int | None
    minutes: int | None
    reached: str | None
    reached_at: datetime | None


def set_for_start(
    conn: Connection,
    *,
    energy_mwh: int | None,
    minutes: int | None,
    set_by: str,
    command_id: int | None = None,
    transaction_id: int | None = None,
) -> None:
    """Limit the session that a remote start will cause, or one that has begun at once."""
    if energy_mwh is None and minutes is None:
        return
    conn.execute(
        insert(SessionLimit.__table__).values(
            command_id=command_id,
            transaction_id=transaction_id,
            energy_mwh=energy_mwh,
            minutes=minutes,
            set_by=set_by,
            set_at=clock.now(),
        )
    )


def change(
    engine: Engine,
    transaction_id: int,
    *,
    energy_mwh: int | None,
    minutes: int | None,
    sites: Sites = None,
    set_by: str,
) -> None:
    """Limit a session that runs; both None: not any more. Raises NotFound, Conflict when it is over."""
    with writing(engine) as conn:
        row = history_rows.by_id(conn, transaction_id, sites)
        if row is None:
            raise NotFound(f"There is no transaction {transaction_id}.")
        if row.status == COMPLETED:
            raise Conflict(f"Transaction {transaction_id} is Completed.")
        now = clock.now()
        values = {"energy_mwh": energy_mwh, "minutes": minutes, "set_by": set_by, "set_at": now}
        _adopt(conn, now)
        known = update(SessionLimit.__table__).where(_L.transaction_id == transaction_id)
        if not conn.execute(known.values(active=True, **values)).rowcount:
            conn.execute(insert(SessionLimit.__table__).values(transaction_id=transaction_id, **values))


def of(engine: Engine, transaction_id: int) -> LimitState:
    """What limits a session."""
    with reading(engine) as conn:
        own = conn.execute(
            select(_L.energy_mwh, _L.minutes).where(_L.transaction_id == transaction_id)
        ).first()
        tag = conn.execute(
            select(_G.session_energy_mwh, _G.session_minutes)
            .join(Transaction.__table__, _G.id_tag_key == func.lower(_T.id_tag))
            .where(_T.id == transaction_id)
        ).first()
        stop = conn.execute(select(LimitStop.__table__).where(_S.transaction_id == transaction_id)).first()
    return LimitState(
        _least(own and own[0], tag and tag[0]),
        _least(own and own[1], tag and tag[1]),
        stop.reason if stop is not None else None,
        stop.reached_at if stop is not None else None,
    )


def enforce(central: Central) -> None:
    """Stop the sessions that have come to a limit. To be called now and then, by who leads."""
    now = clock.now()
    with central.database.engine.begin() as conn:
        _adopt(conn, now)
        rows = _reached(conn, now)
        for row in rows:
            _note(conn, row, now)
    for row in rows:
        gevent.spawn(_stop, central, row)


def _adopt(conn: Connection, now: datetime) -> None:
    """Limits of remote starts become limits of the sessions that they have caused; those of sessions that are over rest."""
    c = Command.__table__.c
    waiting = conn.execute(
        select(_L.id, c.transaction_id)
        .join(Command.__table__, c.id == _L.command_id)
        .where(_L.active.is_(True), _L.transaction_id.is_(None), c.transaction_id.is_not(None))
    ).all()
    for row in waiting:
        taken = conn.scalar(select(_L.id).where(_L.transaction_id == row.transaction_id))
        values = {"transaction_id": row.transaction_id} if taken is None else {"active": False}
        conn.execute(update(SessionLimit.__table__).where(_L.id == row.id).values(**values))
    over = select(_T.id).where(_T.id == _L.transaction_id, _T.status == COMPLETED).exists()
    old = and_(_L.set_at < now - FORGOTTEN, _L.transaction_id.is_(None))
    conn.execute(
        update(SessionLimit.__table__).where(_L.active.is_(True), or_(over, old)).values(active=False)
    )


def _reached(conn: Connection, now: datetime) -> Sequence[AnyRow]:
    """`id, identity, reason` of running sessions at a limit whose charger has not been asked in the last minute."""
    found: dict[int, AnyRow] = {}
    own = _running(now).join(SessionLimit.__table__, and_(_L.transaction_id == _T.id, _L.active.is_(True)))
    of_tags = _running(now).join(Tag.__table__, _G.id_tag_key == func.lower(_T.id_tag))
    kinds = [(own, _L.energy_mwh, _L.minutes)]
    limited = or_(_G.session_energy_mwh.is_not(None), _G.session_minutes.is_not(None))
    if conn.scalar(select(_G.id).where(limited).limit(1)) is not None:
        kinds.append((of_tags, _G.session_energy_mwh, _G.session_minutes))
    for query, energy, minutes in kinds:
        taken = _T.meter_last_mwh - _T.meter_start_mwh
        asked = query.add_columns(
            energy.label("energy_mwh"), minutes.label("minutes"), taken.label("taken")
        ).where(or_(and_(energy.is_not(None), taken >= energy), minutes.is_not(None)))
        for row in conn.execute(asked):
            if row.id not in found and _reason(row, now) is not None:
                found[row.id] = row
    return list(found.values())[:_AT_ONCE]


def _running(now: datetime) -> Select[Any]:
    recently = select(_S.transaction_id).where(_S.transaction_id == _T.id, _S.asked_at > now - AGAIN).exists()
    return (
        select(_T.id, _C.identity, _T.effective_start)
        .select_from(Transaction.__table__)
        .join(Charger.__table__, _C.id == _T.charger_id)
        .where(_T.status == IN_PROGRESS, _C.dialect.in_(_CALLED), ~recently)
    )


def _reason(row: AnyRow, now: datetime) -> str | None:
    if row.energy_mwh is not None and row.taken is not None and row.taken >= row.energy_mwh:
        return ENERGY
    if row.minutes is not None and now >= row.effective_start + timedelta(minutes=row.minutes):
        return TIME
    return None


def _note(conn: Connection, row: AnyRow, now: datetime) -> None:
    again = conn.execute(update(LimitStop.__table__).where(_S.transaction_id == row.id).values(asked_at=now))
    if not again.rowcount:
        conn.execute(
            insert(LimitStop.__table__).values(
                transaction_id=row.id, reason=_reason(row, now), reached_at=now, asked_at=now
            )
        )


def _stop(central: Central, row: AnyRow) -> None:
    try:
        outbox.send(
            central,
            row.identity,
            "RemoteStopTransaction",
            {"transactionId": row.id},
            requested_by=outbox.SYSTEM,
            wait=0,
        )
    except ChargerManagementError as error:
        log.info(
            "charger %s: transaction %d is at its limit and not stopped: %s", row.identity, row.id, error
        )
    except Exception:
        log.exception("charger %s: transaction %d could not be stopped", row.identity, row.id)


def _least(one: int | None, other: int | None) -> int | None:
    given = [each for each in (one, other) if each is not None]
    return min(given) if given else None
