"""Sites, roles, accounts of an outside provider, keys, and the audit trail.

Every account that exists becomes an admin: until now each might do everything.

Revision: 0009
Follows: 0008
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
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
        "sites",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("name", exact(255), nullable=False),
        sa.Column("address", sa.String(255)),
        sa.Column("city", sa.String(255)),
        sa.Column("postal_code", sa.String(32)),
        sa.Column("country", sa.String(2)),
        sa.Column("latitude", sa.Numeric(9, 6)),
        sa.Column("longitude", sa.Numeric(9, 6)),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("created_at", utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
        sa.UniqueConstraint("name", name=op.f("uq_sites_name")),
        sqlite_autoincrement=True,
        **_TABLE,
    )
    op.add_column("chargers", sa.Column("site_id", big_id()))
    op.create_index("ix_chargers_site_id_identity", "chargers", ["site_id", "identity"])
    op.add_column("users", sa.Column("role", sa.String(16), server_default="viewer", nullable=False))
    op.execute("UPDATE users SET role = 'admin'")
    op.add_column("users", sa.Column("sites", sa.JSON()))
    op.add_column("users", sa.Column("issuer", exact(255)))
    op.add_column("users", sa.Column("subject", exact(255)))
    op.create_index("ix_users_issuer_subject", "users", ["issuer", "subject"], unique=True)
    op.add_column("log_ins", sa.Column("user_agent", sa.String(255)))
    op.create_table(
        "api_keys",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("user_id", big_id(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("key_hash", exact(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("sites", sa.JSON()),
        sa.Column("created_at", utc(), nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.Column("expires_at", utc(), nullable=False),
        sa.Column("last_used_at", utc()),
        sa.Column("last_used_from", sa.String(64)),
        sa.Column("ended_at", utc()),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        **_TABLE,
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "audit",
        sa.Column("id", big_id(), nullable=False),
        sa.Column("at", utc(), nullable=False),
        sa.Column("username", exact(80)),
        sa.Column("by", sa.String(16)),
        sa.Column("key_id", sa.BigInteger()),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("target", sa.String(500), nullable=False),
        sa.Column("details", sa.JSON()),
        sa.Column("result", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        **_TABLE,
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_username", "audit", ["username", "id"])
    op.create_index("ix_audit_action", "audit", ["action", "id"])


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("api_keys")
    op.drop_column("log_ins", "user_agent")
    # Accounts without a password cannot log in where nothing but a password is known.
    # Who might not do everything must not: roles are not known there.
    op.execute(
        "UPDATE users SET active = false WHERE password_hash = '' OR role <> 'admin' OR sites IS NOT NULL"
    )
    op.drop_index("ix_users_issuer_subject", "users")
    for column in ("subject", "issuer", "sites", "role"):
        op.drop_column("users", column)
    op.drop_index("ix_chargers_site_id_identity", "chargers")
    op.drop_column("chargers", "site_id")
    op.drop_table("sites")
