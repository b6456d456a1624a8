"""The tables.

Conventions: times are UTC with milliseconds; what a charger said and when we heard it are separate
columns; energy is a whole number of milliwatt-hours and a sample a whole number of millionths of its
unit, so that no float ever touches money; the raw text stands beside whatever was read from it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, ExactString, LongText, UtcDateTime

#: A 128-bit hash of canonical text; the unique keys that make twice once.
Hash = LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")


class Charger(Base):
    """A charge point: one row for each identity that was ever let in or created by an operator."""

    __tablename__ = "chargers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    identity: Mapped[str] = mapped_column(ExactString(128), unique=True)
    #: "ocpp1.6" or "flat": what its newest connection speaks; empty until there was one.
    dialect: Mapped[str | None] = mapped_column(String(16))
    #: What it is held to. An accepted boot says it, and OCPP-J counts for more than flat, where anybody may speak for
    #: it; what an operator has set (pinned) no boot changes.
    bound_dialect: Mapped[str | None] = mapped_column(String(16))
    dialect_pinned: Mapped[bool] = mapped_column(Boolean, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # Onboarding. `approved` is the operator's word (None: none yet); `registration` is what the last
    # BootNotification was answered: Accepted, Pending, Rejected; None: it never booted.
    approved: Mapped[bool | None] = mapped_column(Boolean)
    registration: Mapped[str | None] = mapped_column(String(16))
    booted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Salted hash of the HTTP Basic password; None: the charger needs none.
    password_hash: Mapped[str | None] = mapped_column(String(255))
    #: Of keys sent to the charger whose answer is not known: each is valid beside the password until one of them
    #: is used. Space-separated; see chargers/passwords.py.
    pending_password_hashes: Mapped[str | None] = mapped_column(String(255))
    #: Its messages are held to the letter of the specification; else what the meaning survives is taken.
    strict: Mapped[bool] = mapped_column(Boolean, server_default=false())
    #: The charger may connect without offering a subprotocol (some makes do not).
    allow_missing_subprotocol: Mapped[bool] = mapped_column(Boolean, server_default=false())
    #: Calls that the system makes by itself (configuration, triggers) may be sent to it.
    automatic_calls: Mapped[bool] = mapped_column(Boolean, server_default=true())

    #: Whether its messages are kept (journal/); None: as MESSAGE_JOURNAL_PERCENT has it.
    journal: Mapped[bool | None] = mapped_column(Boolean)

    #: It is let in without a password although CHARGER_AUTH=password.
    allow_without_password: Mapped[bool] = mapped_column(Boolean, server_default=false())
    #: An operator has shut it out for the time being.
    blocked: Mapped[bool] = mapped_column(Boolean, server_default=false())
    #: An operator has removed it: nobody knows it any more, but its sessions stay.
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # Inventory, from BootNotification.
    vendor: Mapped[str | None] = mapped_column(String(255))
    model: Mapped[str | None] = mapped_column(String(255))
    firmware_version: Mapped[str | None] = mapped_column(String(255))
    charge_point_serial_number: Mapped[str | None] = mapped_column(String(255))
    charge_box_serial_number: Mapped[str | None] = mapped_column(String(255))
    iccid: Mapped[str | None] = mapped_column(String(255))
    imsi: Mapped[str | None] = mapped_column(String(255))
    meter_type: Mapped[str | None] = mapped_column(String(255))
    meter_serial_number: Mapped[str | None] = mapped_column(String(255))
    firmware_status: Mapped[str | None] = mapped_column(String(32))
    firmware_status_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    diagnostics_status: Mapped[str | None] = mapped_column(String(32))
    diagnostics_status_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: NumberOfConnectors, if the charger has told it since its last boot.
    number_of_connectors: Mapped[int | None] = mapped_column(Integer)
    #: Since when it is this box: the boot that first named another model or serial number than the one before.
    box_since: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # Where it stands.
    name: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(String(255))
    city: Mapped[str | None] = mapped_column(String(255))
    postal_code: Mapped[str | None] = mapped_column(String(32))
    country: Mapped[str | None] = mapped_column(String(2))
    latitude: Mapped[Any | None] = mapped_column(Numeric(9, 6))
    longitude: Mapped[Any | None] = mapped_column(Numeric(9, 6))
    #: Who is limited to sites sees it, and its sessions, only by this one. No foreign key: whoever sets it locks the site.
    site_id: Mapped[int | None] = mapped_column(BigId)

    # The conversation. The newest generation owns the identity; older sockets may not touch this.
    generation: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    connected: Mapped[bool] = mapped_column(Boolean, server_default=false())
    process_id: Mapped[str | None] = mapped_column(String(36))
    connected_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disconnected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disconnected_reason: Mapped[str | None] = mapped_column(String(255))

    # Status. `status` is the four-word summary that operators see; `reported_status` is the same
    # without regard to silence, so that it can return when the charger speaks again.
    status: Mapped[str] = mapped_column(String(16), server_default="Unavailable")
    reported_status: Mapped[str] = mapped_column(String(16), server_default="Unavailable")
    has_fault: Mapped[bool] = mapped_column(Boolean, server_default=false())
    silent: Mapped[bool] = mapped_column(Boolean, server_default=false())
    #: The charger's clock minus ours, in milliseconds, when it last sent a current timestamp.
    clock_skew_ms: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index("ix_chargers_status", "status", "identity"),
        Index("ix_chargers_connected_process_id", "connected", "process_id"),
        Index("ix_chargers_site_id_identity", "site_id", "identity"),
    )


class Sighting(Base):
    """When a charger last spoke; see database/sightings.py."""

    __tablename__ = "sightings"

    #: No foreign key: whoever notes it must not wait for whoever stores something of the charger.
    charger_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    #: As in the charger's own row.
    silent: Mapped[bool] = mapped_column(Boolean, server_default=false())
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_sightings_silent_seen_at", "silent", "seen_at"),)


class Connector(Base):
    """The last status that a charger reported for one connector; 0 is the charger's main part."""

    __tablename__ = "connectors"

    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"), primary_key=True)
    connector_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    status: Mapped[str] = mapped_column(String(32))
    error_code: Mapped[str] = mapped_column(String(32))
    info: Mapped[str | None] = mapped_column(String(255))
    vendor_id: Mapped[str | None] = mapped_column(String(255))
    vendor_error_code: Mapped[str | None] = mapped_column(String(255))
    #: The charger's own time of the change, as far as it could be read.
    timestamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: The charger's own word, where its error code is none of the specification's (`error_code`: OtherError).
    reported_error_code: Mapped[str | None] = mapped_column(String(255))
    #: Since when the charger is taken to have no such connector any more; a new report of it brings it back.
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StatusChange(Base):
    """The history of status changes; `connector_id` None: the charger's own four-word summary."""

    __tablename__ = "status_history"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    connector_id: Mapped[int | None] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(32))
    error_code: Mapped[str | None] = mapped_column(String(32))
    info: Mapped[str | None] = mapped_column(String(255))
    vendor_id: Mapped[str | None] = mapped_column(String(255))
    vendor_error_code: Mapped[str | None] = mapped_column(String(255))
    timestamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reported_error_code: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        Index("ix_status_history_charger_id", "charger_id", "id"),
        Index("ix_status_history_received_at", "received_at"),
    )


