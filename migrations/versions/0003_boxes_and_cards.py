"""Several new passwords at a time, when a charger's box was changed, cards of any length, samples outside of sessions.

Revision: 0003
Follows: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
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


def cards(before: int, after: int) -> None:
    if op.get_context().dialect.name != "sqlite":
        op.alter_column(
            "tags", "id_tag", existing_type=sa.String(before), type_=sa.String(after), existing_nullable=False
        )
        op.alter_column(
            "tags", "id_tag_key", existing_type=exact(before), type_=exact(after), existing_nullable=False
        )
        return
    # SQLite changes no column: a new table takes the rows over.
    op.rename_table("tags", "tags_before")
    op.create_table(
        "tags",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("id_tag", sa.String(after), nullable=False),
        sa.Column("id_tag_key", sa.String(after), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("expiry_date", utc()),
        sa.Column("parent_id_tag", sa.String(20)),
        sa.Column("max_active_transactions", sa.Integer()),
        sa.Column("created_at", utc(), nullable=False),
        sa.Column("command_id", sa.Integer()),
        sa.ForeignKeyConstraint(["command_id"], ["commands.id"], name=op.f("fk_tags_command_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("id_tag_key", name=op.f("uq_tags_id_tag_key")),
    )
    op.execute("INSERT INTO tags SELECT * FROM tags_before")
    op.drop_table("tags_before")


def upgrade() -> None:
    op.execute("ALTER TABLE chargers RENAME COLUMN previous_password_hash TO pending_password_hashes")
    op.add_column("chargers", sa.Column("box_since", utc()))
    cards(20, 255)
    # The new one first: the foreign key needs an index at any time.
    op.create_index(
        "ix_meter_values_charger_id_transaction_id", "meter_values", ["charger_id", "transaction_id", "id"]
    )
    op.drop_index("ix_meter_values_charger_id", "meter_values")


def downgrade() -> None:
    op.create_index("ix_meter_values_charger_id", "meter_values", ["charger_id", "id"])
    op.drop_index("ix_meter_values_charger_id_transaction_id", "meter_values")
    op.execute("DELETE FROM tags WHERE LENGTH(id_tag_key) > 20")
    cards(255, 20)
    op.drop_column("chargers", "box_since")
    op.execute("ALTER TABLE chargers RENAME COLUMN pending_password_hashes TO previous_password_hash")
