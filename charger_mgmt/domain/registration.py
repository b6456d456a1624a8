"""Which chargers may come in (OCPP 1.6 section 4.2): the operator's word, else the onboarding's."""

from __future__ import annotations

from typing import Final

ACCEPTED: Final = "Accepted"
PENDING: Final = "Pending"
REJECTED: Final = "Rejected"


def registration(approved: bool | None, onboarding: str) -> str:
    """What a boot is answered. `onboarding` is a setting: open, approve or closed."""
    if approved is False:
        return REJECTED
    if approved or onboarding == "open":
        return ACCEPTED
    return PENDING


def admits(approved: bool | None, onboarding: str) -> bool:
    """Whether such a charger may come in."""
    return registration(approved, onboarding) == ACCEPTED


def shut_out(blocked: bool, approved: bool | None) -> bool:
    """An operator has refused or blocked the charger."""
    return blocked or approved is False
