"""What operators read of charging sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row

from ..database.chargers import find as find_charger
from ..database.chargers import ids_at
from ..database.connections import reading
from ..database.pages import Page
from ..domain.roles import Sites, common
from ..errors import NotFound
from . import history_rows
from .history_rows import Filters


def listed(
    engine: Engine,
    filters: Filters,
    *,
    identity: str | None,
    site_id: int | None = None,
    sites: Sites = None,
    before: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Sessions at these sites, newest effective start first. Raises NotFound for an unknown charger."""
    with reading(engine) as conn:
        wanted = common(sites, None if site_id is None else frozenset({site_id}))
        if identity is not None:
            charger = find_charger(conn, identity, removed=True, sites=sites)
            filters = replace(filters, charger_id=charger.id)
            if wanted is not None and charger.site_id not in wanted:
                return ()
        elif wanted is not None:
            filters = replace(filters, charger_ids=ids_at(conn, wanted))
        return history_rows.listed(conn, filters, before=before, limit=limit)


def session(
    engine: Engine,
    transaction_id: int,
    *,
    sites: Sites = None,
    measurand: str | None,
    after: int | None,
    limit: int,
) -> tuple[Row[Any], Page]:
    """One session and a page of its samples, in the order of their arrival. Raises NotFound, also for one at none of these
    sites."""
    with reading(engine) as conn:
        row = history_rows.by_id(conn, transaction_id, sites)
        if row is None:
            raise NotFound(f"There is no transaction {transaction_id}.")
        return row, history_rows.meter_values(
            conn, transaction_id, measurand=measurand, after=after, limit=limit
        )
