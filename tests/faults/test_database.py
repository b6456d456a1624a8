"""The database is away in every way there is, and comes back, under the load of a fleet."""

from __future__ import annotations

import random
import threading
import time

import pymysql
import pytest
from sqlalchemy.engine import make_url

from tests.support.mariadb import MariaDB

from .conftest import Scenario, must_be_quiet, started

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]


def test_stopped_for_long_while_the_worker_dies_as_well(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url)
        fleet.is_at_work()
        mariadb.stop()
        try:
            scenario.load(1, 2)
            server.kill_worker()
            scenario.load(scenario.seconds / 2, scenario.seconds)
        finally:
            mariadb.start()
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)


def test_hanging(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url)
        for seconds in (0.5, 5.0, scenario.chance.uniform(1, 9)):
            fleet.is_at_work()
            scenario.load(0.2, 1.5)
            mariadb.pause()
            try:
                time.sleep(seconds)
            finally:
                mariadb.resume()
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)


def as_charger_user(mariadb: MariaDB, url: str) -> str:
    """The same database for a user without an administrator's rights."""
    database = make_url(url).database
    mariadb.execute("CREATE USER IF NOT EXISTS 'charger'@'%' IDENTIFIED BY 'charger'")
    mariadb.execute(f"GRANT ALL ON {database}.* TO 'charger'@'%'")
    return make_url(url).set(username="charger", password="charger").render_as_string(hide_password=False)


def test_read_only(scenario: Scenario, mariadb: MariaDB) -> None:
    url = as_charger_user(mariadb, mariadb.create_database())
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url)
        for _ in range(2):
            fleet.is_at_work()
            scenario.load(0.2, 1.5)
            mariadb.execute("SET GLOBAL read_only=1")
            try:
                scenario.load(1, 4)
            finally:
                mariadb.execute("SET GLOBAL read_only=0")
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        must_be_quiet(server)


#: Tables live in one file of so many MB that may not grow: to InnoDB, a disk that is full.
ROOM = 40
FULL = 1114


def test_disk_full(scenario: Scenario) -> None:
    """A row may still fit where the next one does not: the database comes and goes until there is room."""
    with MariaDB(
        "--innodb-file-per-table=0",
        f"--innodb-data-file-path=ibdata1:12M:autoextend:max:{ROOM}M",
        "--innodb-undo-tablespaces=2",  # making room again takes some as well
    ) as mariadb:
        url = mariadb.create_database()
        name = make_url(url).database
        with started(url) as server:
            fleet = scenario.fleet(server.ocpp_url, chargers=100)
            for _ in range(2):
                fleet.is_at_work()
                scenario.load(0.2, 1.5)
                fill_up(mariadb, name)
                fleet.waits(lambda f: f["online"] < 50, 30, "chargers are turned away")
                scenario.load(1, 3)
                mariadb.execute("DROP TABLE ballast", name)
            fleet.is_at_work()
            scenario.settle(url, fleet.comes_home())
            must_be_quiet(server)


def fill_up(mariadb: MariaDB, database: str | None) -> None:
    """Take all the room that is left, in ever smaller pieces."""
    mariadb.execute("CREATE TABLE ballast (piece VARCHAR(4000)) CHARACTER SET latin1", database)
    rows = 256
    while rows:
        try:
            numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
            mariadb.execute(f"INSERT INTO ballast {numbers} SELECT REPEAT('x', 4000) FROM n", database)
        except pymysql.err.OperationalError as error:
            assert error.args[0] == FULL, error  # noqa: PT017
            rows //= 2


def test_deadlock_storm(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url) as server:
        fleet = scenario.fleet(server.ocpp_url)
        fleet.is_at_work()
        over = threading.Event()
        meddlers = [
            threading.Thread(target=meddle, args=(mariadb, url, random.Random(f"{scenario.seed} {n}"), over))
            for n in range(4)
        ]
        before = fleet["answered"]
        for meddler in meddlers:
            meddler.start()
        scenario.load(scenario.seconds, scenario.seconds)
        over.set()
        for meddler in meddlers:
            meddler.join()
        during = fleet["answered"] - before
        fleet.is_at_work()
        scenario.note(f"{during} answers in {scenario.seconds:.0f} s of the storm")
        scenario.settle(url, fleet.comes_home())
        assert during > 200, "the storm brought everything to a standstill"
        must_be_quiet(server)


def meddle(mariadb: MariaDB, url: str, chance: random.Random, over: threading.Event) -> None:
    """Lock rows of chargers and sessions in an order that the system does not keep, for a moment each."""
    with mariadb.connect(make_url(url).database) as connection, connection.cursor() as cursor:
        while not over.wait(chance.uniform(0, 0.05)):
            try:
                connection.begin()
                for _ in range(chance.randint(2, 5)):
                    table = chance.choice(("chargers", "transactions"))
                    cursor.execute(
                        f"UPDATE {table} SET id = id WHERE id >= %s ORDER BY id DESC LIMIT 10",
                        (chance.randint(1, 200),),
                    )
                    over.wait(chance.uniform(0, 0.1))
                connection.rollback()
            except pymysql.err.OperationalError as error:
                assert error.args[0] in (1205, 1213), error  # noqa: PT017
