"""What a charger's answers about its configuration do (ChangeConfiguration and GetConfiguration, sections 5.3 and 5.8)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from ..chargers import passwords
from ..commands import command_rows
from ..commands.calls import Answered
from ..database import chargers

#: Errors that leave open whether the charger took what it was sent.
_UNCLEAR: Final = {"InternalError", "GenericError"}


def changed(conn: Connection, answered: Answered) -> None:
    """Of an AuthorizationKey: whether the charger has it; nothing, while that is unclear."""
    if answered.key_hash is None:
        return
    charger = chargers.by_identity(conn, answered.identity, lock=True)
    pending = charger.pending_password_hashes if charger is not None else None
    if charger is None or not passwords.is_pending(pending, answered.key_hash):
        return  # settled by the charger's use of it, or by a newer password
    status = answered.response.get("status")
    if status == "Accepted":
        chargers.change(conn, charger.id, password_hash=answered.key_hash, pending_password_hashes=None)
        return
    refused = status in ("Rejected", "NotSupported")
    refused = refused or (answered.error_code is not None and answered.error_code not in _UNCLEAR)
    refused = refused or (answered.state == command_rows.CHARGER_GONE and not answered.sent)
    if refused:
        left = passwords.without_pending(pending, answered.key_hash)
        chargers.change(conn, charger.id, pending_password_hashes=left)
    elif status == "RebootRequired":
        left = passwords.after_reboot(pending, answered.key_hash)
        chargers.change(conn, charger.id, pending_password_hashes=left)


def told(conn: Connection, answered: Answered) -> None:
    """NumberOfConnectors (section 9.1.20), if it can be believed."""
    for entry in answered.response.get("configurationKey") or ():
        value = str(entry.get("value") or "").strip() if isinstance(entry, dict) else ""
        key = str(entry.get("key")).strip().lower() if isinstance(entry, dict) else ""
        if key == "numberofconnectors" and value.isdecimal() and 1 <= len(value) <= 4 and int(value):
            chargers.change(conn, answered.charger_id, number_of_connectors=int(value))
            return
