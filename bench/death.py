"""A host is killed (kill -9): how long until each of its chargers is back on the other one.

    python -m bench.death [--chargers 600] [--workers 1]        # writes results/death.json

Two hosts behind HAProxy (deploy/haproxy.cfg). Each charger that lost its socket dials again after 1 to 1.25 s, and who is
turned away as Retry-After says. bench.simulate_fleet is held against this.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import ExitStack
from typing import Any

from sqlalchemy.engine import make_url

from tests.support.haproxy import HAProxy
from tests.support.redis import Redis

from . import servers
from .costs import yardstick
from .figures import percentile
from .load import Charger, Load
from .machine import keep

LIMIT = 90.0


class Fleet(Load):
    """Chargers that note when they lost their socket and when they had booted again."""

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__(job)
        self.lost_at: dict[int, float] = {}
        self.back_at: dict[int, float] = {}

    def lost(self, charger: Charger, *pause: float) -> None:
        if charger.stage == "ready":
            self.lost_at[charger.number] = time.perf_counter()
        super().lost(charger, *pause)

    def text(self, charger: Charger, payload: bytes) -> None:
        super().text(charger, payload)
        if charger.stage == "ready" and charger.number in self.lost_at:
            self.back_at.setdefault(charger.number, time.perf_counter())


def run(*, chargers: int, workers: int) -> dict[str, Any]:
    with ExitStack() as stack:
        mariadb = stack.enter_context(servers.database("--innodb-buffer-pool-size=512M"))
        url = mariadb.create_database()
        database = make_url(url).database
        redis = stack.enter_context(Redis())
        settings = {
            "REDIS_URL": redis.url,
            "WEB_CONCURRENCY": str(workers),
            "TRUSTED_PROXIES": "127.0.0.1",
        }
        hosts = [servers.Ours(url, **settings) for _ in range(2)]
        for host in hosts:
            stack.callback(host.remove)
        hosts[0].prepare()
        for host in hosts:
            host.start()
        balancer = stack.enter_context(HAProxy(*(host.port for host in hosts)))
        time.sleep(2.5)  # the balancer has asked both
        fleet = Fleet(
            {
                "host": balancer.host,
                "port": balancer.port,
                "sockets": chargers,
                "talk": "heartbeats",
                "rate": 1,
            }
        )
        fleet.connect_all()
        fleet.window = chargers
        _runs(fleet, 2.0)

        def owned() -> int:
            """Chargers that the rows show at a process of the host that lives."""
            found = mariadb.execute(
                "SELECT COUNT(*) FROM chargers JOIN processes ON processes.id = process_id"
                f" WHERE connected AND server_pid = {hosts[0].master_pid}",
                database,
            )
            return int(found[0][0])

        before = owned()
        cpu, speed = sum(map(servers.cpu_seconds, hosts[0].pids)), yardstick()
        killed = time.perf_counter()
        hosts[1].kill_master()
        _runs(fleet, LIMIT, until=lambda: 0 < len(fleet.lost_at) == len(fleet.back_at) == chargers - before)
        back = time.perf_counter() - killed
        cpu = sum(map(servers.cpu_seconds, hosts[0].pids)) - cpu
        shown = None
        while time.perf_counter() - killed < LIMIT:
            _runs(fleet, 0.1)
            if owned() == chargers:
                shown = time.perf_counter() - killed
                break
        away = sorted(moment - killed for moment in fleet.back_at.values())
        hosts[0].terminate()
    return {
        "chargers": chargers,
        "workers": workers,
        "lost": len(fleet.lost_at),
        "back": len(away),
        "redials": fleet.reconnects,
        "seconds_to_half": round(percentile(away, 50), 2),
        "seconds_to_99_percent": round(percentile(away, 99), 2),
        "seconds_to_the_last": round(away[-1], 2),
        "seconds_until_the_rows_say_so": shown and round(shown, 2),
        "survivors_processors": round(cpu / back, 2),
        "survivors_ms_per_charger": round(1000 * cpu / max(1, len(away)), 2),
        "yardstick_seconds": speed,
    }


def _runs(fleet: Fleet, seconds: float, until: Any = lambda: False) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not until():
        fleet.step(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.death", description=__doc__)
    parser.add_argument("--chargers", type=int, default=600)
    parser.add_argument("--workers", type=int, default=1, help="of each host")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="write nothing")
    given = parser.parse_args()
    rounds = [run(chargers=given.chargers, workers=given.workers) for _ in range(given.rounds)]
    if not given.quick:
        keep("death", {"rounds": rounds})
    print(json.dumps(rounds, indent=1))


if __name__ == "__main__":
    main()
