"""Hosts with networks of their own: cables are pulled between a host and Redis, the database, the other host, everybody."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.support import network
from tests.support.haproxy import HAProxy
from tests.support.mariadb import MariaDB
from tests.support.network import Host, Network
from tests.support.processes import wait_until
from tests.support.redis import Redis
from tests.support.server import GunicornServer
from tests.wire.raw import booted

from .conftest import ENVIRON, Scenario, must_be_quiet
from .test_cluster import FLEET, LEASE

pytestmark = [
    pytest.mark.wire,
    pytest.mark.mariadb,
    pytest.mark.skipif(not network.is_permitted() and not os.environ.get("CI"), reason=network.MISSING),
]

CHARGERS = 500


@dataclass
class Fleet:
    url: str
    hosts: list[Host]
    servers: list[GunicornServer]
    balancer: HAProxy

    def is_whole(self, processes: int = 4) -> None:
        wait_until(
            lambda: len(self.servers[0].get("/api/processes").json) == processes,
            seconds=40,
            what=f"{processes} processes serve",
        )


@pytest.fixture
def spread() -> Iterator[Fleet]:
    with ExitStack() as stack:
        net = stack.enter_context(Network(2))
        database = stack.enter_context(MariaDB(f"--bind-address=127.0.0.1,{network.DATABASE}"))
        database.execute("CREATE USER root@'10.77.0.%' IDENTIFIED BY ''")
        database.execute("GRANT ALL ON *.* TO root@'10.77.0.%' WITH GRANT OPTION")
        own = make_url(database.create_database())
        url = own.set(host=network.DATABASE).render_as_string(hide_password=False)
        redis = stack.enter_context(Redis(network.REDIS))
        servers = []
        for host in net.hosts:
            environ = ENVIRON | FLEET | {"REDIS_URL": redis.url, "TRUSTED_PROXIES": network.HERE}
            server = GunicornServer(url, environ | {"HOST": host.address}, on=host)
            stack.callback(server.remove)
            servers.append(server)
        servers[0].prepare()
        for server in servers:
            server.start()
        balancer = stack.enter_context(HAProxy(*(f"{each.host}:{each.port}" for each in servers)))
        made = Fleet(own.render_as_string(hide_password=False), net.hosts, servers, balancer)
        made.is_whole()
        yield made
        for server in servers:
            must_be_quiet(server)
            if server.is_running:
                server.terminate()


def _command(server: GunicornServer, identity: str) -> Any:
    return server.post(f"/api/chargers/{identity}/commands/GetConfiguration", {})


def held(server: GunicornServer) -> list[int]:
    """How many chargers each process holds."""
    return [process["sockets"] for process in server.get("/api/processes").json]


def test_partitions(scenario: Scenario, spread: Fleet) -> None:
    one, two = spread.servers
    first, second = spread.hosts
    ocpp_url = f"ws://{spread.balancer.host}:{spread.balancer.port}/ocpp"
    fleet = scenario.fleet(ocpp_url, chargers=CHARGERS, call_timeout=4.0)
    fleet.is_at_work(seconds=60)

    # A host and Redis.
    with booted(two, "ON-TWO") as charger:
        first.loses(network.REDIS)
        wait_until(lambda: _command(one, "ON-TWO").status == 503, seconds=10, what="the bus is away")
        assert _command(one, "ON-TWO").json["code"] == "bus-away"
        fleet.gets_answers(1000)
        assert charger.calls("Heartbeat", {})[0] == 3
        fleet.is_at_work(share=0.99)  # nobody has noticed
        first.finds(network.REDIS)
        wait_until(lambda: _command(one, "ON-TWO").status != 503, seconds=20, what="the bus is back")
        spread.is_whole()

    # The two hosts: they have nothing to say to each other but through the database and Redis.
    first.loses(second.address)
    second.loses(first.address)
    fleet.gets_answers(500)
    fleet.is_at_work(share=0.99)
    first.finds(second.address)
    second.finds(first.address)

    # A host and the database: its chargers are let go, and are in again on the other one.
    second.loses(network.DATABASE)
    began = time.monotonic()
    wait_until(lambda: not two.is_ready(), seconds=20, what="a host without the database is not ready")
    fleet.is_at_work(seconds=60)
    scenario.note(
        f"a host lost the database: all at work on the other after {time.monotonic() - began:.1f} s"
    )
    second.finds(network.DATABASE)
    two.wait_until_ready()
    fleet.gets_answers(500)

    # A host loses both, so nobody knows what it does; then it is back.
    second.loses(network.DATABASE)
    second.loses(network.REDIS)
    time.sleep(LEASE + 2)
    second.finds(network.DATABASE)
    second.finds(network.REDIS)
    fleet.is_at_work(seconds=60)

    # A host's power is cut: no socket of its says goodbye.
    spread.is_whole()
    second.unplug()
    began = time.monotonic()
    two.kill_master()
    wait_until(lambda: len(held(one)) == 2, seconds=2 * LEASE, what="it is noticed by its lease")
    scenario.note(
        f"a host vanished without a word: known by its lease after {time.monotonic() - began:.1f} s"
    )
    wait_until(lambda: sum(held(one)) >= 0.99 * CHARGERS, seconds=60, what="its chargers are on the other")
    scenario.note(f"  and its chargers on the other one after {time.monotonic() - began:.1f} s")
    second.plug()
    two.start()
    spread.is_whole()
    fleet.gets_answers(500)
    scenario.settle(spread.url, fleet.comes_home(), within=2 * LEASE)
