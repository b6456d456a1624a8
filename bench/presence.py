"""Who holds a charger, in a fleet of many: how long it takes to find out, and what it takes to keep that true.

    python -m bench.presence [--chargers 100000 1000000]        # writes results/presence.json

The owner stands in the charger's row; a process has one row and one key in Redis, which it renews each turn
(docs/adr/0021). Measured on rows made for it: the look for an owner, a process's turn and what it reads, what a death
makes the others do. Beside it what a key for each charger in Redis would cost, which was not built.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import redis as redis_py
from flask_migrate import upgrade
from sqlalchemy import Connection, Engine, text

import config
from charger_mgmt import clock, create_app
from charger_mgmt.chargers import connections
from charger_mgmt.commands import command_rows
from charger_mgmt.database import chargers, leases, sightings
from charger_mgmt.database.watch import database_now
from charger_mgmt.serving.process import process_of
from tests.support.mariadb import MariaDB
from tests.support.redis import Redis
from tests.support.server import GunicornServer

from . import servers
from .costs import yardstick
from .figures import percentile, table
from .machine import keep

#: LEASE_SECONDS as delivered, and a turn of it.
LEASE = 15.0
TURN = LEASE / 6


def timed(engine: Engine, does: Callable[[Connection], Any], times: int, server: int) -> dict[str, float]:
    """Of `does` in a transaction: milliseconds on the wall, processor time of this process and of the database."""
    walls: list[float] = []
    used, served = time.process_time(), servers.cpu_seconds(server)
    for _ in range(times):
        began = time.perf_counter()
        with engine.begin() as conn:
            does(conn)
        walls.append(time.perf_counter() - began)
    used, served = time.process_time() - used, servers.cpu_seconds(server) - served
    walls.sort()
    return {
        "p50_ms": round(1000 * percentile(walls, 50), 2),
        "p99_ms": round(1000 * percentile(walls, 99), 2),
        "process_ms": round(1000 * used / times, 3),
        "database_ms": round(1000 * served / times, 3),
    }


def _prepared(url: str) -> Engine:
    """The tables, made by the migrations."""
    server = GunicornServer(url)
    app = create_app(config.load(server.environ))
    database = process_of(app).central.database
    with app.app_context():
        upgrade()
    database.rest.dispose()
    server.folder.cleanup()
    return database.engine


def run(*, fleets: list[int], held: int, quick: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"held_by_a_process": held, "yardstick_seconds": [yardstick()]}
    with servers.database("--innodb-buffer-pool-size=2G") as mariadb:
        for fleet in fleets:
            engine = _prepared(mariadb.create_database())
            found[f"{fleet:,} chargers"] = _database(engine, mariadb, fleet, held, 50 if quick else 2000)
            engine.dispose()
    with Redis() as redis:
        found["redis"] = _redis(redis, min(fleets))
    found["yardstick_seconds"].append(yardstick())
    return found


def _database(engine: Engine, mariadb: MariaDB, fleet: int, held: int, looks: int) -> dict[str, Any]:
    processes = [str(uuid.UUID(int=number)) for number in range(1, -(-fleet // held) + 1)]
    with engine.begin() as conn:
        for process_id in processes:
            leases.take(conn, process_id)
    for statement in (  # on a connection that has no time limit
        "INSERT INTO chargers (identity, created_at, registration, approved, booted_at, dialect, vendor, model,"
        " firmware_version, generation, connected, process_id, connected_since, status, reported_status)"
        " SELECT CONCAT('CHARGER-', seq), UTC_TIMESTAMP(3), 'Accepted', 1, UTC_TIMESTAMP(3), 'ocpp1.6', 'Vendor',"
        " 'Model 22', '1.2.3', 7, 1,"
        f" CONCAT('00000000-0000-0000-0000-', LPAD(LOWER(HEX(1 + seq % {len(processes)})), 12, '0')),"
        f" UTC_TIMESTAMP(3), 'Available', 'Available' FROM seq_1_to_{fleet}",
        "INSERT INTO sightings SELECT id, 0, UTC_TIMESTAMP(3) FROM chargers",
        "ANALYZE TABLE chargers, sightings",
    ):
        mariadb.execute(statement, engine.url.database)
    server = mariadb.pid
    me = processes[0]
    with engine.begin() as conn:
        mine = connections.of_process(conn, me)
        assert abs(len(mine) - held) <= 1, len(mine)
    numbers = random.Random(1).sample(range(1, fleet + 1), looks + 20)
    names = itertools.cycle(f"CHARGER-{number}" for number in numbers)
    for _ in range(20):
        with engine.begin() as conn:
            chargers.by_identity(conn, next(names))

    def owner(conn: Connection) -> None:
        row = chargers.by_identity(conn, next(names))
        assert row is not None
        assert row.process_id in known

    known = set(processes)

    def renews(conn: Connection) -> None:
        assert leases.renew(conn, me, held)

    def looks_around(conn: Connection) -> None:
        leases.run_out(conn, LEASE * 5 / 6)
        leases.living(conn, LEASE * 5 / 6)
        leases.every(conn)

    def fingerprint(conn: Connection) -> None:
        row = conn.execute(
            text(
                "SELECT COUNT(*), SUM(id), BIT_XOR(id) FROM chargers WHERE connected = 1 AND process_id = :process"
            ),
            {"process": me},
        ).one()
        assert (int(row[0]), int(row[1])) == (len(mine), sum(mine))

    def left(conn: Connection) -> None:
        assert not connections.left_by_others(conn, processes)
        assert not command_rows.owners(conn)

    portion = sorted(mine)[: max(1, len(mine) // 12)]
    some = max(3, min(20, looks))
    figures: dict[str, Any] = {
        "processes": len(processes),
        "the look for an owner": timed(engine, owner, looks, server),
        "a turn: its lease is renewed": timed(engine, renews, some, server),
        "a turn: who lives": timed(engine, looks_around, some, server),
        "a turn: which rows are ours": timed(
            engine, lambda conn: connections.of_process(conn, me), some, server
        ),
        "the same as a sum and a count": timed(engine, fingerprint, some, server),
        "the same, a twelfth at a time": timed(
            engine, lambda conn: connections.generations(conn, portion), some, server
        ),
        "the leader's turn: what the dead have left": timed(engine, left, 5, server),
        "the sweep: nobody is silent": timed(
            engine,
            lambda conn: sightings.overdue(conn, database_now(conn).replace(year=2020), 1000),
            some,
            server,
        ),
        "sightings of 1,000": timed(
            engine, lambda conn: sightings.note(conn, portion[:1000], database_now(conn)), some, server
        ),
    }
    dead = iter(processes[1:4])
    figures["a dead process is put right"] = timed(
        engine,
        lambda conn: connections.put_right_of(conn, next(dead), clock.now()),
        min(3, len(processes) - 1),
        server,
    )
    return figures


def _redis(redis: Redis, keys: int) -> dict[str, Any]:
    """What is built (a key for each process), and what is not (one for each charger)."""
    client = redis_py.Redis(host=redis.host, port=redis.port)
    found: dict[str, Any] = {"keys": keys}
    base = client.info("memory")["used_memory"]
    for number in range(100):
        client.set(f"charger_mgmt:charger_mgmt:lease:{uuid.UUID(int=number)}", b"", px=12_500)
    found["bytes_of_a_processs_key"] = round((client.info("memory")["used_memory"] - base) / 100)
    walls, used = [], servers.cpu_seconds(redis.pid)
    for number in range(2000):
        began = time.perf_counter()
        client.set(f"charger_mgmt:charger_mgmt:lease:{uuid.UUID(int=number % 100)}", b"", px=12_500)
        walls.append(time.perf_counter() - began)
    walls.sort()
    found["a_processs_renewal"] = {
        "p50_ms": round(1000 * percentile(walls, 50), 3),
        "p99_ms": round(1000 * percentile(walls, 99), 3),
        "redis_us": round(1e6 * (servers.cpu_seconds(redis.pid) - used) / 2000, 1),
    }
    base = client.info("memory")["used_memory"]
    used, own, began = servers.cpu_seconds(redis.pid), time.process_time(), time.perf_counter()
    for first in range(0, keys, 1000):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(first, min(first + 1000, keys)):
                pipeline.set(
                    f"charger_mgmt:charger_mgmt:owner:CHARGER-{number}",
                    str(uuid.UUID(int=number % 10)),
                    px=600_000,
                )
            pipeline.execute()
    found["a_key_for_each_charger"] = {
        "bytes": round((client.info("memory")["used_memory"] - base) / keys),
        "redis_us_for_a_renewal": round(1e6 * (servers.cpu_seconds(redis.pid) - used) / keys, 2),
        "process_us_for_a_renewal": round(1e6 * (time.process_time() - own) / keys, 2),
        "renewed_per_second": round(keys / (time.perf_counter() - began)),
        "renewals_per_second_wanted": round(keys / TURN),
    }
    walls = []
    for _ in range(2000):
        began = time.perf_counter()
        assert client.get(f"charger_mgmt:charger_mgmt:owner:CHARGER-{random.randrange(keys)}")
        walls.append(time.perf_counter() - began)
    walls.sort()
    found["a_key_for_each_charger"]["found_p50_ms"] = round(1000 * percentile(walls, 50), 3)
    found["a_key_for_each_charger"]["found_p99_ms"] = round(1000 * percentile(walls, 99), 3)
    return found


def show(figures: dict[str, Any]) -> str:
    lines = []
    for name, fleet in figures.items():
        if not name.endswith(" chargers"):
            continue
        rows: list[list[Any]] = [
            [f"{name}, {fleet['processes']} processes", "p50 ms", "p99 ms", "process ms", "database ms"]
        ]
        for what, seen in fleet.items():
            if isinstance(seen, dict):
                rows.append([what, *seen.values()])
        lines += [table(rows), ""]
    lines.append(json.dumps(figures["redis"], indent=1))
    lines.append(f"yardstick: {figures['yardstick_seconds']} s (0.3 on a quiet machine)")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.presence", description=__doc__)
    parser.add_argument("--chargers", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--held", type=int, default=10_000, help="by each process")
    parser.add_argument("--quick", action="store_true", help="try it out; writes nothing")
    given = parser.parse_args()
    fleets, held = ([5000], 500) if given.quick else (given.chargers, given.held)
    figures = run(fleets=fleets, held=held, quick=given.quick)
    if not given.quick:
        keep("presence", figures)
    print(show(figures))


if __name__ == "__main__":
    main()
