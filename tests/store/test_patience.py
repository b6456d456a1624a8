"""What the server is told of our patience: a transaction whose host has gone ends, and a connection that nobody uses."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from charger_mgmt.database import engine as engines
from charger_mgmt.database.faults import Fault, classify, is_timeout
from tests.support.settings import settings_for

pytestmark = pytest.mark.mariadb


@pytest.fixture
def backend() -> str:
    return "mariadb"


def test_a_transaction_that_says_nothing_ends_before_others_give_up_waiting_for_it(database_url: str) -> None:
    settings = settings_for(database_url, database_timeout=3)
    gone, waits = engines.create(settings), engines.create(settings)
    with gone.connect() as first:
        name = first.scalar(text("SELECT VERSION()"))
        first.execute(text("INSERT INTO chargers (identity, created_at) VALUES ('HELD', UTC_TIMESTAMP(3))"))
        if "MariaDB" not in name:
            assert first.scalar(text("SELECT @@wait_timeout")) == 30
            return
        with waits.begin() as second:  # it would be refused after two seconds
            began = time.monotonic()
            second.execute(
                text("INSERT INTO chargers (identity, created_at) VALUES ('HELD', UTC_TIMESTAMP(3))")
            )
            assert time.monotonic() - began < 2.5
        with pytest.raises(OperationalError) as lost:
            first.execute(text("SELECT 1"))
        assert classify(lost.value) is Fault.AWAY
        assert not is_timeout(lost.value)  # so it is run once more
    gone.dispose()
    waits.dispose()
