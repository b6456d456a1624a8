"""The database's clock is set forward or back by an hour: nobody is judged by it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import gevent
import pytest
from sqlalchemy import event

from charger_mgmt.gateway.watch import LivenessWatch
from charger_mgmt.serving.process import process_of
from tests.support.processes import wait_until

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def backend():
    return "sqlite"  # whose clock is a function that a test may set


@pytest.fixture
def database_clock(app):
    """The database's own clock: `database_clock.jumps(by)`."""

    class Clock:
        offset = timedelta()

        def jumps(self, by):
            self.offset += by

        def text(self, *_arguments):
            return (datetime.now(UTC) + self.offset).strftime("%Y-%m-%d %H:%M:%S.%f")

    clock = Clock()

    def use(connection, _record):
        connection.create_function("strftime", -1, clock.text)

    event.listen(process_of(app).central.database.engine, "connect", use)
    return clock


@pytest.fixture
def watcher(app, database_clock):
    watcher = LivenessWatch(process_of(app).central)
    watcher.turn()
    return watcher


def boots(charger):
    charger.boots()
    charger.reports(1, "Available")


def test_a_clock_that_jumps_forward_makes_nobody_silent(watcher, charger, operator, database_clock):
    boots(charger)
    watcher.turn()
    database_clock.jumps(HOUR)
    watcher.turn()
    watcher.turn()
    assert operator.sees("CP-1")["status"] == "Available"


@pytest.mark.settings(heartbeat_timeout=1, liveness_probe_seconds=0)
def test_after_a_jump_back_silence_is_still_noticed_in_time(watcher, charger, operator, database_clock):
    boots(charger)
    watcher.turn()
    database_clock.jumps(-HOUR)
    watcher.turn()
    assert operator.sees("CP-1")["status"] == "Available"

    def silent():
        gevent.sleep(0)
        watcher.turn()
        return operator.sees("CP-1")["status"] == "Unavailable"

    began = time.monotonic()
    wait_until(silent, seconds=10, what="the silence is noticed", every=0.1)
    assert time.monotonic() - began > 0.8


@pytest.mark.settings(heartbeat_timeout=1, liveness_probe_seconds=0)
def test_after_a_jump_forward_silence_is_still_noticed_in_time(watcher, charger, operator, database_clock):
    boots(charger)
    watcher.turn()
    database_clock.jumps(HOUR)
    watcher.turn()
    wait_until(
        lambda: watcher.turn() or operator.sees("CP-1")["status"] == "Unavailable",
        seconds=10,
        what="the silence is noticed",
        every=0.1,
    )


@pytest.mark.settings(heartbeat_timeout=1, liveness_probe_seconds=0)
def test_a_jump_while_we_were_not_running_is_put_right_at_the_start(app, charger, operator, database_clock):
    central = process_of(app).central
    before = LivenessWatch(central)
    boots(charger)
    before.turn()
    database_clock.jumps(-HOUR)
    after = LivenessWatch(central)
    wait_until(
        lambda: after.turn() or operator.sees("CP-1")["status"] == "Unavailable",
        seconds=10,
        what="the silence is noticed",
        every=0.1,
    )
