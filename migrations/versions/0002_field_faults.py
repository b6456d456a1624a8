"""What the faults found in the field need: oddities, strictness, retired connectors, closed sessions.

Revision: 0002
Follows: 0001
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def big_id() -> Any:
    """A surrogate key; SQLite autoincrements only INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def long_text() -> Any:
    """Up to 16 MiB."""
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


def columns() -> Iterator[tuple[str, sa.Column]]:
    """(table, new column)."""
    yield "chargers", sa.Column("strict", sa.Boolean(), server_default=sa.false(), nullable=False)
    yield "chargers", sa.Column("previous_password_hash", sa.String(255))
    yield "chargers", sa.Column("number_of_connectors", sa.Integer())
    yield "chargers", sa.Column("disconnected_reason", sa.String(255))
    yield "connectors", sa.Column("reported_error_code", sa.String(255))
    yield "connectors", sa.Column("retired_at", utc())
    yield "status_history", sa.Column("reported_error_code", sa.String(255))
    yield "transactions", sa.Column("meter_source", sa.String(48))
    yield "transactions", sa.Column("interrupted_at", utc())
    yield "transactions", sa.Column("close_reason", sa.String(255))
    yield "transactions", sa.Column("closed_by", sa.String(80))


def upgrade() -> None:
    op.create_table(
        "charger_oddities",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", utc(), nullable=False),
        sa.Column("last_at", utc(), nullable=False),
        sa.Column("last_raw", long_text(), nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name=op.f("fk_charger_oddities_charger_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charger_oddities")),
        sa.UniqueConstraint(
            "charger_id", "action", "kind", name=op.f("uq_charger_oddities_charger_id_action_kind")
        ),
        mysql_engine="InnoDB",
        mysql_default_charset="utf8mb4",
    )
    for table, column in columns():
        op.add_column(table, column)


def downgrade() -> None:
    for table, column in reversed(list(columns())):
        op.drop_column(table, column.name)
    op.drop_table("charger_oddities")
