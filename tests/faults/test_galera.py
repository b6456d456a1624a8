"""A database of three nodes, of which one is written to: it dies, it is cut off, and all that it costs is a pause."""

from __future__ import annotations

import time

import pymysql
import pytest

from tests.support.galera import Galera, Node
from tests.support.haproxy import HAProxy
from tests.support.processes import wait_until
from tests.support.server import GunicornServer

from .conftest import ENVIRON, Scenario, must_be_quiet

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]

CHARGERS = 200


def _writer(cluster: Galera, balancer: HAProxy) -> Node:
    """The node that the balancer sends everybody to."""
    name = cluster.through(balancer.port, "SELECT @@wsrep_node_name")[0][0]
    return next(node for node in cluster.nodes if name == f"node{node.number}")


def _is_another(cluster: Galera, balancer: HAProxy, node: Node) -> None:
    """Wait until another node is written to."""

    def moved() -> bool:
        try:
            return _writer(cluster, balancer) is not node
        except pymysql.err.Error:
            return False

    wait_until(moved, seconds=20, what="another node is written to")


def test_the_writer_is_killed_and_its_successor_cut_off(scenario: Scenario) -> None:
    with (
        Galera() as cluster,
        HAProxy(*(node.port for node in cluster.nodes), recipe="haproxy-database.cfg") as balancer,
    ):
        wait_until(lambda: cluster.answers(balancer.port), seconds=20, what="a node is chosen")
        url = cluster.create_database(balancer.port)
        with GunicornServer(url, ENVIRON | {"AUTOMATIC_CALLS": "off"}) as server:
            fleet = scenario.fleet(server.ocpp_url, chargers=CHARGERS)
            fleet.is_at_work()
            scenario.load(1, 3)

            first = _writer(cluster, balancer)
            first.kill()
            began = time.monotonic()
            _is_another(cluster, balancer, first)
            server.wait_until_ready(seconds=40)
            fleet.is_at_work(seconds=60)
            scenario.note(f"the writer was killed: all at work after {time.monotonic() - began:.1f} s")
            second = _writer(cluster, balancer)
            assert second is not first
            first.start()
            fleet.gets_answers(300)
            assert _writer(cluster, balancer) is second  # nobody moves back

            second.cut_off()
            began = time.monotonic()
            wait_until(lambda: second.state() != "Synced", seconds=20, what="it is not with the majority")
            _is_another(cluster, balancer, second)
            server.wait_until_ready(seconds=40)
            fleet.is_at_work(seconds=60)
            scenario.note(f"the writer was cut off: all at work after {time.monotonic() - began:.1f} s")
            second.reconnect()
            wait_until(lambda: second.state() == "Synced", seconds=30, what="it is in step again")
            fleet.gets_answers(300)
            scenario.settle(url, fleet.comes_home())
            must_be_quiet(server)
