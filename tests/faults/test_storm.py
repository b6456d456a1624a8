"""Everybody comes back at once, each with a queue."""

from __future__ import annotations

import time

import pytest

from tests.support.mariadb import MariaDB

from .conftest import Scenario, must_be_quiet, started

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]
#: Messages in each charger's queue.
QUEUED = 10


def test_reconnect_storm(scenario: Scenario, mariadb: MariaDB) -> None:
    """2,000 chargers (5,000 in a soak) dial at the same moment with ten queued messages each."""
    chargers = 2000 if scenario.seconds < 60 else 5000
    url = mariadb.create_database()
    with started(url) as server:
        began = time.monotonic()
        # So many chargers in one process of Python are slow themselves: they must be patient with their own kind.
        fleet = scenario.fleet(
            server.ocpp_url,
            chargers=chargers,
            queued=QUEUED,
            drain_within=240.0,
            connect_timeout=60.0,
            call_timeout=60.0,
        )
        account = scenario.settle(url, fleet.is_done(), within=30)
        took = time.monotonic() - began
        scenario.note(f"{chargers} chargers x {QUEUED} messages in {took:.1f} s, all told")
        assert account.acknowledged == account.stored == chargers * QUEUED
        must_be_quiet(server)
