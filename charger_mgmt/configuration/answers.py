"""What a charger's answers about its configuration do (ChangeConfiguration and GetConfiguration, sections 5.3 and 5.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

from .. import clock
from ..chargers import passwords
from ..commands import command_rows
from ..commands.calls import Answered
from ..commands.masking import is_secret
from ..database import chargers
from . import value_rows

#: Errors that leave open whether the charger took what it was sent.
_UNCLEAR: Final = {"InternalError", "GenericError"}
#: Keys that are kept of one answer.
_MOST_KEYS: Final = 1000


def changed(conn: Connection, answered: Answered) -> None:
    """What the charger has now, or why not."""
    if answered.key_hash is not None:
        _key_changed(conn, answered)
        return
    name, value = answered.payload.get("key"), answered.payload.get("value")
    word = answered.response.get("status") or answered.error_code
    if isinstance(name, str) and isinstance(value, str) and word is not None and answered.sent:
        has_it = value if word == "Accepted" else None
        value_rows.answered(conn, answered.charger_id, name, clock.now(), answer=str(word), value=has_it)


def _key_changed(conn: Connection, answered: Answered) -> None:
    """Of an AuthorizationKey: whether the charger has it; nothing, while that is unclear."""
    assert answered.key_hash is not None
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
    """What the charger has, and which keys it has not; its NumberOfConnectors (section 9.1.20), if it can be believed."""
    values: dict[str, tuple[str | None, bool | None]] = {}
    for entry in _list(answered.response.get("configurationKey")):
        name = str(entry.get("key") or "").strip() if isinstance(entry, dict) else ""
        if not 1 <= len(name) <= value_rows.LONGEST_NAME or len(values) >= _MOST_KEYS:
            continue
        value, readonly = entry.get("value"), entry.get("readonly")
        shown = None if value is None or is_secret(name) else str(value)
        values[name] = (shown, readonly if isinstance(readonly, bool) else None)
        number = (shown or "").strip()
        if name.lower() == "numberofconnectors" and number.isdecimal() and len(number) <= 4 and int(number):
            chargers.change(conn, answered.charger_id, number_of_connectors=int(number))
    value_rows.told(conn, answered.charger_id, values, clock.now())
    missing = [each for each in _list(answered.response.get("unknownKey")) if isinstance(each, str)]
    value_rows.unknown(conn, answered.charger_id, missing[:_MOST_KEYS])


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
