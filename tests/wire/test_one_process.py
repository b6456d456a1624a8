"""A second process on the same database waits for the first one to end, and gives up if it does not."""

from __future__ import annotations

import os
import signal
import time

import pytest

from charger_mgmt.database import engine, sole
from charger_mgmt.database.sole import SoleProcess
from charger_mgmt.errors import AnotherProcess
from tests.support.processes import wait_until
from tests.support.server import GunicornServer
from tests.support.settings import settings_for


@pytest.fixture
def claims(database_url):
    """Claims to the application's database, as of processes."""
    made: list[SoleProcess] = []

    def make() -> SoleProcess:
        made.append(SoleProcess(engine.create(settings_for(database_url))))
        return made[-1]

    yield make
    for claim in made:
        claim.release()


def test_one_process_at_a_time(claims):
    first, second = claims(), claims()
    first.take(patience=0)
    first.keep()
    with pytest.raises(AnotherProcess) as refusal:
        second.take(patience=0.3)
    assert "end it first" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    first.release()
    first.keep()  # released for good: it takes nothing back
    second.take(patience=0)


@pytest.mark.mariadb
def test_a_lost_connection_is_replaced_and_its_zombie_removed(claims, app, backend):
    if backend == "sqlite":
        return
    first, second = claims(), claims()
    first.take(patience=0)
    first._connection.connection.dbapi_connection._force_close()  # the server does not know
    first.keep()
    with pytest.raises(AnotherProcess):
        second.take(patience=0.3)


@pytest.mark.mariadb
def test_who_was_silent_for_too_long_gives_way(claims, backend, monkeypatch):
    if backend == "sqlite":
        return
    monkeypatch.setattr(sole, "LEASE", 1)
    first, second = claims(), claims()
    first.take(patience=0)
    second.take(patience=10)  # the first renews nothing meanwhile
    with pytest.raises(AnotherProcess, match="has taken over"):
        first.keep()


def connected(operator, identity):
    return operator.sees(identity)["connected"]


def test_a_second_server_does_not_start_and_does_not_touch_the_first_ones_chargers(
    server, wire_charger, wire_operator
):
    charger = wire_charger("ONE-1")
    charger.starts_up()
    second = GunicornServer(server.environ["DATABASE_URL"])
    try:
        began = time.monotonic()
        process = second.launch()
        code = process.wait(timeout=60)
        assert time.monotonic() - began > sole.PATIENCE - 1
        assert code == 4
        refusals = [line for line in second.log().splitlines() if "Another process" in line]
        assert len(refusals) == 1
        assert "Traceback" not in second.log()
        assert connected(wire_operator, "ONE-1")
        assert [event["kind"] for event in wire_operator.get("/api/chargers/ONE-1/events").json].count(
            "Connected"
        ) == 1
        charger.heartbeats()
    finally:
        second._process = None
        second.remove()


def test_a_reload_hands_over_at_once(server, wire_charger, wire_operator):
    charger = wire_charger("ONE-2")
    charger.starts_up()
    old = server.worker_pid
    os.kill(server.master_pid, signal.SIGHUP)
    wait_until(lambda: not charger.online, seconds=15, what="the charger is told to come back")
    charger.comes_back()
    charger.heartbeats()
    assert server.worker_pid != old
    wait_until(lambda: connected(wire_operator, "ONE-2"), seconds=10, what="it is shown as connected")
