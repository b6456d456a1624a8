"""What the sessions of a charger say of its status, where the dialect does not make it report any by itself.

It is Available after its boot and Charging while it has an open session, unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from ..database import bulk, transactions
from ..database.models import Connector
from ..domain import status as rules
from . import connector_status

#: The connector of a session that names none.
ONLY_CONNECTOR = 1


@dataclass(frozen=True, slots=True)
class Outlet:
    """A connector on which something has just happened."""

    charger_id: int
    connector_id: int | None
    moment: datetime


def show(conn: Connection, outlets: Sequence[Outlet], *, booted: bool = False, spoken: bool = True) -> None:
    """Let the outlets' statuses follow from the sessions that are open now.

    Only a boot overrules a fault that the charger has reported. `spoken` as in connector_status.apply.
    """
    charger_ids = bulk.distinct(outlet.charger_id for outlet in outlets)
    if not charger_ids:
        return
    busy = {
        (row.charger_id, row.connector_id or ONLY_CONNECTOR)
        for rows in transactions.open_sessions(conn, charger_ids).values()
        for row in rows
    }
    said = _statuses(conn, charger_ids)
    reports = []
    for outlet in outlets:
        number = outlet.connector_id or ONLY_CONNECTOR
        place = (outlet.charger_id, number)
        if place in busy:
            word = rules.CHARGING
        elif booted or said.get(place, rules.CHARGING) in rules.DELIVERING:
            word = rules.AVAILABLE
        else:
            continue
        reports.append(connector_status.Report(outlet.charger_id, number, word, outlet.moment))
    connector_status.apply(conn, reports, spoken=spoken)


def _statuses(conn: Connection, charger_ids: Sequence[int]) -> dict[tuple[int, int], str]:
    c = Connector.__table__.c
    rows = conn.execute(
        select(c.charger_id, c.connector_id, c.status).where(
            c.charger_id.in_(charger_ids), c.retired_at.is_(None)
        )
    )
    return {(row.charger_id, row.connector_id): row.status for row in rows}
