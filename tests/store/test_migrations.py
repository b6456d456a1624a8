"""The migrations: up, down and up again on both databases, and the same tables as the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Connection, inspect, text

import config
from charger_mgmt import create_app
from charger_mgmt.extensions import db

from ..conftest import dispose
from ..support.mariadb import DatabaseServer
from ..support.settings import settings_for

TABLES = set(db.metadata.tables)


@pytest.fixture
def bare_app(bare_database_url: str) -> Iterator[Flask]:
    """The application on a database without tables, its context pushed."""
    app = create_app(settings_for(bare_database_url))
    with app.app_context():
        yield app
    dispose(app)


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def shape(conn: Connection) -> dict[str, Any]:
    """Everything that the database itself says about the tables, in a form that can be compared."""
    if conn.dialect.name == "sqlite":
        rows = conn.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: _parts(sql) for name, sql in rows if name != "alembic_version"}
    return {name: _parts(conn.execute(text(f"SHOW CREATE TABLE {name}")).one()[1]) for name in TABLES}


def _parts(sql: str) -> list[str]:
    """Columns and keys of a CREATE statement, whatever their order, and what stands around them."""
    beginning, _, rest = sql.partition("(")
    inside, _, ending = rest.rpartition(")")
    parts, depth = [""], 0
    for character in inside:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:  # a column that was added later stands on no line of its own
            parts.append("")
        else:
            parts[-1] += character
    return sorted(" ".join(part.split()) for part in [beginning, *parts, ending])


def test_upgrade_makes_every_table(bare_app: Flask) -> None:
    upgrade()
    assert tables() == TABLES


def test_downgrade_leaves_nothing_and_the_way_up_again_is_open(bare_app: Flask) -> None:
    upgrade()
    downgrade(revision="base")
    assert tables() == set()
    upgrade()
    assert tables() == TABLES


def test_downgrade_works_with_rows_that_refer_to_each_other(bare_app: Flask) -> None:
    upgrade()
    moment = "2026-01-01 00:00:00"
    with db.engine.begin() as conn:
        for statement in (
            f"INSERT INTO chargers (id, identity, created_at) VALUES (1, 'CP1', '{moment}')",
            "INSERT INTO transactions (id, charger_id, status, start_received_at, effective_start)"
            f" VALUES (1, 1, 'In Progress', '{moment}', '{moment}')",
            "INSERT INTO commands (id, charger_id, action, payload, state, message_id, requested_by, created_at,"
            f" transaction_id) VALUES (1, 1, 'Reset', '{{}}', 'queued', 'm', 'system', '{moment}', 1)",
            "INSERT INTO tags (id, id_tag, id_tag_key, status, created_at, command_id)"
            f" VALUES (1, 'A', 'a', 'Accepted', '{moment}', 1)",
        ):
            conn.exec_driver_sql(statement)
    downgrade(revision="base")
    assert tables() == set()


def test_a_second_upgrade_changes_nothing(bare_app: Flask) -> None:
    upgrade()
    with db.engine.connect() as conn:
        before = shape(conn)
    upgrade()
    with db.engine.connect() as conn:
        assert shape(conn) == before


def test_migrations_make_what_the_models_say(bare_app: Flask) -> None:
    upgrade()
    with db.engine.connect() as conn:
        migrated = shape(conn)
        differences = compare_metadata(
            MigrationContext.configure(conn, opts={"compare_type": True}), db.metadata
        )
    downgrade(revision="base")
    db.metadata.create_all(db.engine)
    with db.engine.connect() as conn:
        assert migrated == shape(conn)
    assert differences == []


def test_the_statements_can_be_printed_for_a_database_administrator(
    bare_app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade(sql=True)
    printed = capsys.readouterr().out
    assert "CREATE TABLE transactions" in printed
    assert tables() == set()


def test_there_is_one_newest_migration() -> None:
    assert len(ScriptDirectory(str(config.ROOT / "migrations")).get_heads()) == 1


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("chargers", ("status", "identity")),
        ("sightings", ("silent", "seen_at")),
        ("transactions", ("charger_id", "effective_start", "id")),
        ("transactions", ("effective_start", "id")),
        ("transactions", ("status", "charger_id")),
        ("transactions", ("charger_id", "status")),
        ("meter_values", ("transaction_id", "id")),
        ("commands", ("charger_id", "id")),
        ("status_history", ("charger_id", "id")),
        ("charger_events", ("charger_id", "id")),
    ],
)
def test_every_list_has_its_index(app: Flask, table: str, columns: tuple[str, ...]) -> None:
    with app.app_context():
        indexes = inspect(db.engine).get_indexes(table)
    assert columns in {tuple(index["column_names"]) for index in indexes}


def test_foreign_keys_are_in_force(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as conn, pytest.raises(Exception, match=r"(?i)foreign key"):
        conn.exec_driver_sql(
            "INSERT INTO status_history (charger_id, status, received_at) VALUES (99, 'Available', '2026-01-01')"
        )


@pytest.fixture
def columns(database_server: DatabaseServer, _shared_mariadb_url: str) -> dict[str, tuple[str, str | None]]:
    """MariaDB's own word for each column: "table.column" → (type, collation)."""
    name = _shared_mariadb_url.rpartition("/")[2].partition("?")[0]
    rows = database_server.execute(
        "SELECT CONCAT(table_name, '.', column_name), column_type, collation_name"
        f" FROM information_schema.columns WHERE table_schema = '{name}'"
    )
    return {column: (kind, collation) for column, kind, collation in rows}


@pytest.mark.mariadb
@pytest.mark.parametrize(
    "column", ["chargers.identity", "transactions.session_id", "tags.id_tag_key", "users.username"]
)
def test_names_are_compared_byte_for_byte_in_mariadb(columns: dict[str, Any], column: str) -> None:
    assert columns[column][1] == "utf8mb4_bin"


@pytest.mark.mariadb
def test_times_have_milliseconds_in_mariadb(columns: dict[str, Any]) -> None:
    times = {kind for kind, _ in columns.values() if kind.startswith(("datetime", "timestamp"))}
    assert times == {"datetime(3)"}


@pytest.mark.mariadb
def test_keys_are_sixteen_bytes_in_mariadb(columns: dict[str, Any]) -> None:
    kinds = {
        columns[name][0]
        for name in ("transactions.start_key", "meter_values.sample_key", "inbox.message_key")
    }
    assert kinds == {"binary(16)"}


@pytest.mark.mariadb
def test_text_is_utf8mb4_in_mariadb_whatever_the_database_was_made_with(
    database_server: DatabaseServer,
) -> None:
    url = database_server.create_database()
    name = url.rpartition("/")[2].partition("?")[0]
    database_server.execute(f"ALTER DATABASE {name} CHARACTER SET latin1")
    app = create_app(settings_for(url))
    with app.app_context():
        upgrade()
    dispose(app)
    others = database_server.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        f" WHERE table_schema = '{name}' AND table_name <> 'alembic_version'"
        " AND character_set_name <> 'utf8mb4'"
    )
    engines = database_server.execute(
        f"SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = '{name}'"
    )
    assert others == []
    assert engines == [("InnoDB",)]
