"""Local authorization lists, kept like the tags.

Revision: 0011
Follows: 0010
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


def big_id() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


_TABLE = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4"}


def upgrade() -> None:
    op.create_table(
        "local_lists",
        sa.Column("charger_id", big_id(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("revision", sa.BigInteger()),
        sa.Column("wanted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("answer", sa.String(255)),
        sa.Column("answered_at", utc()),
        sa.Column("tried_at", utc()),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], name=op.f("fk_local_lists_charger_id")),
        sa.PrimaryKeyConstraint("charger_id", name=op.f("pk_local_lists")),
        **_TABLE,
    )
    op.create_table(
        "tag_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_revision")),
        **_TABLE,
    )
    op.add_column("tags", sa.Column("revision", sa.BigInteger()))
    op.create_index("ix_tags_revision", "tags", ["revision"])
    op.execute("INSERT INTO tag_revision (id, value) VALUES (1, 1)")
    op.execute("UPDATE tags SET revision = 1 WHERE command_id IS NULL")


def downgrade() -> None:
    op.drop_index("ix_tags_revision", "tags")
    op.drop_column("tags", "revision")
    op.drop_table("tag_revision")
    op.drop_table("local_lists")
