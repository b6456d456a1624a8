"""A charger's status in four words, out of what its connectors reported (OCPP 1.6 section 4.9)."""

from __future__ import annotations

from collections.abc import Mapping

AVAILABLE = "Available"
CHARGING = "Charging"
FAULTED = "Faulted"
UNAVAILABLE = "Unavailable"
SUMMARIES = (AVAILABLE, CHARGING, FAULTED, UNAVAILABLE)

DELIVERING = {"Charging", "SuspendedEV", "SuspendedEVSE"}
_USABLE = {"Available", "Preparing", "Finishing", "Reserved"}


def summary(connectors: Mapping[int, str]) -> str:
    """The charger's word for {connectorId: OCPP status}; the first rule that matches wins.

    Silence is not looked at here: a silent charger is Unavailable whatever it last said.
    """
    outlets = {status for connector_id, status in connectors.items() if connector_id != 0}
    main = connectors.get(0)
    if outlets & DELIVERING:
        return CHARGING
    if main in (FAULTED, UNAVAILABLE):
        return main
    if outlets & _USABLE:
        return AVAILABLE
    if FAULTED in outlets:
        return FAULTED
    return UNAVAILABLE


def has_fault(connectors: Mapping[int, str]) -> bool:
    """Whether any part of the charger reports Faulted, whatever the summary says."""
    return FAULTED in connectors.values()
