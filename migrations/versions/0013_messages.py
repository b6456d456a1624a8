"""The journal of messages.

Revision: 0013
Follows: 0012
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def big_id() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("chargers", sa.Column("journal", sa.Boolean()))
    op.create_table(
        "messages",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column(
            "at", sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb"), nullable=False
        ),
        sa.Column("outgoing", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("action", sa.String(64)),
        sa.Column("message_id", sa.String(64)),
        sa.Column("text", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("round_trip_ms", sa.Integer()),
        sa.Column("outcome", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        mysql_engine="InnoDB",
        mysql_default_charset="utf8mb4",
    )
    op.create_index("ix_messages_charger_id", "messages", ["charger_id", "id"])
    op.create_index("ix_messages_at", "messages", ["at"])


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_column("chargers", "journal")
