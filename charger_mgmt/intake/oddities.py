"""How chargers depart from the specification: once for each kind and message, with a count and the last example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from ..database import bulk
from ..database.models import ChargerOddity
from .messages import ChargerMessage

#: Characters of an example that are kept.
LONGEST_EXAMPLE = 20_000
#: An example in which this stands may hold a password.
_SECRET = "authorizationkey"


def record(conn: Connection, messages: Sequence[ChargerMessage[Any]]) -> None:
    """Count the messages' oddities, in the commit that stores them."""
    rows: dict[tuple[int, str, str], dict[str, Any]] = {}
    for message in messages:
        for kind in message.oddities:
            key = (message.charger_id, message.action, kind)
            known = rows.get(key)
            rows[key] = {
                "charger_id": message.charger_id,
                "action": message.action,
                "kind": kind,
                "count": known["count"] + 1 if known else 1,
                "first_at": known["first_at"] if known else message.received_at,
                "last_at": message.received_at,
                "last_raw": _example(message.raw),
            }
    bulk.count_up(
        conn,
        ChargerOddity.__table__,
        [rows[key] for key in sorted(rows)],  # in one order, so that batches do not lock crosswise
        keys=("charger_id", "action", "kind"),
        newest=("last_at", "last_raw"),
    )


def _example(raw: str) -> str:
    return "(withheld)" if _SECRET in raw.lower() else raw[:LONGEST_EXAMPLE]
