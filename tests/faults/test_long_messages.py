"""One client cannot hurt another with messages of nearly a megabyte, each of them work for seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.mariadb import MariaDB
from tests.support.server import GunicornServer

from .attackers import LONG_MESSAGES
from .bystanders import FEW, MANY, bystanders_are_served
from .conftest import must_be_quiet

pytestmark = [pytest.mark.wire, pytest.mark.mariadb, pytest.mark.alone]


@pytest.fixture(scope="module")
def server(mariadb: MariaDB) -> Iterator[GunicornServer]:
    """Still busy with the samples of one attack when the next begins."""
    with GunicornServer(mariadb.create_database(), {"AUTOMATIC_CALLS": "off"}) as running:
        yield running
        must_be_quiet(running)


@pytest.mark.parametrize("kind", LONG_MESSAGES)
def test_ten_attackers(server: GunicornServer, kind: str) -> None:
    bystanders_are_served(server, kind, FEW)


@pytest.mark.parametrize("kind", ["ws-long", "flat-long"])
def test_a_hundred_and_fifty_attackers(server: GunicornServer, kind: str) -> None:
    bystanders_are_served(server, kind, MANY)
