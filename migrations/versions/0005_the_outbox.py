"""Commands have a deadline: what could not be sent until then is not sent any more.

Revision: 0005
Follows: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def utc() -> Any:
    """UTC with milliseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("commands", sa.Column("expires_at", utc()))


def downgrade() -> None:
    with op.batch_alter_table("commands") as table:
        table.drop_column("expires_at")
