"""Chargers' messages straight into the committer, without sockets: on SQLite and on MariaDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gevent
import pytest
from sqlalchemy import create_engine, select

from charger_mgmt import clock
from charger_mgmt.database import bulk
from charger_mgmt.database.database import Database
from charger_mgmt.database.models import Base, Tag
from charger_mgmt.feed import Feed
from charger_mgmt.intake.committer import Committer, Ticket
from charger_mgmt.intake.messages import ChargerMessage, Reply
from charger_mgmt.serving.handlers import HANDLERS
from tests.live.support import until
from tests.support.messages import Charger, spoken
from tests.support.settings import marked, settings_for


class Central:
    """A committer on a fresh database, and the questions that tests ask of the tables."""

    def __init__(self, database_url: str, **settings: Any) -> None:
        self.settings = settings_for(database_url, **settings)
        self.database = Database(self.settings, rest=create_engine(database_url))
        self.engine = self.database.engine
        self.feed = Feed()
        self._committing: list[gevent.Greenlet] = []
        self.starts_committing()

    def starts_committing(self, **changes: Any) -> None:
        """With a committer whose settings may differ."""
        gevent.killall(self._committing)
        self.settings = replace(self.settings, **changes)
        self.committer = Committer(self.database, self.settings, HANDLERS, self.feed)
        self._committing = self.committer.start()

    def ends(self) -> None:
        gevent.killall(self._committing)
        self.engine.dispose()

    def charger(self, identity: str = "CP1", *, flat: bool = False) -> Charger:
        charger = Charger(self, identity, flat)
        charger.connects()
        return charger

    def rows(self, model: type[Base], **where: Any) -> list[Any]:
        """All rows of a table in order of their key, as named tuples."""
        table = model.__table__
        query = select(table).order_by(*table.primary_key.columns)
        for column, value in where.items():
            query = query.where(table.c[column] == value)
        with self.engine.begin() as conn:
            return list(conn.execute(query))

    def row(self, model: type[Base], **where: Any) -> Any:
        (row,) = self.rows(model, **where)
        return row

    def knows_tag(self, id_tag: str, status: str = "Accepted", **values: Any) -> None:
        row = {"id_tag": id_tag, "id_tag_key": id_tag.lower(), "status": status, "created_at": clock.now()}
        with self.engine.begin() as conn:
            bulk.insert(conn, Tag.__table__, [row | values])

    def together(self, *messages: ChargerMessage) -> list[dict[str, Any]]:
        """The messages in one batch; their answers."""
        return [spoken(reply) for reply in self.submit_together(messages)]

    def submit_together(self, messages: Sequence[ChargerMessage[Any]]) -> list[Reply]:
        answered: list[Ticket] = []
        for each in messages:  # nobody commits before we wait
            self.committer.begin(each, answered.append)
        until(lambda: len(answered) == len(messages))
        by_message = {id(ticket.message): ticket for ticket in answered}
        return [by_message[id(each)].take() for each in messages]


@pytest.fixture
def central(database_url: str, request: pytest.FixtureRequest) -> Iterator[Central]:
    made = Central(database_url, **marked(request))
    yield made
    made.ends()
