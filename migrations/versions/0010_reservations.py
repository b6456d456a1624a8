"""Reservations as things of their own.

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


def downgrade() -> None:
    op.drop_table("reservations")
