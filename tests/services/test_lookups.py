"""Those who dial at the same moment are looked up together."""

from __future__ import annotations

import gevent
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from charger_mgmt.errors import DatabaseAway
from charger_mgmt.gateway.lookups import LookUps
from tests.services.conftest import Central


@pytest.fixture
def asked(central: Central) -> list[str]:
    """The looks for chargers that the database has seen."""
    seen: list[str] = []

    @event.listens_for(central.engine, "before_cursor_execute")
    def notes(conn, cursor, statement, parameters, context, executemany) -> None:
        if "chargers.identity IN" in statement:
            seen.append(statement)

    return seen


def found(lookups: LookUps, *identities: str) -> list[str | None]:
    looking = [gevent.spawn(lookups.find, identity) for identity in identities]
    gevent.joinall(looking, raise_error=True)
    return [row.identity if (row := each.value) is not None else None for each in looking]


def test_all_who_ask_at_once_are_answered_by_one_statement_each_with_its_own(
    central: Central, asked: list[str]
) -> None:
    for identity in ("CP1", "CP2", "CP 3"):
        central.charger(identity)
    asked.clear()
    lookups = LookUps(central.database)
    assert found(lookups, "CP1", "CP 3", "nobody", "CP2", "CP1") == ["CP1", "CP 3", None, "CP2", "CP1"]
    assert len(asked) == 1
    # MariaDB's comparison ignores blanks at the end, ours does not.
    assert found(lookups, "CP1 ", "CP2") == [None, "CP2"]


def test_a_name_that_the_database_refuses_is_its_bearers_trouble_alone(central: Central) -> None:
    central.charger("CP1")
    lookups = LookUps(central.database)
    good, bad = gevent.spawn(lookups.find, "CP1"), gevent.spawn(lookups.find, "\ud800")
    gevent.joinall([good, bad])
    assert good.value.identity == "CP1"
    assert bad.value is None  # refused (an exception) or not found, by what the database is
    assert found(lookups, "CP1") == ["CP1"]


def test_a_database_that_is_away_is_away_for_all(central: Central) -> None:
    central.charger("CP1")
    lookups = LookUps(central.database)

    @event.listens_for(central.engine, "before_cursor_execute")
    def fails(conn, cursor, statement, parameters, context, executemany) -> None:
        raise OperationalError(statement, parameters, Exception(2013, "Lost connection"))

    looking = [gevent.spawn(lookups.find, identity) for identity in ("CP1", "CP2")]
    gevent.joinall(looking)
    assert all(isinstance(each.exception, DatabaseAway) for each in looking)
    event.remove(central.engine, "before_cursor_execute", fails)
    assert found(lookups, "CP1") == ["CP1"]
