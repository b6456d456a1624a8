"""A small database plan: ten connections. Chargers keep theirs whatever REST or others do with the rest."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pymysql
import pytest

from tests.support.mariadb import MariaDB
from tests.support.processes import wait_until
from tests.support.server import ROOT, GunicornServer

from .raw import RawCharger, booted

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]

PLAN = 10
FITS = {"CHARGER_CONNECTIONS": "5", "REST_CONNECTIONS": "3", "AUTOMATIC_CALLS": "off"}
SECONDS = 6.0
NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def plan(mariadb: MariaDB) -> tuple[str, int]:
    """The URL of a database whose account has ten connections."""
    name = f"small_{next(NAMES)}"
    mariadb.execute(f"CREATE DATABASE {name}")
    mariadb.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS {PLAN}")
    mariadb.execute(f"GRANT ALL ON {name}.* TO '{name}'@'%'")
    return f"mysql://{name}:x@127.0.0.1:{mariadb.port}/{name}", mariadb.port


@pytest.fixture(scope="module")
def server(plan: tuple[str, int]) -> Iterator[GunicornServer]:
    with GunicornServer(plan[0], FITS) as running:
        yield running
        assert [line for line in running.alarms() if "no database connection was free" not in line] == []


def meter(number: int) -> dict:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"connectorId": 1, "meterValue": [{"timestamp": stamp, "sampledValue": [{"value": str(number)}]}]}


def speak(charger: RawCharger, until: threading.Event) -> list[float]:
    """Stored messages, one after the other; how long each took."""
    took = []
    while not until.is_set():
        began = time.monotonic()
        charger.calls("MeterValues", meter(len(took)))
        took.append(time.monotonic() - began)
        time.sleep(0.05)
    return took


def under_load(server: GunicornServer, load) -> Counter:
    """Twenty chargers speak while `load(stop)` runs; none is dropped. What 12 REST clients were told."""
    stop = threading.Event()
    server.token()
    statuses: Counter = Counter()

    def ask() -> None:
        while not stop.is_set():
            answer = server.get("/api/transactions?limit=50", timeout=30)
            statuses["ok" if answer.status == 200 else answer.json["code"]] += 1

    with ExitStack() as stack:
        chargers = [stack.enter_context(booted(server, f"PLAN-{number}")) for number in range(20)]
        pool = stack.enter_context(ThreadPoolExecutor(64))
        speaking = [pool.submit(speak, charger, stop) for charger in chargers]
        asking = [pool.submit(ask) for _ in range(12)]
        try:
            load()
        finally:
            stop.set()
        assert all(len(each.result(timeout=30)) > 5 for each in speaking)
        for each in asking:
            each.result(timeout=60)
    assert "the database is away" not in server.log()
    return statuses


def test_a_storm_of_requests_leaves_the_chargers_their_connections(server, mariadb):
    used = []

    def load() -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            count = "SELECT COUNT(*) FROM information_schema.processlist WHERE user LIKE 'small%'"
            used.append(mariadb.execute(count)[0][0])
            time.sleep(0.2)

    statuses = under_load(server, load)
    assert set(statuses) == {"ok"}
    assert max(used) <= PLAN


def test_others_that_use_the_plan_up_are_rests_trouble_alone(server, plan):
    """Somebody else has the account's last connections, and REST's are cut: it gets no new ones."""
    url, port = plan
    name = url.rpartition("/")[2]
    taken: list[pymysql.Connection] = []

    def grab() -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                taken.append(
                    pymysql.connect(host="127.0.0.1", port=port, user=name, password="x", database=name)
                )
            except pymysql.err.OperationalError:  # the plan is used up
                time.sleep(0.05)

    # A server whose REST side has not opened its connections yet.
    server.restart()
    try:
        grabber = threading.Thread(target=grab)
        grabber.start()
        wait_until(lambda: taken, seconds=10, what="connections are taken")
        statuses = under_load(server, lambda: grabber.join())
    finally:
        for connection in taken:
            connection.close()
    assert statuses["database-busy"] > 0
    assert set(statuses) <= {"ok", "database-busy"}
    assert server.get("/api/transactions").status == 200


@pytest.mark.parametrize(
    ("environ", "advice"),
    [
        ({}, "Set CHARGER_CONNECTIONS=6 and REST_CONNECTIONS=2"),
        ({"CHARGER_CONNECTIONS": "5", "REST_CONNECTIONS": "4"}, "REST_CONNECTIONS=2"),
        ({"COMMITTERS": "8"}, "At least 13 are needed"),
    ],
)
def test_pools_that_exceed_the_plan_are_refused_at_the_start(plan, environ, advice):
    url, _ = plan
    refused = GunicornServer(url, environ)
    try:
        subprocess.run(
            [sys.executable, "-m", "flask", "db", "upgrade"], cwd=ROOT, env=refused.environ, check=True
        )
        process = refused.launch()
        assert process.wait(timeout=60) == 4
        refusals = [
            line for line in refused.log().splitlines() if "allows this account 10 connections" in line
        ]
        assert len(refusals) == 1
        assert advice in refusals[0]
        assert "Traceback" not in refused.log()
    finally:
        refused._process = None
        refused.remove()
