"""Messages of chargers for the committer, and its outcomes in OCPP's words."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from charger_mgmt import clock
from charger_mgmt.dialects import flat
from charger_mgmt.dialects.flat import FlatMessage
from charger_mgmt.dialects.ocpp16 import answers
from charger_mgmt.dialects.ocpp16.published import names
from charger_mgmt.dialects.ocpp16.table import INCOMING
from charger_mgmt.domain import dialect, outcomes
from charger_mgmt.domain.facts import Comes, Goes
from charger_mgmt.domain.outcomes import Opened
from charger_mgmt.intake.messages import CONNECT, DISCONNECT, ChargerMessage, FollowUp, Reply

#: What a charge point initiates: section 4 of the specification, and three notices of the security extension.
FROM_CHARGER = frozenset(
    {
        "Authorize",
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
)
#: What carries money.
NEVER_REFUSED = frozenset({"MeterValues", "StartTransaction", "StopTransaction"})
#: Of the security extension, what only the central system sends, and what we do not take yet.
_SECURITY = {
    "CertificateSigned",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetInstalledCertificateIds",
    "GetLog",
    "InstallCertificate",
    "SignCertificate",
    "SignedUpdateFirmware",
}
#: Section 5 of the specification: operations that the central system initiates.
FROM_CENTRAL_SYSTEM = (names() - FROM_CHARGER - _SECURITY) | {"DataTransfer"}

_ids = itertools.count(1)
#: OCPP's names → the flat dialect's.
_FLAT_NAMES = {
    "sessionId": "transactionId",
    "chargePointVendor": "vendor",
    "chargePointModel": "model",
    "chargePointSerialNumber": "serialNumber",
}


def message(
    charger_id: int,
    identity: str,
    action: str,
    payload: dict[str, Any],
    *,
    is_flat: bool = False,
    received_at: datetime | None = None,
    raw: str | None = None,
    **changes: Any,
) -> ChargerMessage[Any]:
    """A message after the tolerances; in the flat dialect, too, the payload's names are OCPP's."""
    moment = received_at or clock.now()
    if not is_flat:
        raw = raw or json.dumps(payload, default=str)
        return ChargerMessage(
            INCOMING[action], charger_id, identity, payload, moment, raw, f"m{next(_ids)}", **changes
        )
    body = {"messageType": action, "chargerId": identity} | {
        _FLAT_NAMES.get(name, name): value for name, value in payload.items()
    }
    read = flat.decode(json.dumps(body))
    assert isinstance(read, FlatMessage), read
    said = read.said
    return ChargerMessage(
        said.row,
        charger_id,
        identity,
        said.payload,
        moment,
        said.raw,
        None,
        said.oddities,
        dialect.FLAT,
        **changes,
    )


def spoken(reply: Reply) -> dict[str, Any]:
    """What came of a message, in the words of OCPP 1.6; of a stop the session's number, too, where it is known."""
    match reply.outcome:
        case outcomes.Booted() as outcome:
            return answers.booted(None, outcome)
        case outcomes.Judged() as outcome:
            return answers.judged(None, outcome)
        case outcomes.Begun() as outcome:
            return answers.begun(None, outcome)
        case outcomes.Transferred() as outcome:
            return answers.transferred(None, outcome)
        case outcomes.Ended() as outcome:
            return answers.ended(None, outcome)
    return {}


class Answered(NamedTuple):
    """What a message was answered, in OCPP's words, and what is due after it."""

    payload: dict[str, Any]
    follow_ups: tuple[FollowUp, ...]
    outcome: Any


class Charger:
    """One charger whose messages go straight into the committer of `central`, with defaults."""

    def __init__(self, central: Any, identity: str, flat: bool = False) -> None:
        self.central = central
        self.identity = identity
        self.flat = flat
        self.id = 0
        self.generation = 0

    def says(self, action: str, payload: dict[str, Any], **changes: Any) -> ChargerMessage:
        """The message, not yet sent."""
        return message(self.id, self.identity, action, payload, is_flat=self.flat, **changes)

    def sends(self, action: str, payload: dict[str, Any], **changes: Any) -> Answered:
        reply = self.central.committer.submit(self.says(action, payload, **changes))
        return Answered(spoken(reply), reply.follow_ups, reply.outcome)

    def comes(self) -> ChargerMessage[Comes]:
        speaks = dialect.FLAT if self.flat else dialect.OCPP16
        return ChargerMessage(
            CONNECT,
            0,
            self.identity,
            Comes(speaks.name, getattr(self.central, "process_id", "here")),
            clock.now(),
            dialect=speaks,
        )

    def connects(self) -> Opened:
        opened = self.central.committer.submit(self.comes()).outcome
        self.id, self.generation = opened.charger_id, opened.generation
        return opened

    def disconnects(self, generation: int | None = None, reason: str = "gone") -> None:
        """The socket of that generation has ended, by default the newest one."""
        goes = Goes(self.generation if generation is None else generation, reason)
        self.central.committer.submit(ChargerMessage(DISCONNECT, self.id, self.identity, goes, clock.now()))

    def boots(self, **fields: Any) -> dict[str, Any]:
        payload = {"chargePointVendor": "ChargerCo", "chargePointModel": "EVChargerX"} | fields
        return self.sends("BootNotification", payload).payload

    def reports(self, connector: int, status: str, **fields: Any) -> None:
        payload = {"connectorId": connector, "status": status, "errorCode": "NoError"} | fields
        self.sends("StatusNotification", payload)

    def start(self, at: datetime | str | None = None, **fields: Any) -> ChargerMessage:
        payload = {"connectorId": 1, "idTag": "CARD-9", "meterStart": 1000, "timestamp": text(at)} | fields
        return self.says("StartTransaction", {k: v for k, v in payload.items() if v is not None})

    def starts(self, at: datetime | str | None = None, **fields: Any) -> dict[str, Any]:
        return spoken(self.central.committer.submit(self.start(at, **fields)))

    def stop(
        self, transaction: int | None, at: datetime | str | None = None, **fields: Any
    ) -> ChargerMessage:
        payload = {"transactionId": transaction, "meterStop": 9000, "timestamp": text(at)} | fields
        return self.says("StopTransaction", {k: v for k, v in payload.items() if v is not None})

    def stops(
        self, transaction: int | None, at: datetime | str | None = None, **fields: Any
    ) -> dict[str, Any]:
        return spoken(self.central.committer.submit(self.stop(transaction, at, **fields)))

    def meters(
        self, transaction: int | None, *values: Any, at: datetime | str | None = None, **fields: Any
    ) -> None:
        sampled = [value if isinstance(value, dict) else {"value": str(value)} for value in values]
        payload = {
            "connectorId": 1,
            "transactionId": transaction,
            "meterValue": [{"timestamp": text(at), "sampledValue": sampled}],
        } | fields
        self.sends("MeterValues", {k: v for k, v in payload.items() if v is not None})


def text(moment: datetime | str | None) -> str:
    if isinstance(moment, str):
        return moment
    return (moment or clock.now()).isoformat().replace("+00:00", "Z")


def ago(**parts: float) -> datetime:
    """A moment before now: ago(hours=2)."""
    return clock.now() - timedelta(**parts)
