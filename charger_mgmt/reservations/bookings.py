"""An operator reserves a connector, and lets go of it (sections 5.13 and 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row

from .. import clock
from ..central import Central
from ..commands.outbox import CommandOutcome, dispatch, queue
from ..database import reservations as rows
from ..database.base import AnyRow
from ..database.chargers import find as find_charger
from ..database.connections import reading, writing
from ..domain import authorisation
from ..domain import reservations as rules
from ..domain.roles import Sites
from ..errors import Conflict, InvalidInput, NotFound, TagRefused
from ..tags.lookup import find_tags
from ..web.replies import time_text

#: How far ahead may be reserved: chargers forget, and nobody notices.
FURTHEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Booking:
    """A reservation as it is now, and how the call ended that was about it."""

    row: AnyRow
    outcome: CommandOutcome | None = None


def reserve(
    central: Central,
    engine: Engine,
    identity: str,
    *,
    connector_id: int,
    id_tag: str,
    expires_at: datetime,
    sites: Sites = None,
    requested_by: str,
) -> Booking:
    """Ask a charger to keep a connector (0: any) for a tag, and wait for its answer.

    The tag's parent goes with it, so that every card of the group may use it. Raises NotFound, TagRefused, InvalidInput,
    Conflict when one of ours keeps this connector already, ChargerOffline, BusAway.
    """
    now = clock.now()
    _check_day(expires_at, now)
    with central.feed.listening(identity) as heard:
        deadline = clock.monotonic() + central.settings.operator_wait
        with writing(engine) as conn:
            charger = find_charger(conn, identity, lock=True, sites=sites)
            parent = _judge(conn, central, charger, id_tag, now)
            for other in rows.open_ones(conn, [charger.id], now):
                if other.connector_id == connector_id:
                    raise Conflict(
                        f"Connector {connector_id} is kept already, by reservation {other.id}: cancel it first."
                    )
            number = rows.add(
                conn,
                charger_id=charger.id,
                connector_id=connector_id,
                id_tag=id_tag,
                parent_id_tag=parent,
                expires_at=expires_at,
                state=rules.REQUESTED,
                requested_by=requested_by,
                created_at=now,
            )
            payload = {
                "connectorId": connector_id,
                "expiryDate": time_text(expires_at),
                "idTag": id_tag,
                "reservationId": number,
            }
            if parent is not None:
                payload["parentIdTag"] = parent
            command = queue(conn, central, charger, "ReserveNow", payload, requested_by=requested_by)
            rows.change(conn, number, command_id=command.command_id)
        outcome = dispatch(central, command, heard, deadline)
    return Booking(find(engine, number), outcome)


def cancel(
    central: Central, engine: Engine, number: int, *, sites: Sites = None, requested_by: str
) -> Booking:
    """Have a charger let go of a reservation, and wait for its answer.

    One that is over stays as it is. Raises NotFound, ChargerOffline, BusAway.
    """
    row = find(engine, number, sites)
    if row.state not in rules.OPEN:
        return Booking(row)
    with central.feed.listening(row.identity) as heard:
        deadline = clock.monotonic() + central.settings.operator_wait
        with writing(engine) as conn:
            charger = find_charger(conn, row.identity, lock=True)
            payload = {"reservationId": number}
            command = queue(conn, central, charger, "CancelReservation", payload, requested_by=requested_by)
        outcome = dispatch(central, command, heard, deadline)
    return Booking(find(engine, number), outcome)


def find(engine: Engine, number: int, sites: Sites = None) -> AnyRow:
    """Raises NotFound, also for one of a charger at none of these sites."""
    with reading(engine) as conn:
        row = rows.by_id(conn, number)
    if row is None or (sites is not None and row.site_id not in sites):
        raise NotFound(f"There is no reservation {number}.")
    return row


def listed(
    engine: Engine, *, identity: str | None, sites: Sites = None, **filters: Any
) -> Sequence[Row[Any]]:
    """As database.reservations.listed. Raises NotFound for an unknown charger."""
    with reading(engine) as conn:
        charger_id = None
        if identity is not None:
            charger_id = find_charger(conn, identity, removed=True, sites=sites).id
        return rows.listed(conn, charger_id=charger_id, sites=sites, now=clock.now(), **filters)


def _judge(conn: Connection, central: Central, charger: Row[Any], id_tag: str, now: datetime) -> str | None:
    """The parent of a tag that may charge. Raises TagRefused."""
    tag = find_tags(conn, [id_tag], starting=False).get(id_tag)
    unknown = authorisation.unknown_status(central.settings.unknown_tags)
    status = authorisation.judge(tag, now, at=charger.id, unknown=unknown, active=0).status
    if status != authorisation.ACCEPTED:
        raise TagRefused(f"The idTag {id_tag} may not charge: it is {status}.", status)
    return None if tag is None else tag.parent_id_tag


def _check_day(expires_at: datetime, now: datetime) -> None:
    message = None
    if expires_at <= now:
        message = "has passed"
    elif expires_at > now + FURTHEST:
        message = f"must not be more than {FURTHEST.days} days away"
    if message is not None:
        raise InvalidInput(f"expiryDate: {message}", {"expiryDate": message})
