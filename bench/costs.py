"""What one thing costs each part, as bench.simulate_fleet wants it: a message at the rate of a real worker, a dial, a socket.

    python -m bench.costs [--quick]        # about six minutes; writes results/costs.json

`bench.durable` measures at full speed, with two hundred messages in a commit. A worker that holds ten thousand chargers is
told a hundred messages a second, so that hardly two of them share a commit, and each costs more. Here the load is an open
loop at several such rates. Of each run: processor time of the worker, of MariaDB, of Redis and of *another*, idle process
on the same bus, for each message, less what they use when nothing happens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from tests.support.mariadb import MariaDB
from tests.support.redis import Redis

from . import servers
from .figures import table
from .machine import keep, kept

#: kind → (talk of the load, messages a second)
RATES: dict[str, tuple[str, tuple[int, ...]]] = {
    "Heartbeat": ("heartbeats", (100, 1000)),
    "MeterValues": ("meter_values", (15, 60, 250, 1000)),
    "Start/StopTransaction": ("pairs", (15, 60, 250)),
    "StatusNotification": ("statuses", (15, 60, 250)),
    "Authorize": ("authorizations", (15, 60)),
}
#: Tables that grow, and how.
GROWING = ("meter_values", "transactions", "status_history", "charger_events")
#: Of a worker that is told everything at once, messages a second; measured once, and four times as much.
MIX = {
    "Heartbeat": 33,
    "MeterValues": 45,
    "Start/StopTransaction": 2,
    "StatusNotification": 4,
    "Authorize": 1,
}
_COUNTERS = ("Com_commit", "Innodb_data_fsyncs", "Innodb_os_log_written")


def yardstick() -> float:
    """Processor seconds of a plain loop: how fast this machine was just then. On a quiet one it takes 0.3."""
    began = time.process_time()
    total = 0
    for number in range(5_000_000):
        total += number
    return round(time.process_time() - began, 2)


class Parts:
    """The processes that are looked at."""

    def __init__(self, mariadb: MariaDB, redis: Redis, worker: servers.Ours, other: servers.Ours) -> None:
        self._mariadb, self._worker = mariadb, worker
        self._pids = {
            "worker": worker.pid,
            "mariadb": mariadb.pid,
            "redis": redis.pid,
            "another process": other.pid,
        }
        #: What each uses in a second when nothing happens.
        self._idle: dict[str, float] = {}

    def rest(self, seconds: float) -> dict[str, float]:
        """Note what is used when nothing happens."""
        before = self._now()
        time.sleep(seconds)
        after = self._now()
        self._idle = {
            name: (after[name] - before[name]) / (after["at"] - before["at"]) for name in self._pids
        }
        return {name: round(1e6 * used) for name, used in self._idle.items()}

    @contextlib.contextmanager
    def spent(self) -> Iterator[dict[str, float]]:
        """What is used within, in seconds, beyond that; and the database's counters."""
        found: dict[str, float] = {}
        before = self._now()
        yield found
        after = self._now()
        found["seconds"] = seconds = after["at"] - before["at"]
        for name in after:
            if name != "at":
                found[name] = after[name] - before[name] - self._idle.get(name, 0.0) * seconds

    def _now(self) -> dict[str, float]:
        marks = ", ".join(f"'{name}'" for name in _COUNTERS)
        counters = self._mariadb.execute(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({marks})")
        used = {name: servers.cpu_seconds(pid) for name, pid in self._pids.items()}
        return used | {name.lower(): float(value) for name, value in counters} | {"at": time.monotonic()}


def each(spent: dict[str, float], count: float) -> dict[str, float]:
    """Microseconds of processor time of each part, and the database's counters, for one of `count`."""
    return {
        **{
            f"{name}_us": round(1e6 * spent[name] / count, 1)
            for name in ("worker", "mariadb", "redis", "another process")
        },
        "commits": round(spent["com_commit"] / count, 4),
        "fsyncs": round(spent["innodb_data_fsyncs"] / count, 4),
        "redo_bytes": round(spent["innodb_os_log_written"] / count),
    }


def run(
    *, sockets: int, dials: int, idle: int, seconds: float, idle_seconds: float, only: str | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"yardstick_seconds": [yardstick()]}
    with ExitStack() as stack:
        mariadb = stack.enter_context(servers.database("--innodb-buffer-pool-size=1G"))
        redis = stack.enter_context(Redis())
        worker = stack.enter_context(servers.Ours(mariadb.create_database(), REDIS_URL=redis.url))
        other = servers.Ours(worker.environ["DATABASE_URL"], REDIS_URL=redis.url)
        stack.callback(other.remove)
        other.start()
        stack.callback(other.terminate)
        parts = Parts(mariadb, redis, worker, other)
        servers.measure(worker, sockets=20, talk="heartbeats", seconds=1)  # what is loaded once is loaded
        found["an idle process_us_per_second"] = parts.rest(4.0)
        does: dict[str, Callable[[], Any]] = {
            "dials": lambda: _dials(parts, worker, dials),
            "refused_dial": lambda: _refused(parts, worker, dials),
            "socket": lambda: _idle(parts, worker, idle, idle_seconds),
            "messages": lambda: {
                kind: [_rate(parts, worker, talk, sockets, rate, seconds) for rate in rates]
                for kind, (talk, rates) in RATES.items()
            },
            "full": lambda: {
                kind: _full(parts, worker, talk, 2 * sockets, seconds) for kind, (talk, _) in RATES.items()
            },
            "mixed": lambda: [_mixed(parts, worker, idle // 2, times, seconds) for times in (1, 4)],
        }
        for name, do in does.items():
            if only in (None, name):
                found[name] = do()
        if only is None:
            found["bytes_per_row"] = _sizes(mariadb, servers.database_of(worker))
    if only is None:
        found["follow_ups"] = _follow_ups(dials // 4)
    found["yardstick_seconds"].append(yardstick())
    return {only: found[only]} if only else found


def _dials(parts: Parts, worker: servers.Ours, dials: int) -> dict[str, Any]:
    """A connection and a boot, of chargers that nobody knows yet and of known ones; then its end."""
    found = {}
    for what in ("new", "known", "known again"):
        with contextlib.ExitStack() as stack:
            with parts.spent() as spent:
                load = stack.enter_context(servers.Load(worker, sockets=dials, talk="heartbeats", seconds=1))
            found[what] = each(spent, dials) | {"per_second": round(dials / load.connecting)}
            with parts.spent() as spent:
                stack.close()
                time.sleep(3)
            found[f"{what}, its end"] = each(spent, dials)
    return found


def _refused(parts: Parts, worker: servers.Ours, dials: int) -> dict[str, float]:
    """A dial that is answered with a refusal, on a connection of its own."""
    request = b"GET /ocpp/NOBODY HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n\r\n"
    with parts.spent() as spent:
        for _ in range(dials):
            with socket.create_connection((worker.host, worker.port), timeout=10) as client:
                client.sendall(request)
                assert b" 426 " in client.recv(4096)
    return each(spent, dials)


def _idle(parts: Parts, worker: servers.Ours, sockets: int, seconds: float) -> dict[str, Any]:
    """Sockets on which hardly anything is said but pings."""
    before = servers.resident_bytes(worker.pid)
    rate = sockets / 300
    with servers.Load(worker, sockets=sockets, talk="heartbeats", seconds=seconds, rate=rate) as load:
        held = servers.resident_bytes(worker.pid)
        with parts.spent() as spent:
            load.run()
    return {
        "sockets": sockets,
        "bytes": round((held - before) / sockets),
        "worker_us_per_second": round(1e6 * spent["worker"] / spent["seconds"] / sockets, 2),
        "mariadb_us_per_second": round(1e6 * spent["mariadb"] / spent["seconds"] / sockets, 2),
        "with_heartbeats_per_second": rate,
    }


def _rate(
    parts: Parts, worker: servers.Ours, talk: str, sockets: int, rate: int, seconds: float
) -> dict[str, Any]:
    with servers.Load(worker, sockets=sockets, talk=talk, seconds=seconds, rate=rate) as load:
        time.sleep(1)  # the boots' sightings are written
        with parts.spent() as spent:
            seen = load.run()["groups"][0]
    return {
        "per_second": rate,
        **each(spent, seen["answers"]),
        "p50_ms": round(seen["latency"]["p50_ms"], 1),
        "p99_ms": round(seen["latency"]["p99_ms"], 1),
    }


def _full(parts: Parts, worker: servers.Ours, talk: str, sockets: int, seconds: float) -> dict[str, Any]:
    """At full speed: as many messages in a commit as there can be."""
    with servers.Load(worker, sockets=sockets, talk=talk, seconds=seconds) as load:
        time.sleep(1)
        with parts.spent() as spent:
            seen = load.run()["groups"][0]
    return {"per_second": round(seen["per_second"]), **each(spent, seen["answers"])}


def _mixed(parts: Parts, worker: servers.Ours, sockets: int, times: int, seconds: float) -> dict[str, Any]:
    """All kinds at once, on many sockets: what a worker is told in a large fleet."""
    asked = {kind: times * rate for kind, rate in MIX.items()}
    groups = [
        {"talk": RATES[kind][0], "sockets": sockets // len(asked), "rate": rate}
        for kind, rate in asked.items()
    ]
    with servers.Load(worker, groups=groups, seconds=3 * seconds, warm_up=1.0) as load:
        time.sleep(2)
        with parts.spent() as spent:
            seen = load.run()["groups"]
    answered = sum(group["answers"] for group in seen)
    return {
        "sockets": sockets,
        "per_second": asked,
        "worker": round(spent["worker"] / spent["seconds"], 4),
        "mariadb": round(spent["mariadb"] / spent["seconds"], 4),
        **each(spent, answered),
    }


def _follow_ups(dials: int) -> dict[str, Any]:
    """What the calls cost that we make by ourselves after a boot (AUTOMATIC_CALLS): with them less without."""
    found: dict[str, Any] = {}
    for what in ("off", "on"):
        with ExitStack() as stack:
            mariadb = stack.enter_context(servers.database())
            redis = stack.enter_context(Redis())
            shared = {"REDIS_URL": redis.url, "AUTOMATIC_CALLS": what}
            worker = stack.enter_context(servers.Ours(mariadb.create_database(), **shared))
            other = servers.Ours(worker.environ["DATABASE_URL"], **shared)
            stack.callback(other.remove)
            other.start()
            stack.callback(other.terminate)
            parts = Parts(mariadb, redis, worker, other)
            time.sleep(1)
            parts.rest(3.0)
            job = {"sockets": dials, "talk": "heartbeats", "seconds": 18, "rate": 1, "answers_calls": True}
            with parts.spent() as spent, servers.Load(worker, **job) as load:
                load.run()
            found[what] = each(spent, dials)
    found["calls"] = {name: round(found["on"][name] - found["off"][name], 2) for name in found["on"]}
    return found


def _sizes(mariadb: MariaDB, database: str) -> dict[str, dict[str, float]]:
    """Bytes of a row with its share of the indexes."""
    sizes = {}
    for name in GROWING:
        mariadb.execute(f"ANALYZE TABLE {name}", database)
        rows = int(mariadb.execute(f"SELECT COUNT(*) FROM {name}", database)[0][0])
        length = mariadb.execute(
            "SELECT data_length + index_length FROM information_schema.tables"
            f" WHERE table_schema = '{database}' AND table_name = '{name}'"
        )
        sizes[name] = {"rows": rows, "bytes": round(float(length[0][0]) / max(1, rows))}
    return sizes


def show(figures: dict[str, Any]) -> str:
    columns = ("worker_us", "mariadb_us", "redis_us", "another process_us", "commits", "redo_bytes")
    rows: list[list[Any]] = [["what", "a second", *columns]]
    for kind, points in figures["messages"].items():
        rows += [[kind, point["per_second"], *(point[name] for name in columns)] for point in points]
    rows += [
        [f"{kind}, full speed", point["per_second"], *(point[name] for name in columns)]
        for kind, point in figures["full"].items()
    ]
    for kind, point in figures["dials"].items():
        rows.append(
            [f"connect + boot, {kind}", point.get("per_second", ""), *(point[name] for name in columns)]
        )
    rows.append(["a dial that is refused", "", *(figures["refused_dial"][name] for name in columns)])
    rows.append(["calls after a boot", "", *(figures["follow_ups"]["calls"][name] for name in columns)])
    held = figures["socket"]
    return "\n".join(
        [
            table(rows),
            f"a socket: {held['bytes']:,} bytes, {held['worker_us_per_second']} us of the worker a second",
            *(
                f"all kinds at once, {sum(each['per_second'].values())}/s on {each['sockets']:,} sockets: worker"
                f" {each['worker']:.0%}, mariadb {each['mariadb']:.0%} of a core"
                for each in figures["mixed"]
            ),
            f"bytes of a row: {json.dumps(figures['bytes_per_row'])}",
            f"an idle process, us a second: {json.dumps(figures['an idle process_us_per_second'])}",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument(
        "--only",
        choices=("dials", "refused_dial", "socket", "messages", "full", "mixed"),
        help="measure this anew, keep the rest",
    )
    parser.add_argument("--quick", action="store_true", help="try it out; writes nothing")
    given = parser.parse_args()
    if given.quick:
        print(show(run(sockets=50, dials=100, idle=200, seconds=2.0, idle_seconds=3.0)))
        return
    sizes: dict[str, Any] = {"sockets": 150, "dials": 800, "idle": 4000, "seconds": 5.0, "idle_seconds": 30.0}
    figures = run(**sizes, only=given.only)
    figures = (kept("costs") if given.only else {}) | figures
    keep("costs", figures)
    print(show(figures))


if __name__ == "__main__":
    main()
