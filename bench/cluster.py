"""The whole thing on one machine, to look at: two hosts with two workers each, HAProxy, Redis, MariaDB, and chargers.

    make cluster                              # until Ctrl-C
    python -m bench.cluster [--chargers 200] [--seconds 60] [--kill]

As root each host has a network of its own (`ip netns`). Everything is private and gone at the end. A line a second: who holds how many chargers, messages stored in that second, how many chargers
are shown as connected. `--kill`: a host is killed after a third of the time and comes back after two.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

from sqlalchemy.engine import make_url

from tests.support import network
from tests.support.server import PASSWORD, ROOT, USERNAME
from tests.support.spread import spread

SETTINGS = {
    "WEB_CONCURRENCY": "2",
    "NEW_CHARGERS_PER_SOURCE": "0",
    "LOG_LEVEL": "WARNING",
}
#: What grows with every message that is stored.
_STORED = "SELECT " + " + ".join(
    f"(SELECT COALESCE(MAX(id), 0) FROM {table})"
    for table in ("meter_values", "transactions", "charger_events", "status_history")
)


class Cluster:
    """The parts, each a process of its own."""

    def __init__(self, stack: ExitStack) -> None:
        networks = network.is_permitted()
        apart = "each with a network of its own" if networks else "on ports of this machine"
        say(
            f"starting MariaDB, Redis, two hosts ({apart}) with two workers each, and HAProxy (half a minute) ..."
        )
        made = spread(stack, 2, SETTINGS, networks=networks)
        self._mariadb, self.hosts, self.balancer = made.database, made.servers, made.balancer
        self._database = make_url(made.url).database

    @property
    def address(self) -> str:
        return f"{self.balancer.host}:{self.balancer.port}"

    def stored(self) -> int:
        return int(self._mariadb.execute(_STORED, self._database)[0][0])

    def connected(self) -> int:
        found = self._mariadb.execute("SELECT COUNT(*) FROM chargers WHERE connected", self._database)
        return int(found[0][0])

    def shares(self) -> str:
        """How many sockets each worker holds, host by host."""
        said = []
        for number, host in enumerate(self.hosts, 1):
            rows = self._mariadb.execute(
                f"SELECT sockets FROM processes WHERE server_pid = {host.master_pid if host.is_running else 0} ORDER BY id",
                self._database,
            )
            said.append(f"host {number}: " + ("+".join(str(row[0]) for row in rows) or "down"))
        return ", ".join(said)


def say(text: str) -> None:
    print(text, flush=True)


def watch(cluster: Cluster, chargers: int, seconds: float | None, kill: bool) -> None:
    began, before = time.monotonic(), cluster.stored()
    killed = back = False
    while seconds is None or time.monotonic() - began < seconds:
        time.sleep(1)
        passed, stored = time.monotonic() - began, cluster.stored()
        say(
            f"{passed:5.0f} s  {cluster.shares():40}  {cluster.connected()} of {chargers} connected,"
            f" {stored - before} rows stored"
        )
        before = stored
        if kill and seconds and not killed and passed > seconds / 3:
            killed = True
            say("        kill -9 of host 2")
            cluster.hosts[1].kill_master()
        elif kill and seconds and killed and not back and passed > seconds * 2 / 3:
            back = True
            say("        host 2 comes back")
            cluster.hosts[1].start()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--chargers", type=int, default=100)
    parser.add_argument("--seconds", type=float, help="then end; without it at Ctrl-C")
    parser.add_argument("--kill", action="store_true", help="kill a host on the way")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        cluster = Cluster(stack)
        say(
            f"REST: http://{cluster.address}/api (user {USERNAME}, password {PASSWORD!r}); Ctrl-C ends everything"
        )
        fleet: subprocess.Popen[Any] = subprocess.Popen(
            [
                *(sys.executable, "-m", "flask", "simulate", "--url", f"ws://{cluster.address}/ocpp"),
                *("--chargers", str(given.chargers)),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            watch(cluster, given.chargers, given.seconds, given.kill)
        except KeyboardInterrupt:
            say("")
        finally:
            say("the chargers deliver what they have and leave ...")
            fleet.send_signal(signal.SIGINT)
            code = fleet.wait(timeout=90)
        say("nothing was lost" if code == 0 else "NOT everything was acknowledged: see above")
        return code


if __name__ == "__main__":
    sys.exit(main())
