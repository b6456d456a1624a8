"""What chargers say, in whatever dialect: the facts between the wire and the rules.

A reader of the dialect makes them (see dialects/), one function handles each kind, and answers with an outcome of
outcomes.py. Times are aware UTC on the charger's own clock, energy is watt-hours as they were said. What was not
said, or could not be read, is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from .samples import Sample


class Fact(msgspec.Struct, frozen=True, gc=False):
    """Something that a charger says, or that its socket tells of it."""


class Noted(Fact, frozen=True, gc=False):
    """What is kept for the operator to read: `said` is the message's own words."""

    said: Mapping[str, Any]


class Boots(Noted, frozen=True, gc=False):
    """The charger has started, or its connection is new to it (BootNotification, section 4.2)."""

    vendor: str | None
    model: str | None
    firmware_version: str | None = None
    charge_point_serial_number: str | None = None
    charge_box_serial_number: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None


class Lives(Fact, frozen=True, gc=False):
    """It is there (Heartbeat, section 4.6)."""


class TagShown(Fact, frozen=True, gc=False):
    """Somebody asks whether a tag may charge (Authorize, section 4.1)."""

    id_tag: str


class ConnectorReports(Fact, frozen=True, gc=False):
    """What a connector says of itself (StatusNotification, section 4.9)."""

    connector_id: int
    status: str
    error_code: str = "NoError"
    at: datetime | None = None
    info: str | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None
    #: The charger's own word, where `error_code` stands for one that the specification does not know.
    reported_error_code: str | None = None


class SessionBegins(Fact, frozen=True, gc=False):
    """A charging session has begun (StartTransaction, section 4.8)."""

    connector_id: int | None
    #: None: no tag was shown. "": there was one, and it could not be read.
    id_tag: str | None
    at: datetime | None
    #: The time as it was written, where it names no moment.
    at_text: str | None
    meter_wh: int | Decimal | None
    reservation_id: int | None = None
    #: The charger's own name of the session, if it gives it one.
    name: str | None = None


class SessionEnds(Fact, frozen=True, gc=False):
    """A charging session has ended (StopTransaction, section 4.10)."""

    #: Ours, as the charger repeats it: unknown ones, 0 and -1 are met.
    transaction_id: int | None
    #: The charger's own name of the session, if it gives it one.
    name: str | None
    at: datetime | None
    meter_wh: int | Decimal | None
    id_tag: str | None
    reason: str
    samples: tuple[Sample, ...] = ()

    @property
    def named(self) -> str | int | None:
        """The session, in the charger's words."""
        return self.transaction_id if self.name is None else self.name


class Metered(Fact, frozen=True, gc=False):
    """Samples of a session, or of the clock (MeterValues, section 4.7)."""

    connector_id: int | None
    transaction_id: int | None
    samples: tuple[Sample, ...]


class DataSent(Noted, frozen=True, gc=False):
    """A vendor's own message (DataTransfer, section 4.3)."""


class FirmwareReports(Noted, frozen=True, gc=False):
    """How far an update is (FirmwareStatusNotification, section 4.5)."""

    status: str


class DiagnosticsReport(Noted, frozen=True, gc=False):
    """How far an upload is (DiagnosticsStatusNotification, section 4.4)."""

    status: str


class Comes(Fact, frozen=True, gc=False):
    """A socket has opened that speaks for the charger."""

    dialect: str
    process_id: str
    address: str | None = None


class Goes(Fact, frozen=True, gc=False):
    """The socket of that generation has ended."""

    generation: int
    reason: str


class TurnedAway(Fact, frozen=True, gc=False):
    """A message about a session came on a socket that may not speak for the charger; it is kept all the same."""

    action: str
    reason: str
