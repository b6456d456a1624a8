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


#: What carries money: kept whatever it is like, also of a charger that is held to the letter.
_ALWAYS_TAKEN = frozenset({"StartTransaction", "StopTransaction", "MeterValues"})


def allowance(action: str) -> str:
    """What lets a deviation in a message of this action pass."""
    return "always" if action in _ALWAYS_TAKEN else "strict: false"
