"""Chargers' messages straight into the committer, without sockets: on SQLite and on MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

import config
from charger_mgmt import clock
from charger_mgmt.domain import dialect
from charger_mgmt.domain.facts import Comes
from charger_mgmt.domain.outcomes import Opened
from charger_mgmt.services.committer import Committer
from charger_mgmt.services.inbound import CONNECT, ChargerMessage, FollowUp
from charger_mgmt.store import bulk, engine
from charger_mgmt.store.models import Base, Tag
from tests.support.messages import gone, message, spoken


class Central:
    """A committer on a fresh database, and the questions that tests ask of the tables."""

    def __init__(self, database_url: str, **settings: Any) -> None:
        read = config.load({"DATABASE_URL": database_url, "JWT_SECRET_KEY": "x" * 40})
        self.settings = read | settings
        self.engine = engine.create(self.settings)
        self.committer = Committer(self.engine, self.settings)

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
        return [spoken(reply) for reply in self.committer.submit_together(messages)]


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
    settings: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("settings"))):
        settings |= marker.kwargs
    made = Central(database_url, **settings)
    yield made
    made.engine.dispose()
