"""Committers that meet on one database: two of one worker, and four of two workers.

    python -m bench.locks [--seconds 60]

Sessions that start and stop at once, as fast as they are stored. Counted are deadlocks and waits for locks, by MariaDB's own
count, and the slowest answer: no batch took longer.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from tests.support.processes import wait_until
from tests.support.redis import Redis

from . import servers
from .figures import table

_COUNTERS = ("Innodb_deadlocks", "Innodb_row_lock_waits", "Innodb_row_lock_time")


def run(*, sockets: int, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with servers.database("--innodb-buffer-pool-size=1G") as database, Redis() as redis:

        def counted() -> dict[str, int]:
            rows = database.execute("SHOW GLOBAL STATUS LIKE 'Innodb_%'")
            return {name: int(value) for name, value in rows if name in _COUNTERS}

        for workers in (1, 2):
            settings = {"REDIS_URL": redis.url, "WEB_CONCURRENCY": str(workers), "COMMITTERS": "2"}
            with servers.Ours(database.create_database(), **settings) as ours:
                wait_until(
                    lambda ours=ours, workers=workers: len(ours.pids) == workers, seconds=20, what="workers"
                )
                with servers.Load(ours, sockets=sockets, talk="pairs", seconds=seconds, warm_up=2.0) as load:
                    before = counted()
                    seen = load.run()
                    after = counted()
                group = seen["groups"][0]
                figures[f"{workers * 2} committers"] = {
                    "pairs_per_second": group["per_second"] / 2,
                    "slowest_answer_ms": group["latency"]["max_ms"],
                    "p99_ms": group["latency"]["p99_ms"],
                    **{name: after[name] - before[name] for name in _COUNTERS},
                    "alarms": len(ours.alarms()),
                }
    return {"sockets": sockets, "seconds": seconds} | figures


def show(figures: dict[str, Any]) -> str:
    rows: list[list[Any]] = [
        [
            f"{figures['sockets']} sockets, {figures['seconds']:.0f} s of pairs",
            "pairs/s",
            "deadlocks",
            "lock waits",
            "waited, ms in all",
            "p99 ms",
            "slowest answer, ms",
        ]
    ]
    for who in ("2 committers", "4 committers"):
        seen = figures[who]
        rows.append(
            [
                who,
                f"{seen['pairs_per_second']:,.0f}",
                seen["Innodb_deadlocks"],
                seen["Innodb_row_lock_waits"],
                seen["Innodb_row_lock_time"],
                f"{seen['p99_ms']:.0f}",
                f"{seen['slowest_answer_ms']:.0f}",
            ]
        )
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.locks", description=__doc__)
    parser.add_argument("--sockets", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(sockets=given.sockets, seconds=given.seconds)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
