"""The database goes away and comes back: nobody is answered, nobody is let in, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.support.mariadb import MariaDB
from tests.support.processes import wait_until
from tests.support.server import GunicornServer

from .raw import asked, booted, dialed

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]

START = {"connectorId": 1, "idTag": "A", "meterStart": 10, "timestamp": "2026-11-22T10:00:00Z"}


@pytest.fixture
def own(mariadb: MariaDB) -> Iterator[GunicornServer]:
    with GunicornServer(
        mariadb.create_database(), {"AUTOMATIC_CALLS": "off", "COMMIT_TIMEOUT": "3"}
    ) as server:
        yield server


def is_shown_connected(server: GunicornServer, identity: str) -> Any:
    return server.get(f"/api/chargers/{identity}").json["connected"]


def test_sockets_are_dropped_unanswered_and_newcomers_get_503_until_it_is_back(
    own: GunicornServer, mariadb: MariaDB
) -> None:
    with booted(own, "AWAY") as charger:
        mariadb.kill()
        with pytest.raises((EOFError, ConnectionError)):  # neither an answer nor a close frame
            charger.calls("StartTransaction", START)
    refused = asked(own, "/ocpp/AWAY")
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    mariadb.start()
    wait_until(lambda: asked(own, "/ocpp/PROBE").status == 101, seconds=20, what="newcomers are let in")
    wait_until(
        lambda: is_shown_connected(own, "AWAY") is False, seconds=10, what="the departure is noted after all"
    )
    with dialed(own, "AWAY") as charger:
        first = charger.calls("StartTransaction", START)
        assert first[2]["transactionId"] > 0
        assert charger.calls("StartTransaction", START)[2] == first[2]
    assert len(own.get("/api/transactions/charger/AWAY").json) == 1


def test_a_connection_whose_commit_was_in_doubt_is_not_shown_for_ever(
    own: GunicornServer, mariadb: MariaDB
) -> None:
    """It was stored, but the database died before it could say so: no socket stands behind it."""
    with booted(own, "GHOST"):
        pass
    wait_until(lambda: is_shown_connected(own, "GHOST") is False, seconds=10, what="it has left")
    with booted(own, "QUIET"), booted(own, "BUSY") as busy:
        mariadb.execute(
            "UPDATE chargers AS ghost JOIN chargers AS quiet ON quiet.identity = 'QUIET'"
            " SET ghost.connected = 1, ghost.process_id = quiet.process_id,"
            " ghost.connected_since = quiet.connected_since, ghost.generation = ghost.generation + 1"
            " WHERE ghost.identity = 'GHOST'",
            make_url(own.environ["DATABASE_URL"]).database,
        )
        assert is_shown_connected(own, "GHOST") is True
        mariadb.kill()
        with pytest.raises((EOFError, ConnectionError)):
            busy.calls("StartTransaction", START)
        mariadb.start()
        wait_until(lambda: asked(own, "/ocpp/PROBE").status == 101, seconds=20, what="newcomers are let in")
        wait_until(lambda: is_shown_connected(own, "GHOST") is False, seconds=15, what="the ghost is gone")
        assert is_shown_connected(own, "QUIET") is True
