"""A central system on PyPI `ocpp` over `websockets`, written as its documentation shows it.

    DATABASE_URL=mysql://… python central_system.py PORT

Its validation is on (the package's default). With a database it stores what it is sent in the same tables
as ours, with asyncmy (a driver in Cython; the fastest of those its users have), one commit a message. It
does less than ours: no recognition of repeats beyond the unique keys, no superseded sessions, no remote
starts, no status.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import RegistrationStatus

#: Connections to the database; more than this gained nothing.
CONNECTIONS = 32
last_seen: dict[str, float] = {}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


def _key(*parts: object) -> bytes:
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()


class CentralSystem(ChargePoint):
    """One charger's connection, without a database."""

    @on("BootNotification")
    async def on_boot(self, **_: object) -> call_result.BootNotification:
        last_seen[self.id] = time.monotonic()
        return call_result.BootNotification(_now(), 300, RegistrationStatus.accepted)

    @on("Heartbeat")
    async def on_heartbeat(self) -> call_result.Heartbeat:
        last_seen[self.id] = time.monotonic()
        return call_result.Heartbeat(_now())


class StoringCentralSystem(CentralSystem):
    """The same, with a database: an answer leaves after its commit."""

    pool: Any = None
    charger_id = 0

    @on("BootNotification")
    async def on_boot(self, **_: object) -> call_result.BootNotification:
        async with self.pool.acquire() as conn, conn.cursor() as cursor:
            await cursor.execute(
                "INSERT INTO chargers (identity, created_at) VALUES (%s, UTC_TIMESTAMP())"
                " ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
                (self.id,),
            )
            self.charger_id = cursor.lastrowid
            await conn.commit()
        return call_result.BootNotification(_now(), 300, RegistrationStatus.accepted)

    @on("MeterValues")
    async def on_meter_values(
        self, connector_id: int, meter_value: list, transaction_id: int, **_: object
    ) -> call_result.MeterValues:
        received = datetime.now(UTC).replace(tzinfo=None)
        rows: list[object] = []
        register, count, at = None, 0, received
        for group in meter_value:
            at = _moment(group["timestamp"])
            for sample in group["sampled_value"]:
                value, measurand = sample["value"], sample["measurand"]
                micro = round(float(value) * 1_000_000)
                if measurand == "Energy.Active.Import.Register":
                    register = micro // 1000
                key = _key(self.charger_id, connector_id, at, measurand, sample.get("phase"), value)
                rows += (
                    self.charger_id, connector_id, transaction_id, key, at, received, measurand,
                    sample.get("phase"), sample["context"], "Outlet", "Raw", sample.get("unit"), micro, value,
                )  # fmt: skip
                count += 1
        async with self.pool.acquire() as conn, conn.cursor() as cursor:
            await cursor.execute(
                "INSERT INTO meter_values (charger_id, connector_id, transaction_id, sample_key, timestamp,"
                " received_at, measurand, phase, context, location, format, unit, value_micro, raw) VALUES "
                + ", ".join(["(" + ", ".join(["%s"] * 14) + ")"] * count)
                + " ON DUPLICATE KEY UPDATE id = id",
                rows,
            )
            await cursor.execute(
                "UPDATE transactions SET meter_last_mwh = %s, meter_last_at = %s WHERE id = %s AND charger_id = %s",
                (register, at, transaction_id, self.charger_id),
            )
            await conn.commit()
        return call_result.MeterValues()

    @on("StartTransaction")
    async def on_start(
        self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **_: object
    ) -> call_result.StartTransaction:
        received = datetime.now(UTC).replace(tzinfo=None)
        key = _key(self.charger_id, connector_id, id_tag, timestamp, meter_start)
        async with self.pool.acquire() as conn, conn.cursor() as cursor:
            await cursor.execute("SELECT status FROM tags WHERE id_tag_key = %s", (id_tag.lower(),))
            row = await cursor.fetchone()
            status = row[0] if row else "Accepted"
            await cursor.execute(
                "INSERT INTO transactions (charger_id, connector_id, id_tag, id_tag_status, status, start_key,"
                " start_timestamp, start_received_at, effective_start, meter_start_mwh)"
                " VALUES (%s, %s, %s, %s, 'In Progress', %s, %s, %s, %s, %s)"
                " ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
                (
                    self.charger_id, connector_id, id_tag, status, key, _moment(timestamp), received,
                    _moment(timestamp), meter_start * 1000,
                ),
            )  # fmt: skip
            transaction_id = cursor.lastrowid
            await conn.commit()
        return call_result.StartTransaction(transaction_id, {"status": status})

    @on("StopTransaction")
    async def on_stop(
        self, transaction_id: int, meter_stop: int, timestamp: str, **_: object
    ) -> call_result.StopTransaction:
        async with self.pool.acquire() as conn, conn.cursor() as cursor:
            await cursor.execute(
                "UPDATE transactions SET status = 'Completed', stop_timestamp = %s, stop_received_at = %s,"
                " effective_end = %s, meter_stop_mwh = %s, energy_mwh = %s - meter_start_mwh, reason = 'Local'"
                " WHERE id = %s AND charger_id = %s",
                (
                    _moment(timestamp), datetime.now(UTC).replace(tzinfo=None), _moment(timestamp),
                    meter_stop * 1000, meter_stop * 1000, transaction_id, self.charger_id,
                ),
            )  # fmt: skip
            await conn.commit()
        return call_result.StopTransaction()


async def main(port: int, database_url: str | None) -> None:
    charge_point: type[CentralSystem] = CentralSystem
    if database_url:
        import asyncmy

        url = urlsplit(database_url)
        StoringCentralSystem.pool = await asyncmy.create_pool(
            host=url.hostname,
            port=url.port,
            user=url.username,
            password=url.password or "",
            db=url.path.strip("/"),
            minsize=CONNECTIONS,
            maxsize=CONNECTIONS,
            init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        )
        charge_point = StoringCentralSystem

    async def on_connect(websocket: websockets.ServerConnection) -> None:
        assert websocket.request is not None
        identity = websocket.request.path.rpartition("/")[2]
        with contextlib.suppress(websockets.ConnectionClosed):
            await charge_point(identity, websocket).start()

    async with websockets.serve(
        on_connect, "127.0.0.1", port, subprotocols=[websockets.Subprotocol("ocpp1.6")], backlog=4096
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), os.environ.get("DATABASE_URL")))
