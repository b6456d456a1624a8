"""What a charger tells and nothing follows from: data, firmware, diagnostics, security (sections 4.3 to 4.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from ..database import bulk
from ..database.models import Charger
from ..domain import facts
from ..intake import events
from ..intake.messages import ChargerMessage, Reply
from ..settings import Settings
from . import vendors


def data_transfer(
    conn: Connection, messages: Sequence[ChargerMessage[facts.DataSent]], now: datetime, settings: Settings
) -> list[Reply]:
    """Keep what was sent, and answer as whoever understands it says (vendors.py)."""
    _journal(conn, messages)
    return [Reply(vendors.understood(conn, message.charger_id, message.fact.said)) for message in messages]


def event(
    conn: Connection, messages: Sequence[ChargerMessage[facts.Noted]], now: datetime, settings: Settings
) -> list[Reply]:
    """Keep it for the operator to read."""
    _journal(conn, messages)
    return [Reply() for _ in messages]


def nothing(
    conn: Connection, messages: Sequence[ChargerMessage[facts.Lives]], now: datetime, settings: Settings
) -> list[Reply]:
    """A Heartbeat is answered from memory; one that is odd comes here for its oddities."""
    return [Reply() for _ in messages]


def firmware_status(
    conn: Connection,
    messages: Sequence[ChargerMessage[facts.FirmwareReports]],
    now: datetime,
    settings: Settings,
) -> list[Reply]:
    """Note how far an update is; it may arrive before or after the boot that belongs to it."""
    return _note(conn, messages, "firmware_status")


def diagnostics_status(
    conn: Connection,
    messages: Sequence[ChargerMessage[facts.DiagnosticsReport]],
    now: datetime,
    settings: Settings,
) -> list[Reply]:
    """Note how far an upload is."""
    return _note(conn, messages, "diagnostics_status")


def _note(
    conn: Connection,
    messages: Sequence[ChargerMessage[facts.FirmwareReports]]
    | Sequence[ChargerMessage[facts.DiagnosticsReport]],
    column: str,
) -> list[Reply]:
    rows = {
        message.charger_id: {
            "id": message.charger_id,
            column: message.fact.status[:32],
            f"{column}_at": message.received_at,
        }
        for message in messages
    }
    bulk.update(conn, Charger.__table__, list(rows.values()))
    _journal(conn, messages)
    return [Reply() for _ in messages]


def _journal(conn: Connection, messages: Iterable[ChargerMessage[Any]]) -> None:
    events.journal(conn, ((message, message.action, message.fact.said) for message in messages))
