"""Reservations and configuration values as things of their own.

Revision: 0010
Follows: 0009
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


def big_id() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def exact(length: int) -> Any:
    """Text compared byte for byte."""
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("connector_id", sa.Integer(), nullable=False),
        sa.Column("id_tag", sa.String(20), nullable=False),
        sa.Column("parent_id_tag", sa.String(20)),
        sa.Column("expires_at", utc(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer", sa.String(255)),
        sa.Column("command_id", sa.BigInteger()),
        sa.Column("transaction_id", sa.Integer()),
        sa.Column("requested_by", sa.String(80), nullable=False),
        sa.Column("created_at", utc(), nullable=False),
        sa.Column("ended_at", utc()),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name=op.f("fk_reservations_charger_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["transactions.id"], name=op.f("fk_reservations_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
        sqlite_autoincrement=True,
        mysql_engine="InnoDB",
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_reservations_charger_id_state", "reservations", ["charger_id", "state"])
    op.create_index("ix_reservations_state_expires_at", "reservations", ["state", "expires_at"])
    op.create_table(
        "configuration_values",
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("name_key", exact(50), nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("value", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")),
        sa.Column("readonly", sa.Boolean()),
        sa.Column("told_at", utc()),
        sa.Column("desired", sa.String(500)),
        sa.Column("desired_at", utc()),
        sa.Column("desired_by", sa.String(80)),
        sa.Column("answer", sa.String(64)),
        sa.Column("answered_at", utc()),
        sa.Column("due", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tried_at", utc()),
        sa.ForeignKeyConstraint(
            ["charger_id"], ["chargers.id"], name=op.f("fk_configuration_values_charger_id")
        ),
        sa.PrimaryKeyConstraint("charger_id", "name_key", name=op.f("pk_configuration_values")),
        mysql_engine="InnoDB",
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_configuration_values_due", "configuration_values", ["due", "charger_id"])


def downgrade() -> None:
    op.drop_table("configuration_values")
    op.drop_table("reservations")
