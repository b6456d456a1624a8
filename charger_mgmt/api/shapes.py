"""Rows as JSON: every field of every answer, written out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..domain import identities
from ..domain import transactions as rules
from ..domain.status import FAULTED
from ..domain.transactions import IN_PROGRESS, UNSURE
from ..services.chargers import Details
from ..services.tags import SeenTag
from .replies import time_text


def charger_summary(row: Any, faults: Sequence[Any]) -> dict[str, Any]:
    """One line of the list of chargers: a row of store.chargers.LISTED, and its Faulted connectors."""
    (
        _,
        identity,
        status,
        has_fault,
        connected,
        connected_since,
        disconnected_at,
        disconnected_reason,
        registration,
        approved,
        dialect,
        blocked,
        last_seen_at,
        vendor,
        model,
        firmware_version,
        name,
        city,
        country,
        latitude,
        longitude,
    ) = row
    return {
        "chargerId": identities.to_json(identity),
        "status": status,
        "identity": identity,
        "hasFault": has_fault,
        "faults": [_fault(each) for each in faults],
        "connected": connected,
        "connectedSince": time_text(connected_since) if connected else None,
        "disconnectedAt": None if connected else time_text(disconnected_at),
        "disconnectedReason": disconnected_reason,
        "registration": registration,
        "approved": approved,
        "dialect": dialect,
        "blocked": blocked,
        "lastSeenAt": time_text(last_seen_at),
        "vendor": vendor,
        "model": model,
        "firmwareVersion": firmware_version,
        "name": name,
        "city": city,
        "country": country,
        "latitude": _degrees(latitude),
        "longitude": _degrees(longitude),
    }


def charger_details(details: Details) -> dict[str, Any]:
    """Everything about one charger but its password."""
    c = details.charger
    return {
        "chargerId": identities.to_json(c.identity),
        "status": c.status,
        "identity": c.identity,
        "hasFault": c.has_fault,
        "faults": [
            _fault(row) for row in details.connectors if row.status == FAULTED and row.retired_at is None
        ],
        "connected": c.connected,
        "connectedSince": time_text(c.connected_since) if c.connected else None,
        "disconnectedAt": None if c.connected else time_text(c.disconnected_at),
        "disconnectedReason": c.disconnected_reason,
        "lastSeenAt": time_text(c.last_seen_at),
        "silent": c.silent,
        "reportedStatus": c.reported_status,
        "dialect": c.dialect,
        "boundDialect": c.bound_dialect,
        "blocked": c.blocked,
        "registration": c.registration,
        "approved": c.approved,
        "bootedAt": time_text(c.booted_at),
        "createdAt": time_text(c.created_at),
        "vendor": c.vendor,
        "model": c.model,
        "firmwareVersion": c.firmware_version,
        "chargePointSerialNumber": c.charge_point_serial_number,
        "chargeBoxSerialNumber": c.charge_box_serial_number,
        "iccid": c.iccid,
        "imsi": c.imsi,
        "meterType": c.meter_type,
        "meterSerialNumber": c.meter_serial_number,
        "firmwareStatus": c.firmware_status,
        "firmwareStatusAt": time_text(c.firmware_status_at),
        "diagnosticsStatus": c.diagnostics_status,
        "diagnosticsStatusAt": time_text(c.diagnostics_status_at),
        "clockSkewMs": c.clock_skew_ms,
        "name": c.name,
        "address": c.address,
        "city": c.city,
        "postalCode": c.postal_code,
        "country": c.country,
        "latitude": _degrees(c.latitude),
        "longitude": _degrees(c.longitude),
        "hasPassword": c.password_hash is not None,
        "allowWithoutPassword": c.allow_without_password,
        "allowMissingSubprotocol": c.allow_missing_subprotocol,
        "automaticCalls": c.automatic_calls,
        "strict": c.strict,
        "connectors": [_connector(row) for row in details.connectors],
        "openTransactions": [
            {
                "transactionId": row.id,
                "connectorId": row.connector_id,
                "sessionId": row.session_id,
                "idTag": row.id_tag,
                "startTime": time_text(row.effective_start),
            }
            for row in details.open_transactions
        ],
    }


def _connector(row: Any) -> dict[str, Any]:
    """`retiredAt`: since when the charger is taken not to have it any more."""
    return {"connectorId": row.connector_id, **_report(row), "retiredAt": time_text(row.retired_at)}


def _fault(row: Any) -> dict[str, Any]:
    """A connector that is Faulted, and why, in a few words."""
    return {
        "connectorId": row.connector_id,
        "errorCode": row.error_code,
        "reportedErrorCode": row.reported_error_code,
        "vendorErrorCode": row.vendor_error_code,
        "info": row.info,
    }


def _report(row: Any) -> dict[str, Any]:
    """What a StatusNotification said: `timestamp` is the charger's time, `receivedAt` ours."""
    return {
        "status": row.status,
        "errorCode": row.error_code,
        "reportedErrorCode": row.reported_error_code,
        "info": row.info,
        "vendorId": row.vendor_id,
        "vendorErrorCode": row.vendor_error_code,
        "timestamp": time_text(row.timestamp),
        "receivedAt": time_text(row.received_at),
    }


