"""Limits of sessions: energy and time, of one session or of a tag's.

Revision: 0014
Follows: 0013
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


_TABLE = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4"}


def upgrade() -> None:
    op.create_table(
        "session_limits",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transaction_id", sa.Integer()),
        sa.Column("command_id", sa.BigInteger()),
        sa.Column("energy_mwh", sa.BigInteger()),
        sa.Column("minutes", sa.Integer()),
        sa.Column("set_by", sa.String(80), nullable=False),
        sa.Column("set_at", utc(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_limits")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_session_limits_transaction_id")),
        sa.UniqueConstraint("command_id", name=op.f("uq_session_limits_command_id")),
        **_TABLE,
    )
    op.create_index("ix_session_limits_active", "session_limits", ["active"])
    op.create_table(
        "limit_stops",
        sa.Column("transaction_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(8), nullable=False),
        sa.Column("reached_at", utc(), nullable=False),
        sa.Column("asked_at", utc(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_limit_stops")),
        **_TABLE,
    )
    op.add_column("tags", sa.Column("session_energy_mwh", sa.BigInteger()))
    op.add_column("tags", sa.Column("session_minutes", sa.Integer()))


def downgrade() -> None:
    op.drop_column("tags", "session_minutes")
    op.drop_column("tags", "session_energy_mwh")
    op.drop_table("limit_stops")
    op.drop_table("session_limits")
