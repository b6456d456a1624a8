"""Who holds how many chargers, and how soon they are back: workers of one port, a host that dies, hosts that restart in turn.

    python -m bench.hosts [--sockets 4000] [--chargers 2000]

1. Two workers of one server, with its port shared by accepting in turn (as it is) and by SO_REUSEPORT: the larger one's share of all
   sockets once they are in, and after a worker was killed, its chargers have dialled again and the surplus was let go.
2. Two hosts with two workers each behind HAProxy: a host is killed. When are all its chargers with a living process, by the database that
   REST reads?
3. The same, restarted in order one after the other: how many are connected at least, ten times a second.

Chargers dial again 1 to 1.25 s after they were cut off, and send a Heartbeat now and then.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.support.haproxy import HAProxy
from tests.support.mariadb import MariaDB
from tests.support.processes import children, is_running, wait_until
from tests.support.redis import Redis

from . import servers
from .figures import table

LEASE = 6
#: Seconds over which a host lets its chargers go.
DRAIN = 30
_HELD = (
    "SELECT COUNT(*) FROM chargers c JOIN processes p ON p.id = c.process_id WHERE c.connected"
    " AND p.server_pid IN ({})"
)


@contextmanager
def chargers(of: Any, count: int, rate: float) -> Iterator[None]:
    """So many are there, and stay."""
    with servers.Load(
        of, sockets=count, talk="heartbeats", rate=rate, window=1000, seconds=None, limit=3600
    ) as load:

        def runs() -> None:
            with contextlib.suppress(RuntimeError, ValueError):  # it is killed at the end
                load.run()

        thread = threading.Thread(target=runs, daemon=True)
        thread.start()
        yield
    thread.join()


def held(database: MariaDB, name: str, *masters: int) -> int:
    """Chargers that are connected to processes of these servers."""
    listed = ", ".join(map(str, masters))
    return int(database.execute(_HELD.format(listed), name)[0][0])


def shares(database: MariaDB, name: str, but: int = 0) -> list[int]:
    """The sockets that each process holds; `but`: one that is dead."""
    rows = database.execute(f"SELECT sockets FROM processes WHERE pid <> {but} ORDER BY sockets", name)
    return [int(row[0]) for row in rows]


def balance(database: MariaDB, redis: Redis, *, sockets: int, reuse_port: bool) -> dict[str, Any]:
    """Two workers of one server."""
    options = ("--reuse-port",) if reuse_port else ()
    command = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *options, "wsgi:app")
    settings = {"REDIS_URL": redis.url, "LEASE_SECONDS": str(LEASE), "WEB_CONCURRENCY": "2"}
    with servers.Ours(database.create_database(), **settings) as prepared:
        prepared.terminate()
        prepared.command = list(command)
        prepared.start()
        name = servers.database_of(prepared)
        wait_until(lambda: len(shares(database, name)) == 2, seconds=20, what="two workers")
        with chargers(prepared, sockets, rate=100):
            seen = {"at first": _largest(database, name, sockets)}
            victim = children(prepared.master_pid)[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: not is_running(victim), seconds=10, what="it is dead")
            began = time.monotonic()
            wait_until(
                lambda: sum(shares(database, name, victim)) >= sockets * 0.99,
                seconds=90,
                what="all are back",
                every=0.2,
            )
            seen["after a death"] = max(shares(database, name, victim)) / sockets
            wait_until(lambda: len(shares(database, name)) == 2, seconds=30, what="another worker")
            wait_until(
                lambda: _largest(database, name, sockets) <= 1.25 / 2, seconds=300, what="even", every=0.5
            )
            seen["even_after_s"] = time.monotonic() - began
            time.sleep(20)
            seen["in the end"] = _largest(database, name, sockets)
    return seen


def _largest(database: MariaDB, name: str, sockets: int) -> float:
    """The share of all sockets that the larger worker holds."""
    time.sleep(LEASE / 6 + 0.5)  # the numbers are renewed
    return max(shares(database, name)) / sockets


class _Balanced:
    def __init__(self, balancer: HAProxy) -> None:
        self.name, self.host, self.port, self.pid = "hosts", balancer.host, balancer.port, os.getpid()


def hosts(database: MariaDB, redis: Redis, *, count: int) -> dict[str, Any]:
    """Two hosts behind HAProxy: a death, and restarts."""
    figures: dict[str, Any] = {}
    settings = {
        "REDIS_URL": redis.url,
        "LEASE_SECONDS": "15",
        "DRAIN_SECONDS": str(DRAIN),
        "WEB_CONCURRENCY": "2",
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    with ExitStack() as stack:
        one = stack.enter_context(servers.Ours(database.create_database(), **settings))
        two = servers.Ours(one.environ["DATABASE_URL"], **settings)
        stack.callback(two.remove)
        two.start()
        name = servers.database_of(one)
        wait_until(lambda: len(shares(database, name)) == 4, seconds=30, what="four workers")
        balancer = stack.enter_context(HAProxy(one.port, two.port))
        time.sleep(3)
        stack.enter_context(chargers(_Balanced(balancer), count, rate=100))
        wait_until(
            lambda: held(database, name, one.master_pid, two.master_pid) == count, seconds=60, what="all in"
        )
        figures["held"] = [held(database, name, each.master_pid) for each in (one, two)]

        began = time.monotonic()
        two.kill_master()
        back: dict[int, float] = {}
        for percent in (90, 99, 100):
            wait_until(
                lambda enough=count * percent / 100: held(database, name, one.master_pid) >= enough,
                seconds=120,
                what=f"{percent} % are back",
            )
            back[percent] = time.monotonic() - began
        wait_until(lambda: len(shares(database, name)) == 2, seconds=60, what="the dead are buried")
        figures["back_s"] = back
        figures["lease_noticed_s"] = time.monotonic() - began
        two.start()
        began = time.monotonic()
        wait_until(
            lambda: held(database, name, two.master_pid) >= 0.4 * count, seconds=300, what="even", every=0.5
        )
        figures["even_s"] = time.monotonic() - began

        lowest = count
        over = threading.Event()

        def looks() -> None:
            nonlocal lowest
            while not over.wait(0.1):
                found = database.execute(
                    "SELECT COUNT(*) FROM chargers c JOIN processes p ON p.id = c.process_id WHERE c.connected",
                    name,
                )
                lowest = min(lowest, int(found[0][0]))

        watching = threading.Thread(target=looks)
        watching.start()
        try:
            for each in (one, two):
                wait_until(
                    lambda: min(held(database, name, host.master_pid) for host in (one, two)) >= 0.4 * count,
                    seconds=300,
                    what="the hosts are even",
                    every=0.5,
                )
                each.terminate(seconds=120)
                each.start()
        finally:
            over.set()
            watching.join()
        figures["lowest_share"] = lowest / count
        two.terminate(seconds=120)
    return figures


def run(*, sockets: int, count: int) -> dict[str, Any]:
    with servers.database() as database, Redis() as redis:
        found = {
            "balance": {
                "accepting in turn": balance(database, redis, sockets=sockets, reuse_port=False),
                "SO_REUSEPORT": balance(database, redis, sockets=sockets, reuse_port=True),
            },
            "hosts": hosts(database, redis, count=count),
        }
    return {"sockets": sockets, "chargers": count} | found


def show(figures: dict[str, Any]) -> str:
    rows: list[list[Any]] = [
        [
            f"{figures['sockets']:,} sockets, 2 workers: the larger one",
            "at first",
            "after a death",
            "even (62.5 %) after",
            "in the end",
        ]
    ]
    for how, seen in figures["balance"].items():
        rows.append(
            [
                how,
                f"{seen['at first']:.0%}",
                f"{seen['after a death']:.0%}",
                f"{seen['even_after_s']:.0f} s",
                f"{seen['in the end']:.0%}",
            ]
        )
    found = figures["hosts"]
    back = ", ".join(f"{percent} % after {seconds:.1f} s" for percent, seconds in found["back_s"].items())
    return "\n".join(
        [
            table(rows),
            "",
            f"{figures['chargers']:,} chargers on two hosts ({' + '.join(map(str, found['held']))}); one killed: {back};",
            f"dead by its lease after {found['lease_noticed_s']:.1f} s (LEASE_SECONDS=15).",
            f"A host that comes back has 40 % of the chargers after {found['even_s']:.0f} s.",
            f"Both restarted in turn (DRAIN_SECONDS={DRAIN}): never fewer than {found['lowest_share']:.1%} connected.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hosts", description=__doc__)
    parser.add_argument("--sockets", type=int, default=4000)
    parser.add_argument("--chargers", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(sockets=given.sockets, count=given.chargers)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