class ChargerEvent(Base):
    """What else a charger did: boots, authorizations, data transfers, firmware and diagnostics news.

    `kind` is the OCPP action, or Connected, Disconnected; `detail` is what it said, and what we made of it.
    """

    __tablename__ = "charger_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    kind: Mapped[str] = mapped_column(String(48))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_charger_events_charger_id", "charger_id", "id"),
        Index("ix_charger_events_received_at", "received_at"),
    )


class ChargerOddity(Base):
    """A way in which a charger departs from the specification, once for each kind and message."""

    __tablename__ = "charger_oddities"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    action: Mapped[str] = mapped_column(String(64))
    #: One of the words of domain/oddities.py.
    kind: Mapped[str] = mapped_column(String(64))
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: The newest message of the kind, as it came.
    last_raw: Mapped[str] = mapped_column(LongText)

    __table_args__ = (UniqueConstraint("charger_id", "action", "kind"),)


class Transaction(Base):
    """One charging session. Its `id` is the transactionId: positive, 32 bits, ours."""

    __tablename__ = "transactions"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    connector_id: Mapped[int | None] = mapped_column(Integer)
    #: The operator's sessionId or the flat charger's own transactionId.
    session_id: Mapped[str | None] = mapped_column(ExactString(255))
    id_tag: Mapped[str | None] = mapped_column(String(255))
    #: What the StartTransaction was answered for its tag (Accepted, Blocked, …).
    id_tag_status: Mapped[str | None] = mapped_column(String(16))
    #: "In Progress", "Completed" or "Interrupted".
    status: Mapped[str] = mapped_column(String(16))

    #: Hash of (charger, connector, idTag, start, meterStart); None when no charger reported a start.
    start_key: Mapped[bytes | None] = mapped_column(Hash)
    start_ordinal: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))

    start_timestamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    start_received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: The charger's time where it is plausible, else the time of receipt: sorts, filters and pages.
    effective_start: Mapped[datetime] = mapped_column(UtcDateTime)
    stop_timestamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stop_received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The end that counts; for an Interrupted session the last thing known of it. None while open.
    effective_end: Mapped[datetime | None] = mapped_column(UtcDateTime)

    meter_start_mwh: Mapped[int | None] = mapped_column(BigInteger)
    meter_stop_mwh: Mapped[int | None] = mapped_column(BigInteger)
    #: The last energy register seen while the session ran.
    meter_last_mwh: Mapped[int | None] = mapped_column(BigInteger)
    meter_last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Which register that reading is of; None: the ordinary one (Outlet, no phase). See domain/samples.py.
    meter_source: Mapped[str | None] = mapped_column(String(48))
    #: Energy delivered; None when it cannot be known. Never negative.
    energy_mwh: Mapped[int | None] = mapped_column(BigInteger)

    #: The stop reason (section 7.36); Local when the charger gave none.
    reason: Mapped[str | None] = mapped_column(String(32))
    stop_id_tag: Mapped[str | None] = mapped_column(String(255))
    reservation_id: Mapped[int | None] = mapped_column(BigInteger)
    #: Whatever looked odd, space-separated; see domain/transactions.py.
    #: It came from a charger that had not been approved: it is in no history until the charger is.
    unapproved: Mapped[bool] = mapped_column(Boolean, server_default=false())
    flags: Mapped[str] = mapped_column(String(255), server_default="")
    #: When an Interrupted session was taken to be over; samples from later say that it was not.
    interrupted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Why an operator closed it, and who.
    close_reason: Mapped[str | None] = mapped_column(String(255))
    closed_by: Mapped[str | None] = mapped_column(String(80))

    __table_args__ = (
        UniqueConstraint("start_key", "start_ordinal"),
        Index("ix_transactions_charger_id_session_id", "charger_id", "session_id"),
        Index("ix_transactions_charger_id_effective_start", "charger_id", "effective_start", "id"),
        Index("ix_transactions_effective_start", "effective_start", "id"),
        Index("ix_transactions_effective_end", "effective_end", "effective_start"),
        Index("ix_transactions_status_charger_id", "status", "charger_id"),
        Index("ix_transactions_charger_id_status", "charger_id", "status"),
        Index("ix_transactions_session_id", "session_id"),
        {"sqlite_autoincrement": True},
    )


