"""Messages of chargers for the committer, and its outcomes in OCPP's words."""

from __future__ import annotations

import itertools
import json
from datetime import datetime
from typing import Any

from charger_mgmt import clock
from charger_mgmt.dialects import flat
from charger_mgmt.dialects.flat import FlatMessage
from charger_mgmt.dialects.ocpp16 import answers
from charger_mgmt.dialects.ocpp16.published import names
from charger_mgmt.dialects.ocpp16.table import INCOMING
from charger_mgmt.domain import dialect, outcomes
from charger_mgmt.domain.facts import Goes
from charger_mgmt.intake.messages import DISCONNECT, ChargerMessage, Reply

FROM_CHARGER = frozenset(INCOMING)
NEVER_REFUSED = frozenset(action for action, row in INCOMING.items() if row.never_refused)
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


def gone(charger_id: int, identity: str, generation: int, reason: str = "gone") -> ChargerMessage[Goes]:
    """The charger's socket of that generation has ended."""
    return ChargerMessage(DISCONNECT, charger_id, identity, Goes(generation, reason), clock.now())


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
