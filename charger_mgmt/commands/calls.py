"""The calls that we make: one row each. When may it be sent, what is secret in it, what does its answer do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from ..chargers import passwords
from ..database import chargers
from ..domain.registration import ACCEPTED, PENDING, REJECTED
from . import command_rows
from .masking import HIDDEN, is_secret

#: Errors that leave open whether the charger took what it was sent.
_UNCLEAR: Final = {"InternalError", "GenericError"}


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that has come to a `state` (as in commands/command_rows.py).

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


def _never(registration: str | None, payload: Mapping[str, Any]) -> str | None:
    return None


def _nothing(payload: Mapping[str, Any]) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ours.

    `forbidden`: why a charger of this registration may not be sent this payload; None: it may. `key`: the
    AuthorizationKey that is in it. `id_tag`: the tag that a session will show which it causes. `asks_for`: the message
    that the charger is asked for, which it may therefore send.
    `effect`: what the answer does, beside the row that keeps it, in the commit that stores it, also when it is late.
    """

    action: str
    forbidden: Callable[[str | None, Mapping[str, Any]], str | None] = _never
    key: Callable[[Mapping[str, Any]], str | None] = _nothing
    id_tag: Callable[[Mapping[str, Any]], str | None] = _nothing
    asks_for: Callable[[Mapping[str, Any]], str | None] = _nothing
    effect: Callable[[Connection, Answered], None] | None = None

    def redacted(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload as it is kept."""
        return payload | {"value": HIDDEN} if self.key(payload) is not None else payload


def _before_acceptance(registration: str | None, payload: Mapping[str, Any]) -> str | None:
    if registration in (PENDING, REJECTED):
        return "it takes no remote start or stop before it is Accepted (OCPP 1.6 section 4.2)"
    return None


def _boot_of_an_accepted(registration: str | None, payload: Mapping[str, Any]) -> str | None:
    if registration == ACCEPTED and payload.get("requestedMessage") == "BootNotification":
        return "a BootNotification must not be triggered until it boots by itself (errata 3.40)"
    return None


def _authorization_key(payload: Mapping[str, Any]) -> str | None:
    return str(payload["value"]) if is_secret(payload.get("key")) else None


def _configuration_changed(conn: Connection, answered: Answered) -> None:
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


def _configuration_told(conn: Connection, answered: Answered) -> None:
    """NumberOfConnectors (section 9.1.20), if it can be believed."""
    for entry in answered.response.get("configurationKey") or ():
        value = str(entry.get("value") or "").strip() if isinstance(entry, dict) else ""
        key = str(entry.get("key")).strip().lower() if isinstance(entry, dict) else ""
        if key == "numberofconnectors" and value.isdecimal() and 1 <= len(value) <= 4 and int(value):
            chargers.change(conn, answered.charger_id, number_of_connectors=int(value))
            return


_ROWS: Final = (
    Call("ChangeAvailability"),
    Call("ChangeConfiguration", key=_authorization_key, effect=_configuration_changed),
    Call("ClearCache"),
    Call("DataTransfer"),
    Call("GetConfiguration", effect=_configuration_told),
    Call(
        "RemoteStartTransaction",
        forbidden=_before_acceptance,
        id_tag=lambda payload: payload.get("idTag"),
    ),
    Call("RemoteStopTransaction", forbidden=_before_acceptance),
    Call("Reset"),
    Call(
        "TriggerMessage",
        forbidden=_boot_of_an_accepted,
        asks_for=lambda payload: str(payload.get("requestedMessage")),
    ),
    Call("UnlockConnector"),
)
#: Action → its row.
CALLS: Final[Mapping[str, Call]] = {row.action: row for row in _ROWS}
