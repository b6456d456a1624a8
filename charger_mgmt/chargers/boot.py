"""BootNotification: inventory, onboarding, and what the charger is set to (OCPP 1.6 section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from ..database import bulk
from ..database.models import Charger
from ..domain import dialect, facts
from ..domain.outcomes import Booted
from ..domain.registration import ACCEPTED, registration
from ..intake import events
from ..intake.messages import ChargerMessage, FollowUp, Reply
from ..settings import Settings
from ..status import of_sessions
from ..status.of_sessions import Outlet

#: Seconds until a charger that waits for the operator's word, or was refused, may ask again.
RETRY_INTERVAL = 60
#: So that a charger keeps trying to deliver a transaction message through a long outage of ours.
PATIENCE = {"TransactionMessageAttempts": "255", "TransactionMessageRetryInterval": "60"}

#: The columns that a boot fills: all that the fact says but its own words.
_INVENTORY = tuple(name for name in facts.Boots.__struct_fields__ if name != "said")
#: What tells one box from another.
_BOX = ("vendor", "model", "charge_point_serial_number", "charge_box_serial_number")
_C = Charger.__table__.c


def boot(
    conn: Connection, messages: Sequence[ChargerMessage[facts.Boots]], now: datetime, settings: Settings
) -> list[Reply]:
    """Store the inventory and answer Accepted, Pending or Rejected by the onboarding rules.

    A boot ends no transaction: the charger may report the stop later, or carry on (section 2.1).
    """
    known = {
        row.id: row
        for row in conn.execute(
            select(
                _C.id,
                _C.approved,
                _C.bound_dialect,
                _C.dialect_pinned,
                _C.box_since,
                *(_C[column] for column in _BOX),
            ).where(_C.id.in_(bulk.distinct(m.charger_id for m in messages)))
        )
    }
    rows: dict[int, dict[str, Any]] = {}
    replies, journal = [], []
    for message in messages:
        before = known.get(message.charger_id)
        status = registration(before.approved if before else None, settings.charger_onboarding)
        since = before.box_since if before else None
        rows[message.charger_id] = {
            "id": message.charger_id,
            "registration": status,
            "booted_at": message.received_at,
            "number_of_connectors": None,
            "bound_dialect": _bound(message, status, before),
            "box_since": message.received_at if before and _is_another_box(before, message.fact) else since,
            **{column: getattr(message.fact, column) for column in _INVENTORY},
        }
        interval = settings.heartbeat_interval if status == ACCEPTED else RETRY_INTERVAL
        replies.append(Reply(Booted(status, now, interval), _follow_ups(message, status)))
        journal.append((message, message.action, {"request": message.fact.said, "status": status}))
    bulk.update(conn, Charger.__table__, list(rows.values()))
    events.journal(conn, journal)
    of_sessions.show(
        conn,
        [
            Outlet(message.charger_id, None, message.received_at)
            for message, reply in zip(messages, replies, strict=True)
            if not message.dialect.reports_status and reply.outcome.status == ACCEPTED
        ],
        booted=True,
    )
    return replies


def _bound(message: ChargerMessage[facts.Boots], status: str, before: Any) -> str | None:
    """The dialect that the charger is held to from now on."""
    spoken, bound = message.dialect.name, before.bound_dialect if before else None
    if status != ACCEPTED or (before and before.dialect_pinned):
        return bound
    # Who moves on to OCPP-J says so by a boot; whoever boots as it on a flat socket must not take it back.
    held = bound is not None and dialect.BY_NAME[bound].is_binding
    return bound if held and not message.proven else spoken


def _is_another_box(before: Any, said: facts.Boots) -> bool:
    """Whether the charger has been exchanged: it names another model or serial number than at its last boot."""
    return any(
        getattr(before, column) is not None
        and getattr(said, column) is not None
        and getattr(before, column) != getattr(said, column)
        for column in _BOX
    )


def _follow_ups(message: ChargerMessage[facts.Boots], status: str) -> tuple[FollowUp, ...]:
    if not message.dialect.takes_calls or status != ACCEPTED:
        return ()
    return tuple(
        FollowUp("ChangeConfiguration", {"key": key, "value": value}, "keep transaction messages")
        for key, value in PATIENCE.items()
    )
