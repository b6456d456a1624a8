"""Chargers' messages straight into the committer, without sockets: on SQLite and on MariaDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import gevent
import pytest
from sqlalchemy import create_engine, select

from charger_mgmt import clock
from charger_mgmt.database import bulk
from charger_mgmt.database.database import Database
from charger_mgmt.database.models import Base, Tag
from charger_mgmt.domain import dialect
from charger_mgmt.domain.facts import Comes
from charger_mgmt.domain.outcomes import Opened
from charger_mgmt.feed import Feed
from charger_mgmt.intake.committer import Committer, Ticket
from charger_mgmt.intake.messages import CONNECT, ChargerMessage, FollowUp, Reply
from charger_mgmt.serving.handlers import HANDLERS
from tests.live.support import until
from tests.support.messages import gone, message, spoken
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


class Answered(NamedTuple):
    """What a message was answered, in OCPP's words, and what is due after it."""

    payload: dict[str, Any]
    follow_ups: tuple[FollowUp, ...]
    outcome: Any


class Charger:
    """One charger's messages, with defaults."""

    def __init__(self, central: Central, identity: str, flat: bool) -> None:
        self.central = central
        self.identity = identity
        self.flat = flat
        self.id = 0
        self.generation = 0

    def says(self, action: str, payload: dict[str, Any], **changes: Any) -> ChargerMessage:
        """The message, not yet sent."""
        return message(self.id, self.identity, action, payload, is_flat=self.flat, **changes)

    def sends(self, action: str, payload: dict[str, Any], **changes: Any) -> Answered:
        reply = self.central.committer.submit(self.says(action, payload, **changes))
        return Answered(spoken(reply), reply.follow_ups, reply.outcome)

    def comes(self) -> ChargerMessage[Comes]:
        speaks = dialect.FLAT if self.flat else dialect.OCPP16
        return ChargerMessage(
            CONNECT, 0, self.identity, Comes(speaks.name, "here"), clock.now(), dialect=speaks
        )

    def connects(self) -> Opened:
        opened = self.central.committer.submit(self.comes()).outcome
        self.id, self.generation = opened.charger_id, opened.generation
        return opened

    def disconnects(self, generation: int, reason: str = "gone") -> None:
        self.central.committer.submit(gone(self.id, self.identity, generation, reason))

    def boots(self, **fields: Any) -> dict[str, Any]:
        payload = {"chargePointVendor": "ChargerCo", "chargePointModel": "EVChargerX"} | fields
        return self.sends("BootNotification", payload).payload

    def reports(self, connector: int, status: str, **fields: Any) -> None:
        payload = {"connectorId": connector, "status": status, "errorCode": "NoError"} | fields
        self.sends("StatusNotification", payload)

    def start(self, at: datetime | str | None = None, **fields: Any) -> ChargerMessage:
        payload = {"connectorId": 1, "idTag": "CARD-9", "meterStart": 1000, "timestamp": text(at)} | fields
        return self.says("StartTransaction", {k: v for k, v in payload.items() if v is not None})

    def starts(self, at: datetime | str | None = None, **fields: Any) -> dict[str, Any]:
        return spoken(self.central.committer.submit(self.start(at, **fields)))

    def stop(
        self, transaction: int | None, at: datetime | str | None = None, **fields: Any
    ) -> ChargerMessage:
        payload = {"transactionId": transaction, "meterStop": 9000, "timestamp": text(at)} | fields
        return self.says("StopTransaction", {k: v for k, v in payload.items() if v is not None})

    def stops(
        self, transaction: int | None, at: datetime | str | None = None, **fields: Any
    ) -> dict[str, Any]:
        return spoken(self.central.committer.submit(self.stop(transaction, at, **fields)))

    def meters(
        self, transaction: int | None, *values: Any, at: datetime | str | None = None, **fields: Any
    ) -> None:
        sampled = [value if isinstance(value, dict) else {"value": str(value)} for value in values]
        payload = {
            "connectorId": 1,
            "transactionId": transaction,
            "meterValue": [{"timestamp": text(at), "sampledValue": sampled}],
        } | fields
        self.sends("MeterValues", {k: v for k, v in payload.items() if v is not None})


def text(moment: datetime | str | None) -> str:
    if isinstance(moment, str):
        return moment
    return (moment or clock.now()).isoformat().replace("+00:00", "Z")


def ago(**parts: float) -> datetime:
    """A moment before now: ago(hours=2)."""
    return clock.now() - timedelta(**parts)


@pytest.fixture
def central(database_url: str, request: pytest.FixtureRequest) -> Iterator[Central]:
    made = Central(database_url, **marked(request))
    yield made
    made.ends()
