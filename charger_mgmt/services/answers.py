"""What a charger's answer to a call of ours does, beside the row that keeps it: one function for each action that does
something, in the commit that stores the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from ..store import chargers, commands
from . import charger_passwords

#: Errors that leave open whether the charger took what it was sent.
_UNCLEAR: Final = {"InternalError", "GenericError"}


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that has come to a `state` (as in store/commands.py).

    `response` is the CALLRESULT's payload; `error_code` that of a CALLERROR. `sent` tells whether the call was written
    to the socket, `key_hash` which AuthorizationKey it carried.
    """

    charger_id: int
    identity: str
    state: str
    response: Mapping[str, Any]
    error_code: str | None
    sent: bool
    key_hash: str | None


def take_effect(conn: Connection, action: str, answered: Answered) -> None:
    """Do what the answer means. To be called once for each answer, in its commit."""
    if (effect := EFFECTS.get(action)) is not None:
        effect(conn, answered)


def _configuration_changed(conn: Connection, answered: Answered) -> None:
    """Of an AuthorizationKey: whether the charger has it; nothing, while that is unclear."""
    if answered.key_hash is None:
        return
    charger = chargers.by_identity(conn, answered.identity, lock=True)
    pending = charger.pending_password_hashes if charger is not None else None
    if charger is None or not charger_passwords.is_pending(pending, answered.key_hash):
        return  # settled by the charger's use of it, or by a newer password
    status = answered.response.get("status")
    if status == "Accepted":
        chargers.change(conn, charger.id, password_hash=answered.key_hash, pending_password_hashes=None)
        return
    refused = status in ("Rejected", "NotSupported")
    refused = refused or (answered.error_code is not None and answered.error_code not in _UNCLEAR)
    refused = refused or (answered.state == commands.CHARGER_GONE and not answered.sent)
    if refused:
        left = charger_passwords.without_pending(pending, answered.key_hash)
        chargers.change(conn, charger.id, pending_password_hashes=left)
    elif status == "RebootRequired":
        left = charger_passwords.after_reboot(pending, answered.key_hash)
        chargers.change(conn, charger.id, pending_password_hashes=left)


def _configuration_told(conn: Connection, answered: Answered) -> None:
    """NumberOfConnectors (section 9.1.20), if it can be believed."""
    for entry in answered.response.get("configurationKey") or ():
        value = str(entry.get("value") or "").strip() if isinstance(entry, dict) else ""
        key = str(entry.get("key")).strip().lower() if isinstance(entry, dict) else ""
        if key == "numberofconnectors" and value.isdecimal() and 1 <= len(value) <= 4 and int(value):
            chargers.change(conn, answered.charger_id, number_of_connectors=int(value))
            return


EFFECTS: Final[dict[str, Callable[[Connection, Answered], None]]] = {
    "ChangeConfiguration": _configuration_changed,
    "GetConfiguration": _configuration_told,
}
