"""How chargers depart from the specification, as operators read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from .models import ChargerOddity

_O = ChargerOddity.__table__.c


def of_charger(conn: Connection, charger_id: int) -> Sequence[Row[Any]]:
    """All of a charger's, the latest first: there are a few dozen kinds."""
    query = select(ChargerOddity.__table__).where(_O.charger_id == charger_id)
    return conn.execute(query.order_by(_O.last_at.desc(), _O.id)).all()
