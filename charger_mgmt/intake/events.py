"""The chargers' journal: what happened that is neither a status nor a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from ..database import bulk
from ..database.models import ChargerEvent
from .messages import ChargerMessage


def journal(conn: Connection, events: Iterable[tuple[ChargerMessage[Any], str, Mapping[str, Any]]]) -> None:
    """Write (message, kind, detail) for the operator to read."""
    bulk.insert(
        conn,
        ChargerEvent.__table__,
        [
            {
                "charger_id": message.charger_id,
                "kind": kind,
                "detail": detail,
                "received_at": message.received_at,
            }
            for message, kind, detail in events
        ],
    )
