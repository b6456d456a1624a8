"""Two hosts with two workers each behind HAProxy, one database, one Redis: any part may die, and nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.support.haproxy import HAProxy
from tests.support.mariadb import MariaDB
from tests.support.processes import wait_until
from tests.support.redis import Redis
from tests.support.server import GunicornServer
from tests.wire.raw import booted, dialed

from .conftest import ENVIRON, Scenario, must_be_quiet
from .crew import Crew

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]

#: More with FAULT_CHARGERS (500).
CHARGERS = int(os.environ.get("FAULT_CHARGERS") or 200)
LEASE, DRAIN = 6, 8
FLEET = {
    "AUTOMATIC_CALLS": "off",
    "LEASE_SECONDS": str(LEASE),
    "DRAIN_SECONDS": str(DRAIN),
    "WEB_CONCURRENCY": "2",
    "COMMITTERS": "1",
    "TRUSTED_PROXIES": "127.0.0.1",
}


@dataclass
class Cluster:
    url: str
    hosts: list[GunicornServer]
    redis: Redis
    balancer: HAProxy

    @property
    def ocpp_url(self) -> str:
        return f"ws://{self.balancer.host}:{self.balancer.port}/ocpp"

    def is_whole(self) -> None:
        """Wait until four processes serve and every connected charger is connected to one of them."""
        wait_until(
            lambda: len(self.hosts[0].get("/api/processes").json) == 4,
            seconds=40,
            what="four processes serve",
        )


@pytest.fixture
def cluster(mariadb: MariaDB) -> Iterator[Cluster]:
    url = mariadb.create_database()
    with Redis() as redis:
        environ = ENVIRON | FLEET | {"REDIS_URL": redis.url}
        with GunicornServer(url, environ) as one:
            two = GunicornServer(url, environ)
            try:
                two.start()
                with HAProxy(one.port, two.port) as balancer:
                    made = Cluster(url, [one, two], redis, balancer)
                    made.is_whole()
                    yield made
                must_be_quiet(two)
                if two.is_running:
                    two.terminate()
            finally:
                two.remove()
            must_be_quiet(one)


@contextmanager
def watched(fleet: Crew) -> Iterator[list[int]]:
    """How many chargers are online, all the time."""
    seen: list[int] = []
    over = threading.Event()

    def looks() -> None:
        while not over.wait(0.1):
            seen.append(fleet["online"])

    thread = threading.Thread(target=looks)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_whoever_dies_the_ledger_balances(scenario: Scenario, cluster: Cluster) -> None:
    two = cluster.hosts[1]
    fleet = scenario.fleet(cluster.ocpp_url, chargers=CHARGERS)
    fleet.is_at_work()
    # A worker.
    scenario.load(0.5, 2.0)
    two.kill_worker()
    fleet.is_at_work()
    # A whole host, which comes back.
    scenario.load(0.5, 2.0)
    two.kill_master()
    died = time.monotonic()
    fleet.is_at_work()
    scenario.note(
        f"a host of two was killed: all at work on the other one after {time.monotonic() - died:.1f} s"
    )
    two.start()
    # Redis, which comes back with an empty memory.
    scenario.load(0.5, 2.0)
    cluster.redis.kill()
    fleet.gets_answers(300)
    cluster.redis.start()
    fleet.gets_answers(300)
    # The balancer.
    cluster.balancer.restart()
    fleet.is_at_work()
    cluster.is_whole()
    # Both at once: a host while Redis does not answer.
    cluster.redis.freeze()
    scenario.load(0.5, 2.0)
    two.kill_master()
    fleet.gets_answers(100)
    cluster.redis.thaw()
    fleet.is_at_work()
    two.start()
    fleet.gets_answers(300)
    scenario.settle(cluster.url, fleet.comes_home(), within=2 * LEASE)


def test_a_rolling_restart(scenario: Scenario, cluster: Cluster) -> None:
    fleet = scenario.fleet(cluster.ocpp_url, chargers=CHARGERS)
    fleet.is_at_work()
    with watched(fleet) as online:
        for host in cluster.hosts:
            fleet.is_at_work(share=0.99)
            host.restart()
            wait_until(
                lambda: len(cluster.hosts[0].get("/api/processes").json) == 4, seconds=20, what="it is back"
            )
    lowest = min(online) / CHARGERS
    scenario.note(
        f"a rolling restart of two hosts: never fewer than {lowest:.0%} of {CHARGERS} chargers online"
    )
    scenario.settle(cluster.url, fleet.comes_home(), within=2 * LEASE)
    assert lowest > 0.9


def test_a_charger_that_jumps_between_hosts_while_it_is_called(scenario: Scenario, cluster: Cluster) -> None:
    """Every command ends, and the charger is sent each of them at most once."""
    one, two = cluster.hosts
    over = threading.Event()
    heard: list[str] = []

    def jumps() -> None:
        try:
            for number in range(12):
                stays((one, two)[number % 2])
        finally:
            over.set()

    def stays(server: GunicornServer) -> None:
        with dialed(server, "JUMPS") as charger:
            charger.socket.settimeout(0.2)
            until = time.monotonic() + 0.8
            while time.monotonic() < until:
                try:
                    said = charger.hears_json()
                except (TimeoutError, EOFError, OSError):
                    continue
                if said[0] == 2:
                    heard.append(said[1])
                    charger.says(f'[3,"{said[1]}",{{}}]')

    states = []
    with booted(one, "JUMPS"):
        pass
    with ThreadPoolExecutor(1) as pool:
        jumping = pool.submit(jumps)
        turn = 0
        while not over.is_set():
            turn += 1
            answer = (one, two)[turn % 2].post("/api/chargers/JUMPS/commands/GetConfiguration", {})
            states.append(answer.status)
        jumping.result()
    assert len(heard) == len(set(heard))
    assert set(states) <= {200, 202, 404, 409, 504}
    scenario.note(
        f"{len(states)} commands to a charger that jumps: {states.count(200)} answered, {len(heard)} heard, none twice"
    )
    rows = one.get("/api/chargers/JUMPS/commands?limit=500").json
    delivered = {row["messageId"] for row in rows if row["sentAt"]}
    assert set(heard) <= delivered


def test_a_host_that_stands_still_is_replaced_and_comes_back(scenario: Scenario, cluster: Cluster) -> None:
    """All of a host's processes are stopped for longer than a lease, as by a pause of its machine."""
    two = cluster.hosts[1]
    fleet = scenario.fleet(cluster.ocpp_url, chargers=CHARGERS, call_timeout=4.0)
    fleet.is_at_work()
    os.killpg(two.master_pid, signal.SIGSTOP)
    time.sleep(LEASE + 4)
    os.killpg(two.master_pid, signal.SIGCONT)
    fleet.is_at_work()
    scenario.settle(cluster.url, fleet.comes_home(), within=2 * LEASE)
    cluster.is_whole()
