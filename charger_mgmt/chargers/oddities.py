"""How a charger departs from the specification, as operators read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, select

from ..database.chargers import find
from ..database.connections import reading
from ..database.models import ChargerOddity

_O = ChargerOddity.__table__.c


def listed(engine: Engine, identity: str) -> Sequence[Row[Any]]:
    """All of a charger's oddities, the latest first: there are a few dozen kinds. Raises NotFound."""
    with reading(engine) as conn:
        query = select(ChargerOddity.__table__).where(_O.charger_id == find(conn, identity).id)
        return conn.execute(query.order_by(_O.last_at.desc(), _O.id)).all()
