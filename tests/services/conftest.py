"""Chargers' messages straight into the committer, without sockets: on SQLite and on MariaDB."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import gevent
import pytest
from sqlalchemy import create_engine, select

from charger_mgmt import clock
from charger_mgmt.services.batch_services import BATCH_SERVICES
from charger_mgmt.services.committer import Committer, Ticket
from charger_mgmt.services.feed import Feed
from charger_mgmt.services.inbound import ChargerMessage, Reply
from charger_mgmt.store import bulk
from charger_mgmt.store.database import Database
from charger_mgmt.store.models import Base, Tag
from tests.live.support import until
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
        self.committer = Committer(self.database, self.settings, BATCH_SERVICES, self.feed)
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
        answered: list[Ticket] = []
        for message in messages:  # nobody commits before we wait
            self.committer.begin(message, answered.append)
        until(lambda: len(answered) == len(messages))
        by_message = {id(ticket.message): ticket for ticket in answered}
        return [by_message[id(message)].take().payload for message in messages]


class Charger:
    """One charger's messages, with defaults."""

    _ids = itertools.count(1)

    def __init__(self, central: Central, identity: str, flat: bool) -> None:
        self.central = central
        self.identity = identity
        self.flat = flat
        self.id = 0
        self.generation = 0

    def says(self, action: str, payload: dict[str, Any], **changes: Any) -> ChargerMessage:
        """The message, not yet sent."""
        return ChargerMessage(
            action=action,
            charger_id=self.id,
            identity=self.identity,
            payload=payload,
            raw=json.dumps(payload, default=str),
            message_id=f"m{next(self._ids)}",
            received_at=changes.pop("received_at", clock.now()),
            flat=self.flat,
            **changes,
        )

    def sends(self, action: str, payload: dict[str, Any], **changes: Any) -> Reply:
        return self.central.committer.submit(self.says(action, payload, **changes))

    def connects(self) -> dict[str, Any]:
        dialect = "flat" if self.flat else "ocpp1.6"
        reply = self.sends("Connect", {"dialect": dialect, "process_id": "here"}).payload
        self.id, self.generation = reply["charger_id"], reply["generation"]
        return reply

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
        return self.central.committer.submit(self.start(at, **fields)).payload

    def stop(
        self, transaction: int | None, at: datetime | str | None = None, **fields: Any
    ) -> ChargerMessage:
        payload = {"transactionId": transaction, "meterStop": 9000, "timestamp": text(at)} | fields
        return self.says("StopTransaction", {k: v for k, v in payload.items() if v is not None})

    def stops(
        self, transaction: int | None, at: datetime | str | None = None, **fields: Any
    ) -> dict[str, Any]:
        return self.central.committer.submit(self.stop(transaction, at, **fields)).payload

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
