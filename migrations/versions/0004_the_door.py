"""Log-ins that can be ended; chargers that are bound, blocked, removed, or excepted from having a password.

Revision: 0004
Follows: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
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


def upgrade() -> None:
    op.add_column("chargers", sa.Column("blocked", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column(
        "chargers",
        sa.Column("allow_without_password", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("chargers", sa.Column("removed_at", utc()))
    op.add_column("chargers", sa.Column("bound_dialect", sa.String(16)))
    op.add_column(
        "chargers", sa.Column("dialect_pinned", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute("UPDATE chargers SET bound_dialect = dialect WHERE registration = 'Accepted'")
    op.add_column(
        "transactions", sa.Column("unapproved", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "log_ins",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("log_in_key", exact(36), nullable=False),
        sa.Column("user_id", big_id(), nullable=False),
        sa.Column("refresh_key", exact(36), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("created_at", utc(), nullable=False),
        sa.Column("refreshed_at", utc(), nullable=False),
        sa.Column("ended_at", utc()),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_log_ins_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_ins")),
        sa.UniqueConstraint("log_in_key", name=op.f("uq_log_ins_log_in_key")),
        mysql_engine="InnoDB",
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_log_ins_user_id_created_at", "log_ins", ["user_id", "created_at"])
    op.create_index("ix_log_ins_refreshed_at", "log_ins", ["refreshed_at"])


def downgrade() -> None:
    op.drop_table("log_ins")
    op.drop_column("transactions", "unapproved")
    op.drop_column("chargers", "dialect_pinned")
    op.drop_column("chargers", "bound_dialect")
    op.drop_column("chargers", "removed_at")
    op.drop_column("chargers", "allow_without_password")
    op.drop_column("chargers", "blocked")
