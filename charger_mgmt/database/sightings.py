"""When each charger last spoke, and whether that is too long ago: rows that change every few seconds.

They stand apart from the chargers' own rows, which everything that is stored of a charger points to: whoever stores
something need not wait for whoever notes that the charger was heard. Times are the database's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, false, select, true, update

from . import bulk
from .models import Sighting

_S = Sighting.__table__.c  # `silent = false`, not IS: that would read the whole index


def note(conn: Connection, charger_ids: Sequence[int], now: datetime) -> None:
    """They have spoken. Whether they count as silent stays as it is."""
    rows = [{"charger_id": charger_id, "seen_at": now} for charger_id in charger_ids]
    bulk.upsert(conn, Sighting.__table__, rows, ["charger_id"])


def have_spoken(conn: Connection, charger_ids: Sequence[int], now: datetime) -> None:
    """They have spoken, and do not count as silent any more."""
    rows = [{"charger_id": charger_id, "silent": False, "seen_at": now} for charger_id in charger_ids]
    bulk.upsert(conn, Sighting.__table__, rows, ["charger_id"])


def silent_ones(conn: Connection, charger_ids: Sequence[int]) -> list[int]:
    """Those of them that count as silent."""
    return list(
        conn.scalars(select(_S.charger_id).where(_S.charger_id.in_(charger_ids), _S.silent == true()))
    )


def heard_silent_ones(conn: Connection, since: datetime, most: int) -> list[int]:
    """Chargers that count as silent and have spoken since then: whoever noted it had looked just before they were marked."""
    found = select(_S.charger_id).where(_S.silent == true(), _S.seen_at > since).order_by(_S.seen_at)
    return sorted(conn.scalars(found.limit(most)))


def overdue(conn: Connection, since: datetime, most: int) -> list[int]:
    """Chargers that have not spoken since then and do not count as silent yet."""
    found = select(_S.charger_id).where(_S.silent == false(), _S.seen_at < since).order_by(_S.seen_at)
    return sorted(conn.scalars(found.limit(most)))


def still_overdue(conn: Connection, charger_ids: Sequence[int], since: datetime) -> list[int]:
    """Those of them that are; locked until the commit, after the chargers' own rows."""
    found = select(_S.charger_id).where(
        _S.charger_id.in_(charger_ids), _S.silent == false(), _S.seen_at < since
    )
    return list(conn.scalars(found.order_by(_S.charger_id).with_for_update()))


def set_silent(conn: Connection, charger_ids: Sequence[int], silent: bool) -> None:
    """They count as silent from now on, or no longer."""
    conn.execute(update(Sighting.__table__).where(_S.charger_id.in_(charger_ids)).values(silent=silent))


def grant(conn: Connection, charger_ids: Sequence[int], now: datetime) -> None:
    """They get a whole limit from now on, if they do not count as silent already."""
    conn.execute(
        update(Sighting.__table__)
        .where(_S.charger_id.in_(charger_ids), _S.silent == false(), _S.seen_at < now)
        .values(seen_at=now)
    )


def none_ahead(conn: Connection, now: datetime) -> None:
    """After a clock was set back: nobody has spoken later than now."""
    conn.execute(update(Sighting.__table__).where(_S.seen_at > now).values(seen_at=now))


def last(conn: Connection, charger_id: int) -> datetime | None:
    """When the charger last spoke."""
    seen: datetime | None = conn.scalar(select(_S.seen_at).where(_S.charger_id == charger_id))
    return seen
