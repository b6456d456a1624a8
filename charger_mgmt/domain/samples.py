"""Sampled values: what a MeterValues or transactionData says (OCPP 1.6 sections 7.31 to 7.49)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from .keys import key

REGISTER = "Energy.Active.Import.Register"
SCALE = 1_000_000
_WATT_HOURS = {"Wh": 1_000, "kWh": 1_000_000}


class Sample(msgspec.Struct, frozen=True, gc=False):
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
        return self.value_micro * _WATT_HOURS[self.unit] // SCALE

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
