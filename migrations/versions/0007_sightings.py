"""When each charger last spoke, in a table that no foreign key points to; the look for open sessions has its index.

Revision: 0007
Follows: 0006
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "sightings",
        sa.Column(
            "charger_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("silent", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("seen_at", utc(), nullable=False),
        sa.PrimaryKeyConstraint("charger_id", name=op.f("pk_sightings")),
        mysql_engine="InnoDB",
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_sightings_silent_seen_at", "sightings", ["silent", "seen_at"])
    op.execute(
        "INSERT INTO sightings (charger_id, silent, seen_at)"
        " SELECT id, silent, last_seen_at FROM chargers WHERE last_seen_at IS NOT NULL"
    )
    op.drop_index("ix_chargers_silent_last_seen_at", "chargers")
    op.drop_column("chargers", "last_seen_at")
    op.create_index("ix_transactions_charger_id_status", "transactions", ["charger_id", "status"])


def downgrade() -> None:
    op.drop_index("ix_transactions_charger_id_status", "transactions")
    op.add_column("chargers", sa.Column("last_seen_at", utc()))
    op.execute(
        "UPDATE chargers SET last_seen_at = (SELECT seen_at FROM sightings WHERE sightings.charger_id = chargers.id)"
    )
    op.create_index("ix_chargers_silent_last_seen_at", "chargers", ["silent", "last_seen_at"])
    op.drop_table("sightings")
