"""Vendors' own messages (DataTransfer, section 4.3): who understands one registers a function for it.

    @vendor("com.example", "Ping")
    def ping(conn: Connection, charger_id: int, data: str | None) -> Understood:
        return Understood("Accepted", "pong")

It runs in the commit that stores the message, and its answer goes to the charger afterwards. A message that comes twice comes
twice here, too. What it raises undoes what it has stored, and the charger is told Rejected. Without a messageId it gets the
vendor's messages that have none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Connection

from ..domain.outcomes import Transferred

log = logging.getLogger(__name__)

STATUSES: Final = ("Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId")


class Understood(NamedTuple):
    """What a vendor's message is answered: a status of section 7.23, and a text if there is something to say."""

    status: str
    data: str | None = None


Understands: TypeAlias = Callable[[Connection, int, str | None], Understood]
#: vendorId → messageId (None: none) → function.
_VENDORS: dict[str, dict[str | None, Understands]] = {}


def vendor(vendor_id: str, message_id: str | None = None) -> Callable[[Understands], Understands]:
    """Register a function for a vendor's message. Raises TypeError when there is one already."""

    def register(function: Understands) -> Understands:
        messages = _VENDORS.setdefault(vendor_id, {})
        if message_id in messages:
            raise TypeError(f"{vendor_id} {message_id} is understood already")
        messages[message_id] = function
        return function

    return register


def understood(conn: Connection, charger_id: int, said: Any) -> Transferred:
    """What a DataTransfer is answered. Never raises, but when the database is away."""
    messages = _VENDORS.get(said.get("vendorId"))
    if messages is None:
        return Transferred("UnknownVendorId")  # and no data: section 4.3
    function = messages.get(said.get("messageId"))
    if function is None:
        return Transferred("UnknownMessageId")
    savepoint = conn.begin_nested()
    try:
        answer = function(conn, charger_id, said.get("data"))
        if answer.status not in STATUSES or not isinstance(answer.data, str | None):
            raise TypeError(f"{answer!r} is no answer to a DataTransfer")
    except Exception:
        savepoint.rollback()
        log.exception("a message of vendor %s was not understood", str(said.get("vendorId"))[:100])
        return Transferred("Rejected")
    savepoint.close()
    return Transferred(answer.status, answer.data)
