"""A charger's configuration as operators keep it: what it told, what it should be, and bringing both together."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import gevent
from sqlalchemy import Engine, Row

from .. import clock
from ..central import Central
from ..commands import outbox
from ..commands.outbox import SYSTEM, CommandOutcome
from ..database.chargers import find as find_charger
from ..database.connections import reading, writing
from ..domain.roles import Sites
from ..errors import ChargerManagementError
from . import value_rows

log = logging.getLogger(__name__)

IN_SYNC: Final = "in sync"
PENDING: Final = "pending"
REBOOT: Final = "reboot required"
REFUSED: Final = "refused"
STATES: Final = (IN_SYNC, PENDING, REBOOT, REFUSED)
#: Keys in one ChangeConfiguration each; GetConfiguration asks for so many at a time where the charger does not say how many.
AT_A_TIME = 20
#: How long a charger that did not answer is left alone before it is tried again.
TRY_AGAIN = timedelta(minutes=5)
#: Chargers that are set to what they should be at the same time, by one process.
_AT_ONCE = 20
#: Of section 9: what is asked for by name where a charger tells only a part of what it has.
KNOWN: Final = (
    "AllowOfflineTxForUnknownId", "AuthorizationCacheEnabled", "AuthorizeRemoteTxRequests", "BlinkRepeat",
    "ChargeProfileMaxStackLevel", "ChargingScheduleAllowedChargingRateUnit", "ChargingScheduleMaxPeriods",
    "ClockAlignedDataInterval", "ConnectionTimeOut", "ConnectorPhaseRotation", "ConnectorSwitch3to1PhaseSupported",
    "GetConfigurationMaxKeys", "HeartbeatInterval", "LightIntensity", "LocalAuthListEnabled", "LocalAuthListMaxLength",
    "LocalAuthorizeOffline", "LocalPreAuthorize", "MaxChargingProfilesInstalled", "MaxEnergyOnInvalidId", "MessageTimeout",
    "MeterValueSampleInterval", "MeterValuesAlignedData", "MeterValuesSampledData", "MinimumStatusDuration",
    "NumberOfConnectors", "ReserveConnectorZeroSupported", "ResetRetries", "SendLocalListMaxLength",
    "StopTransactionOnEVSideDisconnect", "StopTransactionOnInvalidId", "StopTxnAlignedData", "StopTxnSampledData",
    "SupportedFeatureProfiles", "SupportedFileTransferProtocols", "TransactionMessageAttempts",
    "TransactionMessageRetryInterval", "UnlockConnectorOnEVSideDisconnect", "WebSocketPingInterval",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a charger, and how what it told stands to what it should be (None: nobody has said)."""

    row: Row[Any]
    state: str | None


def listed(engine: Engine, identity: str) -> list[Setting]:
    """Raises NotFound."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        rows = value_rows.listed(conn, charger.id)
    return [Setting(row, _state(row, charger.booted_at)) for row in rows]


def desire(
    central: Central,
    engine: Engine,
    identities: Sequence[str],
    desired: Mapping[str, str | None],
    *,
    sites: Sites = None,
    requested_by: str,
) -> None:
    """Say what these chargers' keys should be (None: nothing any more); they are sent at once to those that are there.

    Raises NotFound.
    """
    with writing(engine) as conn:
        chargers = [find_charger(conn, identity, sites=sites) for identity in identities]
        value_rows.desire(conn, [row.id for row in chargers], desired, clock.now(), requested_by)
    there = [row.identity for row in chargers if central.owner_of(row) is not None]
    if there:
        gevent.spawn(_bring_together, central, there, requested_by)


def refresh(central: Central, identity: str, *, requested_by: str, wait: float) -> CommandOutcome:
    """Ask a charger for all that it has, and for what it left out by name. Raises as outbox.send does."""

    def ask(*names: str) -> CommandOutcome:
        payload = {"key": list(names)} if names else {}
        return outbox.send(
            central, identity, "GetConfiguration", payload, requested_by=requested_by, wait=wait
        )

    first = ask()
    told = _told(first)
    most = told.get("getconfigurationmaxkeys", "")
    if not most.isdecimal() or len(told) < int(most) or first.error is not None:
        return first
    # It tells no more than so many: what it has beyond them is asked for by name.
    at_a_time = max(1, min(int(most), AT_A_TIME))
    left = [name for name in KNOWN if name.lower() not in told]
    for start in range(0, len(left), at_a_time):
        outcome = ask(*left[start : start + at_a_time])
        if outcome.error is not None or outcome.waiting:
            return outcome
    return first


def apply(central: Central, identity: str, *, requested_by: str = SYSTEM) -> None:
    """Send a charger what is due, one key after the other; what it does not answer is tried again later."""
    with central.database.writing() as conn:
        charger = find_charger(conn, identity)
        rows = value_rows.due(conn, charger.id)
        value_rows.tried(conn, charger.id, clock.now())
    for row in rows:
        payload = {"key": row.name, "value": row.desired}
        wait = central.settings.call_timeout
        outcome = outbox.send(
            central, identity, "ChangeConfiguration", payload, requested_by=requested_by, wait=wait
        )
        if outcome.waiting or (outcome.error is not None and outcome.state != "error"):
            return


def apply_waiting(central: Central) -> None:
    """Bring chargers that have come meanwhile to what they should be. To be called now and then, by who leads."""
    with central.database.engine.connect() as conn:
        identities = value_rows.waiting(conn, clock.now() - TRY_AGAIN, _AT_ONCE)
    if identities:
        gevent.spawn(_bring_together, central, identities, SYSTEM)


def _bring_together(central: Central, identities: Collection[str], requested_by: str) -> None:
    for identity in identities:
        try:
            apply(central, identity, requested_by=requested_by)
        except ChargerManagementError as error:
            log.info("charger %s: it is not set to what it should be: %s", identity, error)
        except Exception:
            log.exception("charger %s: it could not be set to what it should be", identity)


def _state(row: Row[Any], booted_at: datetime | None) -> str | None:
    if row.desired is None:
        return None
    if row.value == row.desired:
        return IN_SYNC
    if row.answer == "RebootRequired" and row.answered_at is not None:
        return IN_SYNC if booted_at is not None and booted_at > row.answered_at else REBOOT
    if row.answer in ("Rejected", "NotSupported") or (
        row.answer and not row.due and row.answer != "Accepted"
    ):
        return REFUSED
    return PENDING


def _told(outcome: CommandOutcome) -> dict[str, str]:
    entries = (outcome.response or {}).get("configurationKey") or ()
    return {
        str(entry.get("key")).lower(): str(entry.get("value") or "")
        for entry in entries
        if isinstance(entry, dict)
    }