class MeterValue(Base):
    """One sampled value."""

    __tablename__ = "meter_values"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    connector_id: Mapped[int | None] = mapped_column(Integer)
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("transactions.id"))
    #: Hash of (charger, connector, time, measurand, phase, location, context, value).
    sample_key: Mapped[bytes] = mapped_column(Hash, unique=True)
    timestamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    measurand: Mapped[str] = mapped_column(String(64))
    phase: Mapped[str | None] = mapped_column(String(16))
    context: Mapped[str] = mapped_column(String(32))
    location: Mapped[str] = mapped_column(String(16))
    format: Mapped[str] = mapped_column(String(16))
    unit: Mapped[str | None] = mapped_column(String(24))
    #: The value in millionths of its unit; None when it could not be read as a number.
    value_micro: Mapped[int | None] = mapped_column(BigInteger)
    #: The value as it was sent.
    raw: Mapped[str] = mapped_column(LongText)

    __table_args__ = (
        Index("ix_meter_values_transaction_id", "transaction_id", "id"),
        Index("ix_meter_values_charger_id_transaction_id", "charger_id", "transaction_id", "id"),
        Index("ix_meter_values_received_at", "received_at"),
    )


class Inbox(Base):
    """Charger messages that could not be turned into rows: kept whole, for the operator.

    `kind`: "poison" (the database or our code refused it), "orphan-stop" (a StopTransaction that belongs
    to no session we know), "conflicting-stop" (a second stop of a session that says something else) or "unreadable" (stored as far as it could be read; the rest is only here).
    """

    __tablename__ = "inbox"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    kind: Mapped[str] = mapped_column(String(16))
    #: Hash of the charger and the payload: the same message again is the same row.
    message_key: Mapped[bytes] = mapped_column(Hash, unique=True)
    action: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str | None] = mapped_column(String(255))
    raw: Mapped[str] = mapped_column(LongText)
    reason: Mapped[str] = mapped_column(String(1000))
    #: The minimal session made for a poisonous StartTransaction, or the one found for an orphan.
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("transactions.id"))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_inbox_charger_id", "charger_id", "id"),
        Index("ix_inbox_kind_received_at", "kind", "received_at"),
    )


