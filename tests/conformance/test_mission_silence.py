"""No message for more than five minutes is Unavailable; here the minutes are seconds."""

from __future__ import annotations

import time

from tests.support.processes import wait_until

INTERVAL, LIMIT = 1, 2
SERVER_ENVIRON = {
    "AUTOMATIC_CALLS": "off",
    "FOLLOW_UP_DELAY": "0",
    "HEARTBEAT_INTERVAL": str(INTERVAL),
    "HEARTBEAT_TIMEOUT": str(LIMIT),
    "SWEEP_INTERVAL": "0.1",
    "WEBSOCKET_PING_INTERVAL": "1",
}


def becomes(operator, charger, status, seconds=10):
    return wait_until(
        lambda: (seen := operator.sees(charger))["status"] == status and seen,
        seconds=seconds,
        what=f"the charger becomes {status}",
    )


def test_the_interval_is_handed_out(cold_charger):
    assert cold_charger.boots()["interval"] == INTERVAL


def test_a_silent_charger_becomes_unavailable_and_not_before_the_limit(charger, operator):
    charger.heartbeats()
    spoke = time.monotonic()
    seen = becomes(operator, charger, "Unavailable")
    assert time.monotonic() - spoke >= LIMIT - 0.1
    assert seen["silent"] is True
    assert seen["connected"] is True  # pongs keep the socket, but say nothing about the charger
    assert charger.transport.pings > 0


def test_the_last_reported_status_returns_when_it_speaks_again(charger, session, operator):
    assert operator.sees(charger)["status"] == "Charging"
    becomes(operator, charger, "Unavailable")
    charger.heartbeats()
    becomes(operator, charger, "Charging")
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]


def test_any_message_counts(charger, operator):
    until = time.monotonic() + 2 * LIMIT
    while time.monotonic() < until:
        charger.meters(1, None, 5)
        assert operator.sees(charger)["status"] == "Available"
        time.sleep(INTERVAL / 2)


def test_a_charger_that_has_gone_becomes_unavailable_as_well(charger, operator):
    charger.goes_offline()
    seen = becomes(operator, charger, "Unavailable")
    assert seen["connected"] is False
    charger.comes_back()
    charger.heartbeats()
    becomes(operator, charger, "Available")


def test_a_flat_charger_is_watched_in_the_same_way(wire_flat_charger, operator):
    flat = wire_flat_charger(7)
    flat.boots()
    assert operator.sees(7)["status"] == "Available"
    becomes(operator, 7, "Unavailable")
    flat.heartbeats()
    becomes(operator, 7, "Available")
