"""Sampled values: what a MeterValues or transactionData says (OCPP 1.6 sections 7.31 to 7.49)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ..ocpp import timestamps
from .keys import key

REGISTER = "Energy.Active.Import.Register"
_SCALE = 1_000_000
_LARGEST = 2**63 - 1
_WATT_HOURS = {"Wh": 1_000, "kWh": 1_000_000}


@dataclass(slots=True)
class Sample:
    """One sampled value with its defaults filled in; `value_micro` in millionths of the unit."""

    timestamp: datetime | None
    measurand: str
    phase: str | None
    context: str
    location: str
    format: str
    unit: str | None
    value_micro: int | None
    raw: str

    def register_mwh(self) -> int | None:
        """The reading of an energy register in mWh, if this is one that may be a session's (see registers.py)."""
        if self.measurand != REGISTER or self.location == "Inlet":
            return None
        if self.value_micro is None or self.unit not in _WATT_HOURS:
            return None
        return self.value_micro * _WATT_HOURS[self.unit] // _SCALE

    def key(
        self, charger_id: int, connector_id: int | None, transaction_id: int | None, *, believed: bool
    ) -> bytes:
        """What makes two samples the same one.

        With a clock that cannot be believed the time alone does not tell sessions apart, so the
        session stands in the key as well.
        """
        return key(
            "sample",
            charger_id,
            connector_id,
            self.timestamp,
            self.measurand,
            self.phase,
            self.location,
            self.context,
            self.raw.strip(),
            None if believed else transaction_id or 0,
            *((self.unit, self.format) if self.unit != "Wh" or self.format != "Raw" else ()),
        )


def read(meter_value: Any) -> Iterator[Sample]:
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
        scaled = int((number * _SCALE).to_integral_value())
    except (InvalidOperation, ValueError):
        return None
    return scaled if abs(scaled) <= _LARGEST else None


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]