class Tag(Base):
    """An idTag. One-use tags are made by a start without a tag and are valid for it only."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    id_tag: Mapped[str] = mapped_column(String(255))
    #: The tag in lower case: idTags compare case-insensitively (section 7.28).
    id_tag_key: Mapped[str] = mapped_column(ExactString(255), unique=True)
    #: Accepted, Blocked, Expired or Invalid, by the operator's word.
    status: Mapped[str] = mapped_column(String(16))
    expiry_date: Mapped[datetime | None] = mapped_column(UtcDateTime)
    parent_id_tag: Mapped[str | None] = mapped_column(String(20))
    #: How many transactions it may have open at once; None: no limit.
    max_active_transactions: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: For a one-use tag: the command it was made for.
    command_id: Mapped[int | None] = mapped_column(ForeignKey("commands.id"))
    #: What a session of it may take, and how long it may last; None: no limit.
    session_energy_mwh: Mapped[int | None] = mapped_column(BigInteger)
    session_minutes: Mapped[int | None] = mapped_column(Integer)
    #: The number of its last change; see TagRevision. One-use tags have none.
    revision: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_tags_revision", "revision"),)


class Command(Base):
    """A call to a charger and its life.

    `state`: queued → sent → accepted | rejected | error | timed out (→ late answer) | charger gone.
    "accepted" means only that the charger said so.
    """

    __tablename__ = "commands"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    action: Mapped[str] = mapped_column(String(64))
    #: As sent, but for secrets, which are replaced by "***".
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    #: The charger's CALLRESULT payload.
    response: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_description: Mapped[str | None] = mapped_column(String(1000))
    message_id: Mapped[str] = mapped_column(String(36), unique=True)
    #: The user's name, or "system" for the calls that we make by ourselves.
    requested_by: Mapped[str] = mapped_column(String(80))
    #: The owner: who held the charger's socket when the command was made, and delivers it.
    process_id: Mapped[str | None] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: What could not be sent until then is not sent any more.
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # A remote start looks for the StartTransaction that it caused.
    connector_id: Mapped[int | None] = mapped_column(Integer)
    id_tag: Mapped[str | None] = mapped_column(String(20))
    session_id: Mapped[str | None] = mapped_column(ExactString(255))
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("transactions.id"))

    __table_args__ = (
        Index("ix_commands_charger_id", "charger_id", "id"),
        Index("ix_commands_state", "state", "process_id"),
        Index("ix_commands_created_at", "created_at"),
    )


class ConfigurationValue(Base):
    """One configuration key of a charger: what it told, and what it should be. See configuration/."""

    __tablename__ = "configuration_values"

    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"), primary_key=True)
    #: The key in lower case: keys compare case-insensitively.
    name_key: Mapped[str] = mapped_column(ExactString(50), primary_key=True)
    #: As the charger spells it, or the operator.
    name: Mapped[str] = mapped_column(String(50))
    #: None: it never told one, or shows none (AuthorizationKey).
    value: Mapped[str | None] = mapped_column(LongText)
    readonly: Mapped[bool | None] = mapped_column(Boolean)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: What it should be; None: nobody has said.
    desired: Mapped[str | None] = mapped_column(String(500))
    desired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    desired_by: Mapped[str | None] = mapped_column(String(80))
    #: The charger's word to the last ChangeConfiguration.
    answer: Mapped[str | None] = mapped_column(String(64))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: It is to be sent as soon as the charger is there.
    due: Mapped[bool] = mapped_column(Boolean, server_default=false())
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_configuration_values_due", "due", "charger_id"),)


class LocalList(Base):
    """The local authorization list that a charger holds, as far as we know; see local_list/."""

    __tablename__ = "local_lists"

    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"), primary_key=True)
    #: Its listVersion: the last that it accepted, or told. 0: empty; -1: it supports none.
    version: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: The revision of the tags (tag_revision) that it holds; None: nobody can tell, so a Full list is due.
    revision: Mapped[int | None] = mapped_column(BigInteger)
    #: It is to be kept like the tags.
    wanted: Mapped[bool] = mapped_column(Boolean, server_default=false())
    #: Its last word: Accepted, Failed, VersionMismatch, NotSupported; or why nothing was sent.
    answer: Mapped[str | None] = mapped_column(String(255))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TagRevision(Base):
    """One row (id 1): the number of the last change of a tag. Whoever changes one takes the next, and holds the row until
    the commit, so that numbers become visible in their order."""

    __tablename__ = "tag_revision"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(BigInteger)


class ChargingProfile(Base):
    """One of the library: a csChargingProfiles without its chargingProfileId and transactionId."""

    __tablename__ = "charging_profiles"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(ExactString(255), unique=True)
    profile: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class InstalledProfile(Base):
    """A charging profile at a charger, or on its way there; see smart_charging/."""

    __tablename__ = "installed_profiles"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    #: Its chargingProfileId; None until it has been given one.
    profile_id: Mapped[int | None] = mapped_column(Integer)
    connector_id: Mapped[int] = mapped_column(Integer)
    purpose: Mapped[str] = mapped_column(String(32))
    stack_level: Mapped[int] = mapped_column(Integer)
    #: csChargingProfiles, as it is sent.
    profile: Mapped[dict[str, Any]] = mapped_column(JSON)
    transaction_id: Mapped[int | None] = mapped_column(Integer)
    #: Of the library, if it came from there.
    library_id: Mapped[int | None] = mapped_column(BigInteger)
    #: requested, installed, refused, replaced, cleared.
    state: Mapped[str] = mapped_column(String(16))
    answer: Mapped[str | None] = mapped_column(String(255))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The limit that an operator wants of the whole charger: it is sent again after each boot.
    kept: Mapped[bool] = mapped_column(Boolean, server_default=false())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    requested_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_installed_profiles_charger_id_profile_id", "charger_id", "profile_id"),
        Index("ix_installed_profiles_kept_state", "kept", "state"),
        {"sqlite_autoincrement": True},
    )


class Message(Base):
    """One frame that went over a charger's socket; see journal/."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: No foreign key: it is written beside everything else, and waits for nobody.
    charger_id: Mapped[int] = mapped_column(BigId)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: From us to the charger.
    outgoing: Mapped[bool] = mapped_column(Boolean)
    #: call, result, error, or other (a frame that is none, a flat message).
    kind: Mapped[str] = mapped_column(String(8))
    action: Mapped[str | None] = mapped_column(String(64))
    message_id: Mapped[str | None] = mapped_column(String(64))
    #: As it went, but for secrets and what is beyond the longest that is kept.
    text: Mapped[str] = mapped_column(LongText)
    size: Mapped[int] = mapped_column(Integer)
    #: Of an answer: since its call, in milliseconds; its status, or the code of its error.
    round_trip_ms: Mapped[int | None] = mapped_column(Integer)
    outcome: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        Index("ix_messages_charger_id", "charger_id", "id"),
        Index("ix_messages_at", "at"),
    )


