"""The one database of a process: both sets of connections, and whether it takes writes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import gevent
from sqlalchemy import Connection, Engine

from .. import clock
from ..settings import Settings
from . import connections, engine, room, watch
from .faults import first_line

log = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
#: The longest pause between test writes, when the database has gone away again and again.
LONGEST_PROBE_SECONDS = 15.0
#: A database that goes away again within this time was not really back.
RELAPSE_SECONDS = 30.0


class Database:
    """`engine` has the chargers' connections and `rest` flask-sqlalchemy's: neither side waits for the other's."""

    def __init__(self, settings: Settings, rest: Engine) -> None:
        self.engine = engine.create(settings)
        self.rest = rest
        # On SQLite a transaction of the chargers' takes the write lock, which one that only reads does not need.
        self._reading = self.engine.execution_options(sqlite_begin="BEGIN")
        self._connections = settings.charger_connections
        #: False while the database does not take commits: upgrades are refused meanwhile.
        self.available = True
        #: When the database last came back from an outage (monotonic seconds); None: it was never away.
        self.returned_at: float | None = None
        #: Called once when the database takes writes again.
        self.on_return: list[Callable[[], None]] = []
        self._prober: Any = None
        #: Seconds between test writes.
        self._pause = PROBE_SECONDS

    @property
    def since_return(self) -> float | None:
        """Seconds since the database last came back from an outage; None: it was never away."""
        return None if self.returned_at is None else clock.monotonic() - self.returned_at

    def reading(self) -> AbstractContextManager[Connection]:
        """One of the chargers' connections, to read with. Raises DatabaseAway."""
        return connections.reading(self._reading)

    def writing(self) -> AbstractContextManager[Connection]:
        """One of the chargers' connections, which commits when the block ends well. Raises DatabaseAway."""
        return connections.writing(self.engine)

    def warm(self) -> None:
        """Open the chargers' connections now, so that nobody else can have them later."""
        room.warm(self.engine, self._connections)

    def is_away(self, error: BaseException) -> None:
        """Note that the database does not take writes; a test write finds out when it does again."""
        if self.available:
            self.available = False
            log.error("the database is away, chargers are turned away: %s", first_line(error))
        if not self._prober:
            self._prober = gevent.spawn(self._probe_until_back)

    def _probe_until_back(self) -> None:
        self.engine.dispose()
        # A full disk may let the test write pass and refuse the next session: then probe ever more slowly.
        back = self.returned_at
        relapsed = back is not None and clock.monotonic() - back < RELAPSE_SECONDS
        self._pause = min(2 * self._pause, LONGEST_PROBE_SECONDS) if relapsed else PROBE_SECONDS
        while True:
            gevent.sleep(self._pause)
            try:
                with self.engine.begin() as conn:
                    watch.test_write(conn)
                break
            except Exception as error:
                log.info("the database is still away: %s", first_line(error))
        self._prober = None
        self.warm()
        self.returned_at = clock.monotonic()
        self.available = True
        log.warning("the database takes writes again")
        for tell in list(self.on_return):
            tell()
