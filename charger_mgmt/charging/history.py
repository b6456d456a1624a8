"""What operators read of charging sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row

from ..database.chargers import find as find_charger
from ..database.connections import reading
from ..database.pages import Page
from ..errors import NotFound
from . import history_rows
from .history_rows import Filters


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
        return history_rows.listed(conn, filters, before=before, limit=limit)


def session(
    engine: Engine, transaction_id: int, *, measurand: str | None, after: int | None, limit: int
) -> tuple[Row[Any], Page]:
    """One session and a page of its samples, in the order of their arrival. Raises NotFound."""
    with reading(engine) as conn:
        row = history_rows.by_id(conn, transaction_id)
        if row is None:
            raise NotFound(f"There is no transaction {transaction_id}.")
        return row, history_rows.meter_values(
            conn, transaction_id, measurand=measurand, after=after, limit=limit
        )
