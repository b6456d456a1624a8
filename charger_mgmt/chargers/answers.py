"""What is told of a charger: its line in the list, its details, its journals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from msgspec import Meta

from ..domain import identities
from ..domain.status import FAULTED
from ..web.answers import Answer, ChargerId, ChargerStatus, Number, Sample, Time, degrees
from ..web.fields import about, choice
from ..web.replies import time_text
from .administration import Details

DIALECTS = ("ocpp1.6", "flat")

Part = Annotated[int, about("0 is the charger's main part.")]
Identity = Annotated[str, about("The same name, always a string.")]
HasFault = Annotated[bool, about("Whether any part of the charger reports Faulted.")]
ConnectedSince = Annotated[Time | None, about("Null while not connected.")]
DisconnectedAt = Annotated[Time | None, about("Null while connected.")]
DisconnectedReason = Annotated[str | None, about("Why its last connection ended.")]
LastSeenAt = Annotated[Time | None, about("When it last sent a message; a WebSocket pong does not count.")]
Registration = Annotated[
    str | None,
    about(
        "What the last BootNotification was answered: Accepted, Pending or Rejected; null: it never booted."
    ),
]
Approved = Annotated[bool | None, about("The operator's word; null: none yet.")]
Dialect = Annotated[
    str | None, about("What its newest connection speaks: ocpp1.6 or flat; null: it never spoke.")
]
BoundDialect = Annotated[
    str,
    choice(
        DIALECTS,
        description="The dialect that it is held to. An accepted boot says it, and what has booted on OCPP-J is not heard"
        " on a flat socket without its password. What is set here no boot changes; null: the next one says it.",
    ),
]
Blocked = Annotated[bool, about("An operator has shut it out.")]


class Fault(Answer):
    connector_id: Part
    error_code: str | None
    reported_error_code: str | None
    vendor_error_code: str | None
    info: str | None


Faults = Annotated[list[Fault], about("The parts that report Faulted.")]


SiteId = Annotated[int | None, about("The site that it belongs to.")]


class StatusChange(Answer):
    connector_id: Annotated[int | None, about("Null: the charger's own four-word status.")]
    status: Annotated[
        str,
        about(
            "A status of OCPP 1.6 section 7.7: Available, Preparing, Charging, SuspendedEVSE, SuspendedEV,"
            " Finishing, Reserved, Unavailable, Faulted."
        ),
    ]
    error_code: str | None
    reported_error_code: Annotated[
        str | None,
        about(
            "The charger's own word, where errorCode (OtherError) stands for one that the specification does"
            " not know."
        ),
    ]
    info: str | None
    vendor_id: str | None
    vendor_error_code: str | None
    timestamp: Annotated[Time | None, about("The charger's own time.")]
    received_at: Annotated[Time, about("Our time.")]


class Connector(StatusChange):
    connector_id: Part
    retired_at: Annotated[
        Time | None,
        about("Since when the charger is taken not to have it any more; it counts no longer for the status."),
    ]


class OpenTransaction(Answer):
    transaction_id: int
    connector_id: int | None
    session_id: str | None
    id_tag: str | None
    start_time: Time


class Charger(Answer):
    charger_id: ChargerId
    status: ChargerStatus
    identity: Identity
    has_fault: HasFault
    faults: Faults
    connected: bool
    connected_since: ConnectedSince
    disconnected_at: DisconnectedAt
    disconnected_reason: DisconnectedReason
    registration: Registration
    approved: Approved
    dialect: Dialect
    blocked: Blocked
    last_seen_at: LastSeenAt
    vendor: str | None
    model: str | None
    firmware_version: str | None
    name: str | None
    city: str | None
    country: str | None
    latitude: float | None
    longitude: float | None
    site_id: SiteId

    @classmethod
    def listed(cls, row: Any, faults: Sequence[Any]) -> Self:
        """A row of database.chargers.LISTED, by place and not by name: there may be ten thousand in one answer."""
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
            site_id,
        ) = row
        return cls(
            identities.to_json(identity),
            status,
            identity,
            has_fault,
            [Fault.of(each) for each in faults],
            connected,
            time_text(connected_since) if connected else None,
            None if connected else time_text(disconnected_at),
            disconnected_reason,
            registration,
            approved,
            dialect,
            blocked,
            time_text(last_seen_at),
            vendor,
            model,
            firmware_version,
            name,
            city,
            country,
            degrees(latitude),
            degrees(longitude),
            site_id,
        )


class ChargerDetails(Answer):
    charger_id: ChargerId
    status: ChargerStatus
    identity: Identity
    has_fault: HasFault
    faults: Faults
    connected: bool
    connected_since: ConnectedSince
    disconnected_at: DisconnectedAt
    disconnected_reason: DisconnectedReason
    last_seen_at: LastSeenAt
    silent: Annotated[bool, about("No message for longer than the limit: Unavailable until it speaks again.")]
    reported_status: ChargerStatus
    dialect: Dialect
    bound_dialect: BoundDialect | None
    blocked: Blocked
    registration: Registration
    approved: Approved
    booted_at: Time | None
    created_at: Time
    vendor: str | None
    model: str | None
    firmware_version: str | None
    charge_point_serial_number: str | None
    charge_box_serial_number: str | None
    iccid: str | None
    imsi: str | None
    meter_type: str | None
    meter_serial_number: str | None
    firmware_status: str | None
    firmware_status_at: Time | None
    diagnostics_status: str | None
    diagnostics_status_at: Time | None
    clock_skew_ms: Annotated[int | None, about("The charger's clock minus ours.")]
    name: str | None
    address: str | None
    city: str | None
    postal_code: str | None
    country: str | None
    latitude: float | None
    longitude: float | None
    site_id: SiteId
    has_password: Annotated[
        bool, about("Whether it must give a password; the password itself is never shown.")
    ]
    allow_without_password: Annotated[
        bool, about("It is let in without a password although CHARGER_AUTH=password.")
    ]
    allow_missing_subprotocol: bool
    automatic_calls: bool
    journal: Annotated[bool | None, about("Whether its messages are kept; null: as the setting has it.")]
    strict: bool
    connectors: list[Connector]
    open_transactions: list[OpenTransaction]

    @classmethod
    def about(cls, details: Details) -> Self:
        """Everything about one charger but its password."""
        row, connectors = details.charger, details.connectors
        faulted = [each for each in connectors if each.status == FAULTED and each.retired_at is None]
        return cls.of(
            row,
            charger_id=identities.to_json(row.identity),
            connected_since=row.connected_since if row.connected else None,
            disconnected_at=None if row.connected else row.disconnected_at,
            last_seen_at=time_text(details.last_seen_at),
            latitude=degrees(row.latitude),
            longitude=degrees(row.longitude),
            faults=[Fault.of(each) for each in faulted],
            has_password=row.password_hash is not None,
            connectors=[Connector.of(each) for each in connectors],
            open_transactions=[
                OpenTransaction.of(each, transaction_id=each.id, start_time=each.effective_start)
                for each in details.open_transactions
            ],
        )


class ChargerEvent(Answer):
    kind: Annotated[str, about("The OCPP action, or Connected, Disconnected.")]
    detail: Annotated[Any, about("Its payload and our answer.")]
    received_at: Time


class Oddity(Answer):
    action: str
    kind: Annotated[str, Meta(examples=["extra-field", "overlong-text", "unknown-error-code"])]
    count: Annotated[int, Meta(ge=1)]
    first_at: Time
    last_at: Time
    last_raw: Annotated[
        str, about("The newest message of the kind, as it came (withheld where a key may stand in it).")
    ]


class Deviation(Oddity):
    allowance: Annotated[
        str,
        choice(
            ("always", "strict: false"),
            description="What lets it pass: always, for messages that carry money; else that the charger is not held to the letter.",
        ),
    ]


class Conformance(Answer):
    strict: Annotated[bool, about("It is held to the letter: what only `strict: false` covers is refused.")]
    allow_missing_subprotocol: bool
    allow_without_password: bool
    deviations: Annotated[list[Deviation], about("Each kind once for each action, the latest first.")]


class LoneMeterValue(Sample):
    connector_id: int | None
    timestamp: Time | None
    received_at: Time
    measurand: str
    phase: str | None
    context: str
    location: str
    format: str
    unit: str | None
    value: Annotated[Number | None, about("Null when `raw` is no number.")]
    raw: str
