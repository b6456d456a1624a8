"""X-32: the database dies while a charger reports the end of a session."""

from __future__ import annotations

from typing import Any

import pytest

from charger_mgmt.simulate.transport import HandshakeRefused
from tests.support.processes import wait_until
from tests.support.server import GunicornServer

SERVER_ENVIRON = {
    "AUTOMATIC_CALLS": "off",
    "FOLLOW_UP_DELAY": "0",
    "DATABASE_TIMEOUT": "2",
    "COMMIT_TIMEOUT": "5",
}


@pytest.fixture(scope="module")
def server(mariadb):
    """On a database that this test may kill."""
    with GunicornServer(mariadb.create_database(), SERVER_ENVIRON) as running:
        yield running
        assert running.alarms() == []


def dropped(charger: Any) -> None:
    wait_until(lambda: not charger.online, seconds=15, what="the charger's socket is dropped")


@pytest.mark.mariadb
def test_X_32_a_stop_during_an_outage_is_not_lost(charger, session, operator, mariadb):
    mariadb.kill()
    stop = charger.stops(session, meter=8300)
    assert not stop.acknowledged
    assert stop.error is None  # an error would use up the charger's attempts
    dropped(charger)
    assert charger.closed_with[0] == 1006  # no close frame: the charger counts itself offline
    for _ in range(2):
        with pytest.raises(HandshakeRefused) as refused:
            charger.dials_in()
        assert refused.value.status == 503
        assert int(refused.value.headers["retry-after"]) > 0
    assert operator.get("/health/ready").status == 503
    mariadb.start()
    assert charger.delivers_everything(within=30)
    assert stop.answer == {}
    assert stop.failures == 0
    (row,) = operator.history(charger)
    assert (row["transactionId"], row["status"]) == (session.transaction_id, "Completed")
    assert (row["energyWh"], row["meterStopWh"]) == (7300, 8300)
    assert operator.get("/api/inbox").json == []


@pytest.mark.mariadb
def test_X_32_a_database_that_hangs_is_a_database_that_is_away(charger, session, operator, mariadb):
    mariadb.pause()
    try:
        stop = charger.stops(session, meter=2000)
        assert not stop.acknowledged
        assert stop.error is None
        dropped(charger)
    finally:
        mariadb.resume()
    assert charger.delivers_everything(within=30)
    assert stop.answer == {}
    assert [(row["status"], row["energyWh"]) for row in operator.history(charger)] == [("Completed", 1000)]
