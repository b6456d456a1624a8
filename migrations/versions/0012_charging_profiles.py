"""Charging profiles: a library, and what is installed where.

Revision: 0012
Follows: 0011
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


def exact(length: int) -> Any:
    """Text compared byte for byte."""
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


def big_id() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


_TABLE = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4"}


def upgrade() -> None:
    op.create_table(
        "charging_profiles",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("name", exact(255), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.Column("created_at", utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charging_profiles")),
        sa.UniqueConstraint("name", name=op.f("uq_charging_profiles_name")),
        **_TABLE,
    )
    op.create_table(
        "installed_profiles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("profile_id", sa.Integer()),
        sa.Column("connector_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("stack_level", sa.Integer(), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("transaction_id", sa.Integer()),
        sa.Column("library_id", sa.BigInteger()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer", sa.String(255)),
        sa.Column("answered_at", utc()),
        sa.Column("kept", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("expires_at", utc()),
        sa.Column("tried_at", utc()),
        sa.Column("requested_by", sa.String(80), nullable=False),
        sa.Column("created_at", utc(), nullable=False),
        sa.ForeignKeyConstraint(
            ["charger_id"], ["chargers.id"], name=op.f("fk_installed_profiles_charger_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installed_profiles")),
        sqlite_autoincrement=True,
        **_TABLE,
    )
    op.create_index(
        "ix_installed_profiles_charger_id_profile_id", "installed_profiles", ["charger_id", "profile_id"]
    )
    op.create_index("ix_installed_profiles_kept_state", "installed_profiles", ["kept", "state"])


def downgrade() -> None:
    op.drop_table("installed_profiles")
    op.drop_table("charging_profiles")
