"""Chargers' local lists, as far as other rooms than local_list need them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, update

from .models import LocalList

_L = LocalList.__table__.c


def forget(conn: Connection, charger_ids: Collection[int]) -> None:
    """Nobody can tell any more what these chargers' lists hold: they are due to be written anew."""
    conn.execute(
        update(LocalList.__table__)
        .where(_L.charger_id.in_(sorted(charger_ids)))
        .values(revision=None, tried_at=None)
    )
