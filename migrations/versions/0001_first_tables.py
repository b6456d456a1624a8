"""Every table of the first version.

Revision: 0001
Follows: none
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def big_id() -> Any:
    """A surrogate key; SQLite autoincrements only INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def exact(length: int) -> Any:
    """Text compared byte for byte."""
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def hash_key() -> Any:
    """128 bits."""
    return sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")


def long_text() -> Any:
    """Up to 16 MiB."""
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


def create_table(name: str, *parts: Any, **options: Any) -> None:
    """On MySQL and MariaDB: InnoDB and utf8mb4, whatever the server's or the database's default is."""
    op.create_table(name, *parts, mysql_engine="InnoDB", mysql_default_charset="utf8mb4", **options)


def upgrade() -> None:
    create_table(
        "chargers",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("identity", exact(128), nullable=False),
        sa.Column("dialect", sa.String(16)),
        sa.Column("created_at", utc(), nullable=False),
        sa.Column("approved", sa.Boolean()),
        sa.Column("registration", sa.String(16)),
        sa.Column("booted_at", utc()),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("allow_missing_subprotocol", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("automatic_calls", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("vendor", sa.String(255)),
        sa.Column("model", sa.String(255)),
        sa.Column("firmware_version", sa.String(255)),
        sa.Column("charge_point_serial_number", sa.String(255)),
        sa.Column("charge_box_serial_number", sa.String(255)),
        sa.Column("iccid", sa.String(255)),
        sa.Column("imsi", sa.String(255)),
        sa.Column("meter_type", sa.String(255)),
        sa.Column("meter_serial_number", sa.String(255)),
        sa.Column("firmware_status", sa.String(32)),
        sa.Column("firmware_status_at", utc()),
        sa.Column("diagnostics_status", sa.String(32)),
        sa.Column("diagnostics_status_at", utc()),
        sa.Column("name", sa.String(255)),
        sa.Column("address", sa.String(255)),
        sa.Column("city", sa.String(255)),
        sa.Column("postal_code", sa.String(32)),
        sa.Column("country", sa.String(2)),
        sa.Column("latitude", sa.Numeric(precision=9, scale=6)),
        sa.Column("longitude", sa.Numeric(precision=9, scale=6)),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("connected", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("process_id", sa.String(36)),
        sa.Column("connected_since", utc()),
        sa.Column("disconnected_at", utc()),
        sa.Column("status", sa.String(16), server_default="Unavailable", nullable=False),
        sa.Column("reported_status", sa.String(16), server_default="Unavailable", nullable=False),
        sa.Column("has_fault", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("silent", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_seen_at", utc()),
        sa.Column("clock_skew_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_chargers"),
        sa.UniqueConstraint("identity", name="uq_chargers_identity"),
    )
    op.create_index("ix_chargers_connected_process_id", "chargers", ["connected", "process_id"])
    op.create_index("ix_chargers_silent_last_seen_at", "chargers", ["silent", "last_seen_at"])
    op.create_index("ix_chargers_status", "chargers", ["status", "identity"])

    create_table(
        "users",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("username", exact(80), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username", name="uq_users_username"),
    )
    create_table(
        "watch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("resumed_at", utc(), nullable=False),
        sa.Column("written_at", utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watch"),
    )
    create_table(
        "charger_events",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("kind", sa.String(48), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("received_at", utc(), nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name="fk_charger_events_charger_id"),
        sa.PrimaryKeyConstraint("id", name="pk_charger_events"),
    )
    op.create_index("ix_charger_events_charger_id", "charger_events", ["charger_id", "id"])
    op.create_index("ix_charger_events_received_at", "charger_events", ["received_at"])

    create_table(
        "connectors",
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("connector_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("error_code", sa.String(32), nullable=False),
        sa.Column("info", sa.String(255)),
        sa.Column("vendor_id", sa.String(255)),
        sa.Column("vendor_error_code", sa.String(255)),
        sa.Column("timestamp", utc()),
        sa.Column("received_at", utc(), nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name="fk_connectors_charger_id"),
        sa.PrimaryKeyConstraint("charger_id", "connector_id", name="pk_connectors"),
    )
    create_table(
        "status_history",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("connector_id", sa.Integer()),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("error_code", sa.String(32)),
        sa.Column("info", sa.String(255)),
        sa.Column("vendor_id", sa.String(255)),
        sa.Column("vendor_error_code", sa.String(255)),
        sa.Column("timestamp", utc()),
        sa.Column("received_at", utc(), nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name="fk_status_history_charger_id"),
        sa.PrimaryKeyConstraint("id", name="pk_status_history"),
    )
    op.create_index("ix_status_history_charger_id", "status_history", ["charger_id", "id"])
    op.create_index("ix_status_history_received_at", "status_history", ["received_at"])

    create_table(
        "transactions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("connector_id", sa.Integer()),
        sa.Column("session_id", exact(255)),
        sa.Column("id_tag", sa.String(255)),
        sa.Column("id_tag_status", sa.String(16)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("start_key", hash_key()),
        sa.Column("start_ordinal", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("start_timestamp", utc()),
        sa.Column("start_received_at", utc(), nullable=False),
        sa.Column("effective_start", utc(), nullable=False),
        sa.Column("stop_timestamp", utc()),
        sa.Column("stop_received_at", utc()),
        sa.Column("effective_end", utc()),
        sa.Column("meter_start_mwh", sa.BigInteger()),
        sa.Column("meter_stop_mwh", sa.BigInteger()),
        sa.Column("meter_last_mwh", sa.BigInteger()),
        sa.Column("meter_last_at", utc()),
        sa.Column("energy_mwh", sa.BigInteger()),
        sa.Column("reason", sa.String(32)),
        sa.Column("stop_id_tag", sa.String(255)),
        sa.Column("reservation_id", sa.BigInteger()),
        sa.Column("flags", sa.String(255), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name="fk_transactions_charger_id"),
        sa.PrimaryKeyConstraint("id", name="pk_transactions"),
        sa.UniqueConstraint("start_key", "start_ordinal", name="uq_transactions_start_key_start_ordinal"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_transactions_charger_id_effective_start", "transactions", ["charger_id", "effective_start", "id"]
    )
    op.create_index("ix_transactions_charger_id_session_id", "transactions", ["charger_id", "session_id"])
    op.create_index("ix_transactions_effective_start", "transactions", ["effective_start", "id"])
    op.create_index("ix_transactions_effective_end", "transactions", ["effective_end", "effective_start"])
    op.create_index("ix_transactions_session_id", "transactions", ["session_id"])
    op.create_index("ix_transactions_status_charger_id", "transactions", ["status", "charger_id"])

    create_table(
        "commands",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("response", sa.JSON()),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_description", sa.String(1000)),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("requested_by", sa.String(80), nullable=False),
        sa.Column("process_id", sa.String(36)),
        sa.Column("created_at", utc(), nullable=False),
        sa.Column("sent_at", utc()),
        sa.Column("answered_at", utc()),
        sa.Column("connector_id", sa.Integer()),
        sa.Column("id_tag", sa.String(20)),
        sa.Column("session_id", exact(255)),
        sa.Column("transaction_id", sa.Integer()),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name="fk_commands_charger_id"),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name="fk_commands_transaction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
        sa.UniqueConstraint("message_id", name="uq_commands_message_id"),
    )
    op.create_index("ix_commands_charger_id", "commands", ["charger_id", "id"])
    op.create_index("ix_commands_created_at", "commands", ["created_at"])
    op.create_index("ix_commands_state", "commands", ["state", "process_id"])

    create_table(
        "inbox",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("message_key", hash_key(), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(255)),
        sa.Column("raw", long_text(), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("transaction_id", sa.Integer()),
        sa.Column("received_at", utc(), nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name="fk_inbox_charger_id"),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name="fk_inbox_transaction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sa.UniqueConstraint("message_key", name="uq_inbox_message_key"),
    )
    op.create_index("ix_inbox_charger_id", "inbox", ["charger_id", "id"])
    op.create_index("ix_inbox_kind_received_at", "inbox", ["kind", "received_at"])

    create_table(
        "meter_values",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("connector_id", sa.Integer()),
        sa.Column("transaction_id", sa.Integer()),
        sa.Column("sample_key", hash_key(), nullable=False),
        sa.Column("timestamp", utc()),
        sa.Column("received_at", utc(), nullable=False),
        sa.Column("measurand", sa.String(64), nullable=False),
        sa.Column("phase", sa.String(16)),
        sa.Column("context", sa.String(32), nullable=False),
        sa.Column("location", sa.String(16), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("unit", sa.String(24)),
        sa.Column("value_micro", sa.BigInteger()),
        sa.Column("raw", long_text(), nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name="fk_meter_values_charger_id"),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["transactions.id"], name="fk_meter_values_transaction_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_meter_values"),
        sa.UniqueConstraint("sample_key", name="uq_meter_values_sample_key"),
    )
    op.create_index("ix_meter_values_charger_id", "meter_values", ["charger_id", "id"])
    op.create_index("ix_meter_values_received_at", "meter_values", ["received_at"])
    op.create_index("ix_meter_values_transaction_id", "meter_values", ["transaction_id", "id"])

    create_table(
        "tags",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("id_tag", sa.String(20), nullable=False),
        sa.Column("id_tag_key", exact(20), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("expiry_date", utc()),
        sa.Column("parent_id_tag", sa.String(20)),
        sa.Column("max_active_transactions", sa.Integer()),
        sa.Column("created_at", utc(), nullable=False),
        sa.Column("command_id", big_id()),
        sa.ForeignKeyConstraint(["command_id"], ["commands.id"], name="fk_tags_command_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tags"),
        sa.UniqueConstraint("id_tag_key", name="uq_tags_id_tag_key"),
    )


def downgrade() -> None:
    # Children before the tables that they point at.
    for table in (
        "tags",
        "meter_values",
        "inbox",
        "commands",
        "transactions",
        "status_history",
        "connectors",
        "charger_events",
        "watch",
        "users",
        "chargers",
    ):
        op.drop_table(table)
