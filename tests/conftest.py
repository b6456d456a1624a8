"""The ground the tests stand on: databases, the application, a real server.

In-memory tests use `app`, `client` and `auth`; tests over the wire use `server`. Each runs on SQLite and on
MariaDB. `@pytest.mark.settings(charger_onboarding="closed")` changes the application's settings; a module's
`SERVER_ENVIRON = {...}` the environment of its server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy.engine import make_url

from charger_mgmt import create_app
from charger_mgmt.access import accounts
from charger_mgmt.extensions import db
from charger_mgmt.serving.process import process_of

from .support.mariadb import DatabaseServer, MariaDB, mariadb_is_installed
from .support.server import PASSWORD, USERNAME, GunicornServer
from .support.settings import all_variables, marked, settings_for

pytest_plugins = ["tests.support.chargers"]

# What the developer has set for his own server must not colour the tests.
for name in all_variables():
    os.environ.pop(name, None)
os.environ["ENV_FILE"] = os.devnull
os.environ["FLASK_SKIP_DOTENV"] = "1"
os.environ["JWT_SECRET_KEY"] = "tests-only-secret-" + "x" * 32


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs over the wire; leave out what kills a database server when none is ours to kill."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.wire)
    if os.environ.get("TEST_DATABASE_URL") and not os.environ.get("CI") and not mariadb_is_installed():
        deadly = [item for item in items if "mariadb" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=deadly)
        items[:] = [item for item in items if item not in deadly]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: nothing may go untested in silence."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and (skipped := reporter.stats.get("skipped")):
        reporter.write_line(f"CI: {len(skipped)} tests were skipped, which counts as a failure", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# Databases


@pytest.fixture(scope="session", params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def backend(request: pytest.FixtureRequest) -> str:
    """Which database: "sqlite" or "mariadb"."""
    return request.param


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """A MariaDB server for this test run: a private one, or the one that TEST_DATABASE_URL names."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        server = DatabaseServer(url)
        yield server
        server.drop_databases()
        return
    with MariaDB() as private:
        yield private


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    """A private server that a test may kill, freeze and start again."""
    with MariaDB() as private:
        yield private


@pytest.fixture
def bare_database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A new database without any table."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.sqlite3'}"
    return request.getfixturevalue("database_server").create_database()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "migrated.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _shared_mariadb_url(database_server: DatabaseServer) -> str:
    url = database_server.create_database()
    migrate(url)
    return url


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database with all tables and no rows."""
    if backend == "sqlite":
        path = tmp_path / "chargers.sqlite3"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        return f"sqlite:///{path}"
    url = request.getfixturevalue("_shared_mariadb_url")
    _empty(request.getfixturevalue("database_server"), make_url(url).database or "")
    return url


def migrate(url: str) -> None:
    """Upgrade a database to the newest version."""
    app = create_app(settings_for(url))
    with app.app_context():
        upgrade()
    dispose(app)


def dispose(app: Flask) -> None:
    """Close every database connection of an application."""
    database = process_of(app).central.database
    database.engine.dispose()
    database.rest.dispose()


def _empty(server: DatabaseServer, database: str) -> None:
    with server.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks=0")
        for table in db.metadata.tables:
            cursor.execute(f"DELETE FROM {table}")


# The application, in memory


@pytest.fixture
def app(database_url: str, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application on a fresh database, with no greenlets running but those that commit."""
    app = create_app(settings_for(database_url, **marked(request)))
    app.testing = True
    committing = process_of(app).central.committer.start()
    yield app
    gevent.killall(committing)
    dispose(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Calls the REST API; send `auth` along."""
    return app.test_client()


@pytest.fixture
def auth(app: Flask, client: FlaskClient) -> dict[str, str]:
    """The headers of a logged-in operator."""
    with app.app_context():
        accounts.create(db.engine, USERNAME, PASSWORD, role="admin")
    login = client.post("/api/auth/login", json={"username": USERNAME, "password": PASSWORD})
    assert login.status_code == 200, login.text
    return {"Authorization": f"Bearer {login.json['accessToken']}"}


# The real server


@pytest.fixture(scope="module")
def server(backend: str, request: pytest.FixtureRequest) -> Iterator[GunicornServer]:
    """gunicorn on a database of its own; at the end its log must hold nothing alarming."""
    if backend == "sqlite":
        folder = request.getfixturevalue("tmp_path_factory").mktemp("server")
        url = f"sqlite:///{folder / 'chargers.sqlite3'}"
    else:
        url = request.getfixturevalue("database_server").create_database()
    with GunicornServer(url, getattr(request.module, "SERVER_ENVIRON", {})) as running:
        yield running
        assert running.alarms() == []
