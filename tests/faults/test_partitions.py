"""Hosts with networks of their own: cables are pulled between a host and Redis, the database, the other host, everybody."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support import network
from tests.support.processes import wait_until
from tests.support.server import GunicornServer
from tests.support.spread import Spread, spread
from tests.wire.raw import booted

from .conftest import ENVIRON, Scenario, must_be_quiet
from .test_cluster import FLEET, LEASE

pytestmark = [
    pytest.mark.wire,
    pytest.mark.mariadb,
    pytest.mark.skipif(not network.is_permitted() and not os.environ.get("CI"), reason=network.MISSING),
]

CHARGERS = 500


def is_whole(spread: Spread) -> None:
    """Wait until all four workers serve."""
    wait_until(
        lambda: len(spread.servers[0].get("/api/processes").json) == 4,
        seconds=40,
        what="four processes serve",
    )


@pytest.fixture
def apart() -> Iterator[Spread]:
    with ExitStack() as stack:
        made = spread(stack, 2, ENVIRON | FLEET, networks=True)
        is_whole(made)
        yield made
        for server in made.servers:
            must_be_quiet(server)
            if server.is_running:
                server.terminate()


def _command(server: GunicornServer, identity: str) -> Any:
    return server.post(f"/api/chargers/{identity}/commands/GetConfiguration", {})


def held(server: GunicornServer) -> list[int]:
    """How many chargers each process holds."""
    return [process["sockets"] for process in server.get("/api/processes").json]


def test_partitions(scenario: Scenario, apart: Spread) -> None:
    one, two = apart.servers
    first, second = apart.hosts
    ocpp_url = f"ws://{apart.balancer.host}:{apart.balancer.port}/ocpp"
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
        is_whole(apart)

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
    is_whole(apart)
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
    is_whole(apart)
    fleet.gets_answers(500)
    scenario.settle(apart.url, fleet.comes_home(), within=2 * LEASE)
