"""What operators read of charging sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row

from ..errors import NotFound
from ..store import transactions_history
from ..store.chargers import find as find_charger
from ..store.connections import reading
from ..store.pages import Page
from ..store.transactions_history import Filters


def listed(
    engine: Engine,
    filters: Filters,
    *,
    identity: str | None,
    before: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Sessions, newest effective start first. Raises NotFound for an unknown charger."""
    with reading(engine) as conn:
        if identity is not None:
            filters = replace(filters, charger_id=find_charger(conn, identity, removed=True).id)
        return transactions_history.listed(conn, filters, before=before, limit=limit)


def session(
    engine: Engine, transaction_id: int, *, measurand: str | None, after: int | None, limit: int
) -> tuple[Row[Any], Page]:
    """One session and a page of its samples, in the order of their arrival. Raises NotFound."""
    with reading(engine) as conn:
        row = transactions_history.by_id(conn, transaction_id)
        if row is None:
            raise NotFound(f"There is no transaction {transaction_id}.")
        return row, transactions_history.meter_values(
            conn, transaction_id, measurand=measurand, after=after, limit=limit
        )
