"""Two hosts behind the balancers of deploy/: chargers come through unharmed, by TLS too, and are spread evenly."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trustme

import config
from tests.support.haproxy import HAProxy
from tests.support.mariadb import MariaDB
from tests.support.nginx import Nginx
from tests.support.processes import wait_until
from tests.support.redis import Redis
from tests.support.server import ROOT, GunicornServer
from tests.support.settings import all_variables

from .raw import RawCharger, booted, dialed

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]

SETTINGS = {
    "AUTOMATIC_CALLS": "off",
    "LEASE_SECONDS": "6",
    "DRAIN_SECONDS": "2",
    "TRUSTED_PROXIES": "127.0.0.1",
}


@pytest.fixture(scope="module")
def servers(mariadb: MariaDB) -> Iterator[list[GunicornServer]]:
    url = mariadb.create_database()
    with Redis() as redis:
        one = GunicornServer(url, SETTINGS | {"REDIS_URL": redis.url})
        two = GunicornServer(url, SETTINGS | {"REDIS_URL": redis.url})
        try:
            one.prepare()
            one.start()
            two.start()
            yield [one, two]
            for server in (one, two):
                assert server.alarms() == []
                if server.is_running:
                    server.terminate()
        finally:
            one.remove()
            two.remove()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module", params=[HAProxy, Nginx])
def balancer(
    request: pytest.FixtureRequest,
    servers: list[GunicornServer],
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    certificate = tmp_path_factory.mktemp("tls") / "both.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    with request.param(*(server.port for server in servers), certificate=certificate) as running:
        for server in servers:
            if not server.is_running:
                server.start()
        time.sleep(2.5)  # it has seen both of them ready
        yield running


def address_of(server: GunicornServer, identity: str) -> str:
    (event, *_) = server.get(f"/api/chargers/{identity}/events?kind=Connected").json
    return str(event["detail"]["address"])


def sockets(servers: list[GunicornServer]) -> list[int]:
    return [process["sockets"] for process in servers[0].get("/api/processes").json]


def test_a_charger_comes_through_as_it_is(servers: list[GunicornServer], balancer: Any) -> None:
    identity = "RU-CH 1 ä+"
    headers = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("Forwarded", "for=203.0.113.9"),
        ("X-Padding", "x" * 6000),
    ]
    with booted(balancer, identity, headers=headers) as charger:
        assert charger.calls("Heartbeat", {})[0] == 3
        long = {"vendorId": "V", "data": "x" * 60_000}
        assert charger.calls("DataTransfer", long)[0] in (3, 4)
    # What the charger says of its own address is not believed.
    assert address_of(servers[0], "RU-CH%201%20%C3%A4+") == "127.0.0.1"


def test_a_refusal_and_its_reason_come_through(balancer: Any) -> None:
    with RawCharger((balancer.host, balancer.port)) as charger:
        answer = charger.asks("/ocpp/CP1", subprotocols="ocpp2.0.1")
        assert answer.status == 400
        assert b"ocpp1.6" in answer.body


def test_by_tls(servers: list[GunicornServer], balancer: Any, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version = context.maximum_version = version
        with RawCharger((balancer.host, balancer.tls_port)) as charger:
            charger.socket = context.wrap_socket(charger.socket, server_hostname="127.0.0.1")
            assert charger.asks("/ocpp/BY-TLS").status == 101
            assert charger.boots()["status"] == "Accepted"
    assert address_of(servers[0], "BY-TLS") == "127.0.0.1"


def test_chargers_are_spread_and_a_host_that_ends_or_dies_gets_none(
    servers: list[GunicornServer], balancer: Any
) -> None:
    _, two = servers
    with ExitStack() as stack:
        for number in range(10):
            stack.enter_context(booted(balancer, f"SPREAD{number}"))
        wait_until(lambda: sorted(sockets(servers)) == [5, 5], seconds=5, what="each has its half")
    two.terminate()
    for number in range(4):
        with dialed(balancer, f"AFTER{number}") as charger:
            assert charger.boots()["status"] == "Accepted"
    two.start()
    two.kill_master()
    for number in range(4):
        with dialed(balancer, f"DEAD{number}") as charger:
            assert charger.boots()["status"] == "Accepted"
    two.start()


# What systemd is given


def test_the_unit_is_one_that_systemd_takes(tmp_path) -> None:
    program = shutil.which("systemd-analyze")
    assert program is not None, "systemd-analyze is missing: sudo apt-get install systemd"
    unit = (ROOT / "deploy" / "charger-mgmt.service").read_text()
    assert "/opt/charger-mgmt/.venv/bin/python" in unit
    file = tmp_path / "charger-mgmt.service"
    file.write_text(unit.replace("/opt/charger-mgmt/.venv/bin/python", "/bin/true"))
    done = subprocess.run([program, "verify", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_sample_environment_is_a_configuration() -> None:
    lines = (ROOT / "deploy" / "charger-mgmt.env").read_text().splitlines()
    pairs = [line.lstrip("#") for line in lines if "=" in line and not line.startswith("# ")]
    given = dict(pair.split("=", 1) for pair in pairs)
    assert given.keys() <= set(all_variables())
    config.load(given | {"JWT_SECRET_KEY": "x" * 40})
    unit = (ROOT / "deploy" / "charger-mgmt.service").read_text()
    (stop,) = [int(line.split("=")[1]) for line in unit.splitlines() if line.startswith("TimeoutStopSec=")]
    settings = config.load(given | {"JWT_SECRET_KEY": "x" * 40})
    assert stop > settings.drain_seconds + 15 + 3  # gunicorn's own patience, and the balancer's
