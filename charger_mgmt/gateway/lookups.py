"""Who is that? One statement answers all who ask while the one before it was under way: a whole site dials at once."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import gevent
from gevent.event import AsyncResult
from sqlalchemy import Row

from ..database import chargers
from ..database.database import Database
from ..errors import DatabaseAway

#: Seconds that somebody stands in line; a charger's own patience is not much longer.
_PATIENCE: Final = 10.0
#: Seconds from one statement to the next: a statement costs the more the fewer it is for.
_GATHER: Final = 0.01
#: Identities in one statement.
_PORTION: Final = 200


class LookUps:
    """Finds chargers' rows for those who dial, one statement at a time: the committer must still get its connections."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[str, AsyncResult]] = deque()
        self._at_work = False

    def find(self, identity: str) -> Row[Any] | None:
        """The charger's row, with what decides about its socket (chargers.ADMITTED). Raises DatabaseAway."""
        answer = AsyncResult()
        self._waiting.append((identity, answer))
        if not self._at_work:
            self._at_work = True
            gevent.spawn(self._work)
        try:
            row: Row[Any] | None = answer.get(timeout=_PATIENCE)
        except gevent.Timeout:
            raise DatabaseAway("too many chargers are dialing in at once") from None
        return row

    def _work(self) -> None:
        try:
            while self._waiting:
                portion = [self._waiting.popleft() for _ in range(min(_PORTION, len(self._waiting)))]
                self._answer(portion)
                gevent.sleep(_GATHER)
        finally:
            self._at_work = False

    def _answer(self, portion: list[tuple[str, AsyncResult]]) -> None:
        """Never raises: each of them gets a row, None, or what went wrong."""
        try:
            if not self._database.available:  # it went away while they stood in line
                raise DatabaseAway
            with self._database.reading() as conn:
                rows = chargers.by_identities(conn, [identity for identity, _ in portion])
        except Exception as error:
            if len(portion) > 1 and not isinstance(error, DatabaseAway):
                for one in portion:  # a name that the database does not take is its bearer's trouble alone
                    self._answer([one])
                return
            for _, answer in portion:
                answer.set_exception(error)
        else:
            for identity, answer in portion:
                answer.set(rows.get(identity))
