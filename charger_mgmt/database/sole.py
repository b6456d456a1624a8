"""One process at a time holds the chargers of a database.

A second one would take the first one's chargers for left behind and mark them disconnected. So a process takes
a lock before it serves: in MySQL a named one on a connection of its own, which the server gives up when that
connection ends or says nothing for LEASE seconds; with SQLite a lock on a file beside the database.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from typing import IO

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from ..clock import monotonic
from ..errors import AnotherProcess
from .faults import Fault, classify

log = logging.getLogger(__name__)

#: Seconds after which the server ends a connection whose process says nothing, and with it the lock.
LEASE = 20
#: Seconds between signs of life.
RENEW = 5.0
#: Seconds that a process waits for an earlier one to end, as when a deployment replaces it.
PATIENCE = LEASE + 5.0
#: Server-wide names hold at most 64 characters.
_NAME = "CONCAT('charger_mgmt:', LEFT(SHA2(DATABASE(), 256), 40))"


class SoleProcess:
    """This process's claim to be the only one. `take` first, `keep` every RENEW seconds, `release` at the end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: MySQL: the connection that has the lock, and its number on the server.
        self._connection: Connection | None = None
        self._number: int | None = None
        self._file: IO[str] | None = None
        #: Released for good: this process is ending.
        self._over = False
        #: This server has no such locks.
        self._impossible = False

    def take(self, patience: float = PATIENCE) -> None:
        """Take the lock, waiting for an earlier process to end.

        Raises AnotherProcess when there is one that does not, and SQLAlchemy's errors when the database is away.
        """
        deadline = monotonic() + patience
        told = False
        while not self._try():
            if monotonic() >= deadline:
                raise AnotherProcess(
                    f"Another process{self._holder()} is serving on this database. One at a time can: end it"
                    " first, or give this one another DATABASE_URL."
                )
            if not told:
                log.info("another process is serving on this database; waiting for it to end")
                told = True
            time.sleep(0.2)

    def keep(self) -> None:
        """Renew the lock, and take it again when the connection was lost.

        Raises AnotherProcess when another process has it by now. A database that is away is waited for.
        """
        if self._over or self._impossible or self._file is not None:
            return
        try:
            if self._connection is not None and self._has_it(self._connection):
                return
        except SQLAlchemyError as error:
            log.info("the connection that holds the database's lock was lost: %s", type(error).__name__)
        self._drop()
        try:
            if self._try() or self._over:
                return
        except SQLAlchemyError:
            return
        raise AnotherProcess(f"Another process{self._holder()} has taken over this database.")

    def release(self) -> None:
        """Let the next process in."""
        self._over = True
        self._drop()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _try(self) -> bool:
        if self._over or self._impossible or self._connection is not None or self._file is not None:
            return True
        if self._engine.dialect.name == "sqlite":
            return self._try_file()
        try:
            return self._try_server()
        except DBAPIError as error:
            fault = classify(error)
            if fault is Fault.CROWDED:  # an earlier process still has its connections
                return False
            if fault is not Fault.POISON:
                raise
            log.warning(
                "this database server has no locks, so a second process would not be noticed: %s", error.orig
            )
            self._impossible = True
            return True

    def _try_server(self) -> bool:
        conn = self._engine.connect()
        try:
            conn = _without_transactions(conn)
            conn.detach()  # the pool forgets it
            conn.exec_driver_sql(f"SET SESSION wait_timeout = {LEASE}")
            if not conn.scalar(text(f"SELECT GET_LOCK({_NAME}, 0)")) and not self._replaces_our_own(conn):
                conn.close()
                return False
            self._number = conn.scalar(text("SELECT CONNECTION_ID()"))
        except BaseException:
            conn.close()
            raise
        self._connection = conn
        return True

    def _replaces_our_own(self, conn: Connection) -> bool:
        """The server may not know yet that the connection which we had is dead."""
        holder = conn.scalar(text(f"SELECT IS_USED_LOCK({_NAME})"))
        if holder is None or holder != self._number:
            return False
        with contextlib.suppress(DBAPIError):
            conn.exec_driver_sql(f"KILL {int(holder)}")
        return bool(conn.scalar(text(f"SELECT GET_LOCK({_NAME}, 2)")))

    def _has_it(self, conn: Connection) -> bool:
        return bool(conn.scalar(text(f"SELECT IS_USED_LOCK({_NAME}) = CONNECTION_ID()")))

    def _holder(self) -> str:
        """Who has it, as far as the server tells."""
        if self._engine.dialect.name == "sqlite":
            return ""
        with contextlib.suppress(SQLAlchemyError), self._engine.connect() as conn:
            number = conn.scalar(text(f"SELECT IS_USED_LOCK({_NAME})"))
            for row in conn.execute(text("SHOW PROCESSLIST")):
                if row[0] == number:
                    return f" (connection {number} from {row[2]})"
        return ""

    def _try_file(self) -> bool:
        path = self._engine.url.database
        if not path or path == ":memory:":
            return True
        private = lambda name, flags: os.open(name, flags, 0o600)  # noqa: E731
        file = open(f"{path}-process", "a", opener=private)  # noqa: SIM115 — as long as the process
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def _drop(self) -> None:
        conn, self._connection = self._connection, None
        if conn is not None:
            with contextlib.suppress(SQLAlchemyError, OSError):
                conn.close()


def _without_transactions(conn: Connection) -> Connection:
    """SQLAlchemy does not name the driver's errors here."""
    driver = conn.dialect.dbapi
    assert driver is not None
    try:
        return conn.execution_options(isolation_level="AUTOCOMMIT")
    except driver.Error as error:
        raise OperationalError("autocommit", None, error) from error
