"""Records that the database refuses, in batches full of good ones."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from tests.support.mariadb import MariaDB

from .books import Rows
from .conftest import Scenario, started

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]
#: The database takes no session with these tags and no sample with these texts.
TRIGGERS = (
    "CREATE TRIGGER no_such_session BEFORE INSERT ON transactions FOR EACH ROW"
    " IF NEW.id_tag LIKE '%%6' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF",
    "CREATE TRIGGER no_such_sample BEFORE INSERT ON meter_values FOR EACH ROW"
    " IF NEW.raw LIKE '%%7.1' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF",
)


def test_poison_in_full_batches(scenario: Scenario, mariadb: MariaDB) -> None:
    """Poison is kept whole in the inbox and answered; its neighbours do not notice."""
    url = mariadb.create_database()
    with started(url) as server:
        for trigger in TRIGGERS:
            mariadb.execute(trigger.replace("%%", "%"), make_url(url).database)
        fleet = scenario.fleet(server.ocpp_url)
        fleet.is_at_work()
        scenario.load(scenario.seconds, scenario.seconds)
        account = scenario.settle(url, fleet.comes_home())
        kept = len(Rows(url, ()).inbox)
        scenario.note(f"{kept} of {account.stored} messages are in the inbox")
        assert kept > 20
