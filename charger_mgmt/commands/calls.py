"""The calls that we make: one row each. When may it be sent, what is secret in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection

from ..domain.registration import ACCEPTED, PENDING, REJECTED
from .masking import HIDDEN, is_secret


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that has come to a `state` (as in commands/command_rows.py).

    `payload` is what was to be sent, `response` the CALLRESULT's payload; `error_code` that of a CALLERROR. `sent` tells
    whether the call was written to the socket, `key_hash` which AuthorizationKey it carried.
    """

    charger_id: int
    identity: str
    command_id: int
    payload: Mapping[str, Any]
    state: str
    response: Mapping[str, Any]
    error_code: str | None
    sent: bool
    key_hash: str | None


#: What an answer does, beside the row that keeps it, in the commit that stores it, also when it is late.
Effect: TypeAlias = Callable[[Connection, Answered], None]


def _never(registration: str | None, payload: Mapping[str, Any]) -> str | None:
    return None


def _nothing(payload: Mapping[str, Any]) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ours.

    `forbidden`: why a charger of this registration may not be sent this payload; None: it may. `key`: the
    AuthorizationKey that is in it. `address`: the way to the field with an address that may hold a password. `id_tag`: the
    tag that a session will show which it causes. `asks_for`: the message that the charger is asked for, which it may
    therefore send.
    What its answer does stands in serving/handlers.py (EFFECTS).
    """

    action: str
    forbidden: Callable[[str | None, Mapping[str, Any]], str | None] = _never
    key: Callable[[Mapping[str, Any]], str | None] = _nothing
    address: tuple[str, ...] = ()
    id_tag: Callable[[Mapping[str, Any]], str | None] = _nothing
    asks_for: Callable[[Mapping[str, Any]], str | None] = _nothing

    def redacted(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload as it is kept."""
        if self.key(payload) is not None:
            return payload | {"value": HIDDEN}
        return _without_password(payload, self.address) if self.address else payload


def _without_password(payload: dict[str, Any], way: tuple[str, ...]) -> dict[str, Any]:
    """The payload, of whose address nobody can take the user's name and password."""
    name, *further = way
    value = payload.get(name)
    if further:
        return (
            payload | {name: _without_password(value, tuple(further))} if isinstance(value, dict) else payload
        )
    if not isinstance(value, str) or "@" not in value:
        return payload
    scheme, mark, rest = value.partition("://")
    if not mark:
        return payload | {name: HIDDEN}
    authority, slash, path = rest.partition("/")
    return payload | {name: f"{scheme}://{HIDDEN}@{authority.rpartition('@')[2]}{slash}{path}"}


def _asked_for_by_trigger(payload: Mapping[str, Any]) -> str:
    return str(payload.get("requestedMessage"))


def _asked_for_by_extended_trigger(payload: Mapping[str, Any]) -> str:
    """Two of its words mean messages that are called otherwise (whitepaper, section 6.16)."""
    return _EXTENDED.get(_asked_for_by_trigger(payload), _asked_for_by_trigger(payload))


_EXTENDED: Final = {
    "FirmwareStatusNotification": "SignedFirmwareStatusNotification",
    "SignChargePointCertificate": "SignCertificate",
}


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


_ROWS: Final = (
    Call("CancelReservation"),
    Call("CertificateSigned"),
    Call("ChangeAvailability"),
    Call("ChangeConfiguration", key=_authorization_key),
    Call("ClearCache"),
    Call("ClearChargingProfile"),
    Call("DataTransfer"),
    Call("DeleteCertificate"),
    Call("ExtendedTriggerMessage", forbidden=_boot_of_an_accepted, asks_for=_asked_for_by_extended_trigger),
    Call("GetCompositeSchedule"),
    Call("GetConfiguration"),
    Call("GetDiagnostics", address=("location",)),
    Call("GetInstalledCertificateIds"),
    Call("GetLocalListVersion"),
    Call("GetLog", address=("log", "remoteLocation")),
    Call("InstallCertificate"),
    Call(
        "RemoteStartTransaction",
        forbidden=_before_acceptance,
        id_tag=lambda payload: payload.get("idTag"),
    ),
    Call("RemoteStopTransaction", forbidden=_before_acceptance),
    Call("ReserveNow"),
    Call("Reset"),
    Call("SendLocalList"),
    Call("SetChargingProfile"),
    Call("SignedUpdateFirmware", address=("firmware", "location")),
    Call("TriggerMessage", forbidden=_boot_of_an_accepted, asks_for=_asked_for_by_trigger),
    Call("UnlockConnector"),
    Call("UpdateFirmware", address=("location",)),
)
#: Action → its row.
CALLS: Final[Mapping[str, Call]] = {row.action: row for row in _ROWS}
