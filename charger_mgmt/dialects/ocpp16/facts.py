"""A checked payload of OCPP 1.6 as the fact that it tells."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from ...domain import facts
from ...domain.samples import REGISTER, SCALE, Sample
from .. import timestamps

#: Texts are kept up to the width of their columns.
_LONGEST_TEXT = 255
_LARGEST = 2**63 - 1


def boots(payload: dict[str, Any]) -> facts.Boots:
    return facts.Boots(
        said=payload,
        vendor=_kept(payload.get("chargePointVendor")),
        model=_kept(payload.get("chargePointModel")),
        firmware_version=_kept(payload.get("firmwareVersion")),
        charge_point_serial_number=_kept(payload.get("chargePointSerialNumber")),
        charge_box_serial_number=_kept(payload.get("chargeBoxSerialNumber")),
        iccid=_kept(payload.get("iccid")),
        imsi=_kept(payload.get("imsi")),
        meter_type=_kept(payload.get("meterType")),
        meter_serial_number=_kept(payload.get("meterSerialNumber")),
    )


def lives(payload: dict[str, Any]) -> facts.Lives:
    return facts.Lives()


def tag_shown(payload: dict[str, Any]) -> facts.TagShown:
    return facts.TagShown(payload["idTag"])


def connector_reports(payload: dict[str, Any]) -> facts.ConnectorReports:
    return facts.ConnectorReports(
        connector_id=payload["connectorId"],
        status=payload["status"],
        error_code=payload.get("errorCode") or "NoError",
        at=timestamps.parse(payload.get("timestamp") or ""),
        info=_kept(payload.get("info")),
        vendor_id=_kept(payload.get("vendorId")),
        vendor_error_code=_kept(payload.get("vendorErrorCode")),
        reported_error_code=_kept(payload.get("reportedErrorCode")),
    )


def session_begins(payload: dict[str, Any]) -> facts.SessionBegins:
    at_text = payload.get("timestamp")
    return facts.SessionBegins(
        connector_id=payload.get("connectorId"),
        id_tag=payload.get("idTag", ""),
        at=timestamps.parse(at_text or ""),
        at_text=at_text,
        meter_wh=payload.get("meterStart"),
        reservation_id=payload.get("reservationId"),
    )


def session_ends(payload: dict[str, Any]) -> facts.SessionEnds:
    return facts.SessionEnds(
        transaction_id=payload.get("transactionId"),
        name=None,
        at=timestamps.parse(payload.get("timestamp") or ""),
        meter_wh=payload.get("meterStop"),
        id_tag=payload.get("idTag"),
        reason=payload.get("reason") or "Local",
        samples=tuple(samples(payload.get("transactionData"))),
    )


def metered(payload: dict[str, Any]) -> facts.Metered:
    return facts.Metered(
        connector_id=payload.get("connectorId"),
        transaction_id=payload.get("transactionId"),
        samples=tuple(samples(payload.get("meterValue"))),
    )


def data_sent(payload: dict[str, Any]) -> facts.DataSent:
    return facts.DataSent(payload)


def firmware_reports(payload: dict[str, Any]) -> facts.FirmwareReports:
    return facts.FirmwareReports(payload, payload["status"])


def diagnostics_report(payload: dict[str, Any]) -> facts.DiagnosticsReport:
    return facts.DiagnosticsReport(payload, payload["status"])


def noted(payload: dict[str, Any]) -> facts.Noted:
    return facts.Noted(payload)


def samples(meter_value: Any) -> Iterator[Sample]:
    """The samples of a `meterValue` or `transactionData` list that has passed the tolerances."""
    for group in meter_value or ():
        moment = timestamps.parse(group.get("timestamp") or "")
        for sampled in group.get("sampledValue") or ():
            raw = sampled.get("value")
            if raw is None:
                continue
            measurand = sampled.get("measurand") or REGISTER
            unit = sampled.get("unit")
            if unit is None and measurand.startswith("Energy."):
                unit = "Wh"
            signed = sampled.get("format") == "SignedData"
            yield Sample(
                timestamp=moment,
                measurand=measurand[:64],
                phase=_cut(sampled.get("phase"), 16),
                context=(sampled.get("context") or "Sample.Periodic")[:32],
                location=(sampled.get("location") or "Outlet")[:16],
                format="SignedData" if signed else "Raw",
                unit=_cut(unit, 24),
                value_micro=None if signed else _micro(raw),
                raw=raw,
            )


def _micro(text: str) -> int | None:
    """A number's text in millionths; None when it is no number or too large to store."""
    if len(text) > 64:
        return None
    try:
        number = Decimal(text.strip())
        if not number.is_finite() or number.adjusted() > 15:
            return None
        scaled = int((number * SCALE).to_integral_value())
    except (InvalidOperation, ValueError):
        return None
    return scaled if abs(scaled) <= _LARGEST else None


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]


def _kept(text: str | None) -> str | None:
    return _cut(text, _LONGEST_TEXT)