class SessionLimit(Base):
    """How much a session may take, or how long it may last, by an operator's word; see charging/limits.py.

    It belongs to a transaction, or to the remote start that will cause one.
    """

    __tablename__ = "session_limits"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transaction_id: Mapped[int | None] = mapped_column(Integer, unique=True)
    command_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    energy_mwh: Mapped[int | None] = mapped_column(BigInteger)
    minutes: Mapped[int | None] = mapped_column(Integer)
    set_by: Mapped[str] = mapped_column(String(80))
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Its session may still run.
    active: Mapped[bool] = mapped_column(Boolean, server_default=true())

    __table_args__ = (Index("ix_session_limits_active", "active"),)


class LimitStop(Base):
    """A session that has come to a limit, its own or its tag's, and was to be stopped for it."""

    __tablename__ = "limit_stops"

    transaction_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: energy or time.
    reason: Mapped[str] = mapped_column(String(8))
    reached_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When its charger was asked last.
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Reservation(Base):
    """A connector that is kept for a tag. Its `id` is the reservationId: positive, 32 bits, ours.

    `state`: requested → active → used | expired | cancelled | lost | ended; or refused. See reservations/bookings.py.
    """

    __tablename__ = "reservations"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    charger_id: Mapped[int] = mapped_column(ForeignKey("chargers.id"))
    #: 0: whichever is free.
    connector_id: Mapped[int] = mapped_column(Integer)
    id_tag: Mapped[str] = mapped_column(String(20))
    parent_id_tag: Mapped[str | None] = mapped_column(String(20))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    #: The charger's own word, or why there is none.
    answer: Mapped[str | None] = mapped_column(String(255))
    #: The call that asked for it.
    command_id: Mapped[int | None] = mapped_column(BigInteger)
    #: The session that used it.
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("transactions.id"))
    requested_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_reservations_charger_id_state", "charger_id", "state"),
        Index("ix_reservations_state_expires_at", "state", "expires_at"),
        {"sqlite_autoincrement": True},
    )