def status_change(row: Any) -> dict[str, Any]:
    """`connectorId` null: the charger's own four-word status."""
    return {"connectorId": row.connector_id, **_report(row)}


def event(row: Any) -> dict[str, Any]:
    return {"kind": row.kind, "detail": row.detail, "receivedAt": time_text(row.received_at)}


def oddity(row: Any) -> dict[str, Any]:
    """A way in which a charger departs from the specification; `lastRaw` is the newest message of the kind."""
    return {
        "action": row.action,
        "kind": row.kind,
        "count": row.count,
        "firstAt": time_text(row.first_at),
        "lastAt": time_text(row.last_at),
        "lastRaw": row.last_raw,
    }


def inbox_message(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "chargerId": identities.to_json(row.identity),
        "identity": row.identity,
        "kind": row.kind,
        "action": row.action,
        "messageId": row.message_id,
        "raw": row.raw,
        "reason": row.reason,
        "transactionId": row.transaction_id,
        "receivedAt": time_text(row.received_at),
    }


def transaction(row: Any) -> dict[str, Any]:
    """One session. Energy is in Wh, exact to the milliwatt-hour; of a running one, up to its last reading."""
    energy = row.energy_mwh
    if row.status == IN_PROGRESS and energy is None:
        energy, _ = rules.energy(row.meter_start_mwh, row.meter_last_mwh, None)
    return {
        "transactionId": row.id,
        "chargerId": identities.to_json(row.identity),
        "status": row.status,
        "identity": row.identity,
        "sessionId": row.session_id,
        "connectorId": row.connector_id,
        "idTag": row.id_tag,
        "idTagStatus": row.id_tag_status,
        "startTime": time_text(row.effective_start),
        "endTime": time_text(row.effective_end),
        "chargerStartTime": time_text(row.start_timestamp),
        "receivedStartTime": time_text(row.start_received_at),
        "chargerEndTime": time_text(row.stop_timestamp),
        "receivedEndTime": time_text(row.stop_received_at),
        "meterStartWh": scaled(row.meter_start_mwh, 3),
        "meterStopWh": scaled(row.meter_stop_mwh, 3),
        "meterLastWh": scaled(row.meter_last_mwh, 3),
        "meterLastAt": time_text(row.meter_last_at),
        "energyWh": scaled(energy, 3),
        "energyIsProvisional": row.status == IN_PROGRESS and energy is not None,
        "energyIsUnsure": not UNSURE.isdisjoint(row.flags.split()),
        "reason": row.reason,
        "stopIdTag": row.stop_id_tag,
        "reservationId": row.reservation_id,
        "flags": row.flags.split(),
        "unapproved": row.unapproved,
        "closeReason": row.close_reason,
        "closedBy": row.closed_by,
    }


def meter_value(row: Any) -> dict[str, Any]:
    """One sample; `raw` is the value as the charger sent it, `value` null when it is no number."""
    return {
        "timestamp": time_text(row.timestamp),
        "receivedAt": time_text(row.received_at),
        "measurand": row.measurand,
        "phase": row.phase,
        "context": row.context,
        "location": row.location,
        "format": row.format,
        "unit": row.unit,
        "value": scaled(row.value_micro, 6),
        "raw": row.raw,
    }


def lone_meter_value(row: Any) -> dict[str, Any]:
    """A sample that belongs to no session."""
    return {"connectorId": row.connector_id, **meter_value(row)}


def command(row: Any, identity: str) -> dict[str, Any]:
    return {
        "commandId": row.id,
        "chargerId": identities.to_json(identity),
        "identity": identity,
        "action": row.action,
        "payload": row.payload,
        "state": row.state,
        "response": row.response,
        "errorCode": row.error_code,
        "errorDescription": row.error_description,
        "messageId": row.message_id,
        "requestedBy": row.requested_by,
        "createdAt": time_text(row.created_at),
        "sentAt": time_text(row.sent_at),
        "answeredAt": time_text(row.answered_at),
        "sessionId": row.session_id,
        "transactionId": row.transaction_id,
    }


def tag(row: Any) -> dict[str, Any]:
    """`entered` false: nobody entered it, sessions name it; its status is what it is answered."""
    return {
        "idTag": row.id_tag,
        "status": row.status,
        "expiryDate": time_text(row.expiry_date),
        "parentIdTag": row.parent_id_tag,
        "maxActiveTransactions": row.max_active_transactions,
        "entered": not isinstance(row, SeenTag),
        "createdAt": time_text(row.created_at),
    }


def scaled(whole: int | None, places: int) -> Any:
    """A whole number of 10^-places as an exact JSON number: 1234500 by 3 is 1234.5, never a float."""
    if whole is None:
        return None
    units, rest = divmod(abs(whole), 10**places)
    sign = "-" if whole < 0 else ""
    decimals = f".{rest:0{places}}".rstrip("0") if rest else ""
    return msgspec.Raw(f"{sign}{units}{decimals}".encode())


def _degrees(value: Any) -> float | None:
    return None if value is None else float(value)
