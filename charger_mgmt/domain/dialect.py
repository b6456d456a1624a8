"""What the chargers of one dialect do and do not: the traits that the rules ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to speak with us."""

    #: As it is stored with the charger.
    name: str
    #: We can call such a charger: what an operator wants of it, it is asked for.
    takes_calls: bool
    #: Its starts and stops carry a register's reading, its sessions have samples.
    reports_meters: bool
    #: It says what its connectors do; else that follows from its sessions.
    reports_status: bool
    #: A charger that was accepted in it is held to it: another dialect must not be spoken in its name.
    is_binding: bool


OCPP16: Final = Dialect(
    "ocpp1.6", takes_calls=True, reports_meters=True, reports_status=True, is_binding=True
)
FLAT: Final = Dialect("flat", takes_calls=False, reports_meters=False, reports_status=False, is_binding=False)
#: As it is stored → the dialect.
BY_NAME: Final = {dialect.name: dialect for dialect in (OCPP16, FLAT)}


def named(name: str | None) -> Dialect:
    """The dialect of this name; OCPP's for a charger that has not spoken yet."""
    return BY_NAME[name] if name is not None else OCPP16
