"""Connectors that a charger does not have any more: retired by themselves, or removed by an operator.

A charger reports all of its connectors after a boot (section 4.9 of OCPP 1.6, and we ask for it). One that stays
unreported is retired when the charger has been exchanged for another box since, or when its number is above
NumberOfConnectors. It counts no longer for the charger's status, and comes back with its next report.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, or_, select, update

from .. import clock
from ..database import bulk
from ..database.chargers import find as find_charger
from ..database.connections import writing
from ..database.models import Charger, ChargerEvent, Connector, Transaction
from ..domain import dialect
from ..domain.registration import ACCEPTED
from ..domain.transactions import IN_PROGRESS
from ..errors import Conflict, NotFound
from . import connector_status

#: Dialects in which a charger reports all of its connectors.
_REPORTING = [each.name for each in dialect.BY_NAME.values() if each.reports_status]
#: Connectors retired in one turn.
_AT_ONCE = 500

_C = Charger.__table__.c
_N = Connector.__table__.c


def _unreported(now: datetime, after: timedelta) -> ColumnElement[bool]:
    """Connectors that their chargers have not spoken of since a boot that is longer ago than `after`."""
    return and_(
        _N.connector_id > 0,
        _N.retired_at.is_(None),
        _N.received_at < _C.booted_at,
        _C.booted_at < now - after,
        _C.registration == ACCEPTED,
    )


def retire(conn: Connection, now: datetime, after: timedelta) -> int:
    """Retire what chargers have no more. Returns how many connectors that are."""
    gone = or_(_N.connector_id > _C.number_of_connectors, _N.received_at < _C.box_since)
    places: dict[int, list[int]] = defaultdict(list)
    for row in conn.execute(
        select(_N.charger_id, _N.connector_id)
        .join(Charger.__table__, _C.id == _N.charger_id)
        .where(_unreported(now, after), gone)
        .order_by(_N.charger_id)
        .limit(_AT_ONCE)
    ):
        places[row.charger_id].append(row.connector_id)
    if not places:
        return 0
    booted = {
        row.id: row.booted_at
        for row in conn.execute(
            select(_C.id, _C.booted_at).where(_C.id.in_(places)).order_by(_C.id).with_for_update()
        )
    }
    retired = []
    for charger_id, numbers in places.items():
        for number in numbers:
            done = conn.execute(
                update(Connector.__table__)
                .where(
                    _N.charger_id == charger_id,
                    _N.connector_id == number,
                    _N.received_at < booted[charger_id],  # it may have been reported meanwhile
                    _N.retired_at.is_(None),
                )
                .values(retired_at=now)
            )
            if done.rowcount:
                retired.append((charger_id, number))
    _journal(conn, "ConnectorRetired", retired, now)
    connector_status.summarise_anew(conn, bulk.distinct(charger_id for charger_id, _ in retired), now)
    return len(retired)


def unexplained(conn: Connection, now: datetime, after: timedelta) -> Sequence[str]:
    """The identities of the connected chargers whose unreported connectors wait for NumberOfConnectors."""
    return conn.scalars(
        select(_C.identity)
        .join(Connector.__table__, _N.charger_id == _C.id)
        .where(
            _unreported(now, after),
            _C.number_of_connectors.is_(None),
            _C.connected.is_(True),
            _C.dialect.in_(_REPORTING),
        )
        .distinct()
        .limit(_AT_ONCE)
    ).all()


def remove(engine: Engine, identity: str, connector_id: int, *, requested_by: str) -> None:
    """Forget a connector; it comes back if the charger reports it after all.

    Raises NotFound, and Conflict while a session is open on it.
    """
    now = clock.now()
    with writing(engine) as conn:
        charger = find_charger(conn, identity, lock=True)
        here = and_(_N.charger_id == charger.id, _N.connector_id == connector_id)
        if conn.execute(select(_N.status).where(here)).first() is None:
            raise NotFound(f"Charger {identity} has no connector {connector_id}.")
        t = Transaction.__table__.c
        open_one = conn.scalar(
            select(t.id)
            .where(t.charger_id == charger.id, t.connector_id == connector_id, t.status == IN_PROGRESS)
            .limit(1)
        )
        if open_one is not None:
            raise Conflict(
                f"Transaction {open_one} is open on connector {connector_id}: end or close it first."
            )
        conn.execute(delete(Connector.__table__).where(here))
        _journal(conn, "ConnectorRemoved", [(charger.id, connector_id)], now, requestedBy=requested_by)
        connector_status.summarise_anew(conn, [charger.id], now)


def _journal(
    conn: Connection, kind: str, places: Sequence[tuple[int, int]], now: datetime, **detail: str
) -> None:
    rows = [
        {
            "charger_id": charger_id,
            "kind": kind,
            "detail": {"connectorId": number, **detail},
            "received_at": now,
        }
        for charger_id, number in places
    ]
    bulk.insert(conn, ChargerEvent.__table__, rows)
