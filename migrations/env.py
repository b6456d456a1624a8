"""Runs the migrations on the application's own engine: `flask db upgrade`."""

from contextlib import contextmanager
from typing import Any

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy.exc import OperationalError

from charger_mgmt.database import faults

migrate = current_app.extensions["migrate"]
options: dict[str, Any] = {
    "target_metadata": migrate.db.metadata,
    "compare_type": True,
    **migrate.configure_args,
}


@contextmanager
def foreign_keys_off(connection: Any) -> Any:
    """SQLite changes a table by copying it: dropping the old one must not touch what refers to it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection.driver_connection  # the pragma does nothing inside a transaction
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


if context.is_offline_mode():
    url = migrate.db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    try:
        connection = migrate.db.engine.connect()
    except OperationalError as error:
        raise CommandError(faults.explain(error)) from error
    with connection, foreign_keys_off(connection):
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