class Site(Base):
    """A place with chargers: they belong to at most one."""

    __tablename__ = "sites"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(ExactString(255), unique=True)
    address: Mapped[str | None] = mapped_column(String(255))
    city: Mapped[str | None] = mapped_column(String(255))
    postal_code: Mapped[str | None] = mapped_column(String(32))
    country: Mapped[str | None] = mapped_column(String(2))
    latitude: Mapped[Any | None] = mapped_column(Numeric(9, 6))
    longitude: Mapped[Any | None] = mapped_column(Numeric(9, 6))
    #: A name of the IANA time zone database.
    time_zone: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # Who is limited to a site that is gone must not see the next one.
    __table_args__ = ({"sqlite_autoincrement": True},)


#: A list of ids, or no value at all.
_Ids = JSON(none_as_null=True)


class User(Base):
    """An account: somebody who may use the REST API, a person or a machine."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    username: Mapped[str] = mapped_column(ExactString(80), unique=True)
    #: Empty: it has no password, and nobody can log in to it with one.
    password_hash: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(Boolean, server_default=true())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: viewer, operator or admin; see domain/roles.py.
    role: Mapped[str] = mapped_column(String(16), server_default="viewer")
    #: The ids of the sites that it is limited to; None: it sees everything.
    sites: Mapped[list[int] | None] = mapped_column(_Ids)
    #: Whom an outside identity provider means by it: its `iss` and `sub`.
    issuer: Mapped[str | None] = mapped_column(ExactString(255))
    subject: Mapped[str | None] = mapped_column(ExactString(255))

    __table_args__ = (Index("ix_users_issuer_subject", "issuer", "subject", unique=True),)


class LogIn(Base):
    """From a password to the end of the last refresh token that came of it; see access/log_ins.py."""

    __tablename__ = "log_ins"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: What every token of this log-in names, and the one refresh token that is valid.
    log_in_key: Mapped[str] = mapped_column(ExactString(36), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    refresh_key: Mapped[str] = mapped_column(ExactString(36))
    #: Where it came from.
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    refreshed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_log_ins_user_id_created_at", "user_id", "created_at"),
        Index("ix_log_ins_refreshed_at", "refreshed_at"),
    )


class ApiKey(Base):
    """A key by which a machine acts for an account, within `role` and `sites`; see access/keys.py."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(255))
    #: SHA-256 of the key, in hex digits.
    key_hash: Mapped[str] = mapped_column(ExactString(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    sites: Mapped[list[int] | None] = mapped_column(_Ids)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(80))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_from: Mapped[str | None] = mapped_column(String(64))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_api_keys_user_id", "user_id"),)


class AuditEntry(Base):
    """What somebody did, or tried to; nothing ever changes one. See database/acts.py."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: The account; None: nobody whom we know.
    username: Mapped[str | None] = mapped_column(ExactString(80))
    #: What they had shown (domain/roles.py), or "command line".
    by: Mapped[str | None] = mapped_column(String(16))
    key_id: Mapped[int | None] = mapped_column(BigInteger)
    #: The operationId of the request, or the `flask` command.
    action: Mapped[str] = mapped_column(String(64))
    #: The path of the request, or what the command was given.
    target: Mapped[str] = mapped_column(String(500))
    #: What was asked for; secrets are "***".
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    #: "done", or the code of the problem that was answered.
    result: Mapped[str] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        Index("ix_audit_at", "at"),
        Index("ix_audit_username", "username", "id"),
        Index("ix_audit_action", "action", "id"),
    )


class Watch(Base):
    """One row (id 1): since when the chargers are being watched without a gap.

    A charger is silent only if it has not spoken since `resumed_at` either; `written_at` is the test
    write that proves the database takes commits again.
    """

    __tablename__ = "watch"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    resumed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Lease(Base):
    """A process that serves on this database together with others, for as long as it renews this.

    Times are the database's. See database/leases.py.
    """

    __tablename__ = "processes"

    id: Mapped[str] = mapped_column(ExactString(36), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    #: Of the server whose worker it is: they share a port.
    server_pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    renewed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Chargers' sockets that it holds.
    sockets: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    #: It is about to end, and lets its chargers go.
    draining: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
