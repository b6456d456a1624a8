"""Database connections: one set for REST (flask-sqlalchemy's), one for the chargers' side."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from datetime import datetime
from typing import Any

from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from pymysql.err import InterfaceError, OperationalError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool

from .. import clock
from ..settings import Settings

#: How PyMySQL reads what the server sends. Its own way with a time, a regular expression and seven
#: conversions, takes twenty times as long; no `sql_mode` of ours lets a time be stored that is none.
_CONVERSIONS = conversions | {FIELD_TYPE.DATETIME: datetime.fromisoformat}


#: Seconds for which a lock is waited for, if a statement may take so long.
_LOCK_WAIT = 5
#: Seconds after which a connection is replaced, and the server ends one that nobody uses: the host may be gone.
_KEPT, _UNUSED = 1800, 1900
#: The same with MySQL.
_MYSQL_KEPT, _MYSQL_UNUSED = 20, 30


def options(settings: Settings) -> dict[str, Any]:
    """Engine options for the configured database (REST's connections)."""
    if is_sqlite(settings):
        _keep_private(make_url(settings.database_url.url).database)
        return {"hide_parameters": True, "connect_args": {"timeout": 10}}
    timeout = settings.database_timeout
    return {
        "hide_parameters": True,  # hashes of passwords and keys are among them
        "isolation_level": "READ COMMITTED",
        "pool_size": settings.rest_connections,
        "max_overflow": 0,
        "pool_timeout": timeout,
        "pool_pre_ping": True,
        "pool_recycle": _KEPT,
        "connect_args": {
            "connect_timeout": min(5, timeout),
            "read_timeout": timeout,
            "write_timeout": timeout,
            "conv": _CONVERSIONS,
            **_encryption(settings.database_url.tls),
            # Times are UTC, bad values are errors, on every server alike.
            "init_command": "SET SESSION time_zone='+00:00',"
            " sql_mode='STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
            f"NO_ENGINE_SUBSTITUTION', {_patience(timeout)}",
        },
    }


def _patience(statement_timeout: int) -> str:
    """What the server waits for.

    A host that vanishes in the middle of a transaction must not hold its locks for hours (TCP notices nothing), or all others
    wait for it: MariaDB ends such a transaction before others give up waiting, MySQL, which cannot, the connection.
    """
    lock_wait = max(1, min(_LOCK_WAIT, statement_timeout - 1))
    return (
        f"innodb_lock_wait_timeout={lock_wait}"
        f" /*M!100300 , wait_timeout={_UNUSED}, idle_transaction_timeout={max(1, lock_wait - 1)} */"
        f" /*!80000 , wait_timeout={_MYSQL_UNUSED} */"
    )


def _keep_private(file: str | None) -> None:
    """A SQLite file is its owner's alone; the files beside it get its rights from SQLite."""
    if not file or file == ":memory:":
        return
    with contextlib.suppress(OSError):  # it cannot be made, or is another's: connecting says so
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(file, 0o600)


def _encryption(tls: ssl.SSLContext | bool | None) -> dict[str, Any]:
    """PyMySQL's arguments: with a context it refuses a server that does not encrypt; by default it encrypts
    where the server can, and looks at no certificate."""
    if tls is None:
        return {}
    return {"ssl": tls} if isinstance(tls, ssl.SSLContext) else {"ssl_disabled": True}


def is_sqlite(settings: Settings) -> bool:
    return make_url(settings.database_url.url).get_backend_name() == "sqlite"


def create(settings: Settings) -> Engine:
    """The chargers' engine. Every transaction of it may write, so on SQLite it locks at its begin."""
    chosen = options(settings)
    if is_sqlite(settings):
        return create_engine(
            settings.database_url.url,
            execution_options={"sqlite_begin": "BEGIN IMMEDIATE"},
            **chosen,
        )
    chosen |= {"pool_size": settings.charger_connections, "pool_pre_ping": False}
    return create_engine(settings.database_url.url, **chosen)


def _calmly(record: logging.LogRecord) -> bool:
    """A connection that died before it was returned is replaced; that deserves a line, not a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, OperationalError | InterfaceError):
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "a database connection was lost: %s", (error,)
    return True


logging.getLogger("sqlalchemy.pool.impl.QueuePool").addFilter(_calmly)


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    if type(connection).__module__.partition(".")[0] != "sqlite3":
        return
    connection.isolation_level = None  # SQLAlchemy's begin, not the driver's guess
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@event.listens_for(Pool, "checkout")
def _replace_before_mysql_does(connection: Any, record: Any, _proxy: Any) -> None:
    """MySQL ends connections that were not used for a while."""
    now = clock.monotonic()
    used, record.info["used"] = record.info.get("used", now), now
    if now - used > _MYSQL_KEPT and "MariaDB" not in getattr(connection, "server_version", "MariaDB"):
        raise DisconnectionError


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
