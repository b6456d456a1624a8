"""What a charger tells and nothing follows from: data, firmware, diagnostics, security (sections 4.3 to 4.5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from ..store import bulk
from ..store.models import Charger
from . import events
from .inbound import ChargerMessage, Reply, Settings


def data_transfer(
    conn: Connection, messages: Sequence[ChargerMessage], now: datetime, settings: Settings
) -> list[Reply]:
    """Keep what was sent. No vendor's extension is known here, so the answer is UnknownVendorId."""
    events.journal(conn, ((message, message.action, message.payload) for message in messages))
    return [Reply({"status": "UnknownVendorId"}) for _ in messages]


def event(
    conn: Connection, messages: Sequence[ChargerMessage], now: datetime, settings: Settings
) -> list[Reply]:
    """Keep a notice of the security extension for the operator to read."""
    events.journal(conn, ((message, message.action, message.payload) for message in messages))
    return [Reply({}) for _ in messages]


def nothing(
    conn: Connection, messages: Sequence[ChargerMessage], now: datetime, settings: Settings
) -> list[Reply]:
    """A Heartbeat is answered from memory; one that is odd comes here for its oddities."""
    return [Reply({}) for _ in messages]


def firmware_status(
    conn: Connection, messages: Sequence[ChargerMessage], now: datetime, settings: Settings
) -> list[Reply]:
    """Note how far an update is; it may arrive before or after the boot that belongs to it."""
    return _note(conn, messages, "firmware_status")


def diagnostics_status(
    conn: Connection, messages: Sequence[ChargerMessage], now: datetime, settings: Settings
) -> list[Reply]:
    """Note how far an upload is."""
    return _note(conn, messages, "diagnostics_status")


def _note(conn: Connection, messages: Sequence[ChargerMessage], column: str) -> list[Reply]:
    rows = {
        message.charger_id: {
            "id": message.charger_id,
            column: message.payload["status"][:32],
            f"{column}_at": message.received_at,
        }
        for message in messages
    }
    bulk.update(conn, Charger.__table__, list(rows.values()))
    events.journal(conn, ((message, message.action, message.payload) for message in messages))
    return [Reply({}) for _ in messages]
