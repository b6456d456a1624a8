"""Acknowledged means stored: the committer under trouble, on a real MariaDB."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gevent
import pymysql
import pytest
from sqlalchemy import event, exc

from charger_mgmt.database.faults import Fault, classify
from charger_mgmt.database.models import Inbox, Transaction
from charger_mgmt.errors import DatabaseAway
from charger_mgmt.intake.committer import ProcessingFailed, Ticket
from tests.conftest import migrate
from tests.support.messages import ago, spoken
from tests.support.processes import wait_until

from .conftest import Central


@pytest.fixture
def fragile(mariadb):
    """A central system on a MariaDB that the test may kill."""
    url = mariadb.create_database()
    migrate(url)
    made = Central(url, commit_timeout=8.0, database_timeout=2)
    made.server = mariadb
    yield made
    made.ends()


def all_of(jobs):
    greenlets = [gevent.spawn(job) for job in jobs]
    gevent.joinall(greenlets, timeout=30)
    return [greenlet.value for greenlet in greenlets]


@pytest.mark.mariadb
def test_many_messages_share_few_commits(fragile):
    chargers = [fragile.charger(f"CP{n}") for n in range(100)]
    commits = lambda: int(fragile.server.execute("SHOW GLOBAL STATUS LIKE 'Com_commit'")[0][1])  # noqa: E731
    before = commits()
    answers = all_of([charger.starts for charger in chargers])
    assert len({answer["transactionId"] for answer in answers}) == 100
    assert commits() - before <= 10


@pytest.mark.mariadb
def test_a_poisonous_message_harms_no_neighbour(fragile):
    chargers = [fragile.charger(f"CP{n}") for n in range(20)]
    poison = chargers[0].says("StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": object()})
    answers = all_of(
        [lambda: spoken(fragile.committer.submit(poison)), *(charger.starts for charger in chargers[1:])]
    )
    assert len({answer["transactionId"] for answer in answers}) == 20
    assert fragile.row(Inbox).transaction_id == answers[0]["transactionId"]


@pytest.mark.mariadb
def test_whoever_fails_on_his_answer_harms_no_neighbour(fragile):
    chargers = [fragile.charger(f"CP{n}") for n in range(20)]
    told = []

    def fails(ticket):
        told.append(ticket)
        raise RuntimeError("a defect")

    for number, charger in enumerate(chargers):
        fragile.committer.begin(charger.start(ago(hours=1)), told.append if number % 2 else fails)
    wait_until(lambda: gevent.sleep(0.05) or len(told) == 20, seconds=20, what="all are told")
    assert len({ticket.take().outcome.transaction_id for ticket in told}) == 20
    assert chargers[0].starts(ago(minutes=1))["transactionId"]  # the committers live


def test_a_poisonous_message_that_is_about_no_transaction_fails_alone_and_is_kept(central):
    charger = central.charger()
    with pytest.raises(ProcessingFailed):
        charger.sends("StatusNotification", {"connectorId": 1, "status": object(), "errorCode": "NoError"})
    assert central.row(Inbox).action == "StatusNotification"


@pytest.mark.parametrize("action", ["StopTransaction", "MeterValues"])
def test_a_poisonous_transaction_message_is_answered_and_kept(central, action):
    broken = {"transactionId": object(), "meterValue": object(), "transactionData": object()}
    assert central.charger().sends(action, broken).payload == {}
    assert central.row(Inbox).action == action


@pytest.mark.mariadb
def test_a_lock_that_is_held_too_long_is_waited_for_again(fragile):
    charger = fragile.charger()
    started = charger.starts(ago(hours=1))["transactionId"]
    event.listen(fragile.engine, "begin", lambda conn: conn.exec_driver_sql("SET innodb_lock_wait_timeout=1"))
    name = fragile.engine.url.database
    holder = fragile.server.connect(name)
    holder.begin()
    holder.cursor().execute(f"SELECT * FROM transactions WHERE id={started} FOR UPDATE")
    release = threading.Timer(2.5, holder.rollback)
    release.start()
    began = time.monotonic()
    assert charger.stops(started) == {}
    assert time.monotonic() - began > 2
    release.join()
    holder.close()
    assert fragile.row(Transaction).status == "Completed"


@pytest.mark.mariadb
def test_connections_survive_a_restarted_server(fragile):
    charger = fragile.charger()
    fragile.server.restart()
    assert charger.starts()["transactionId"] == fragile.row(Transaction).id


@pytest.mark.mariadb
def test_while_the_database_is_dead_nobody_is_answered_and_afterwards_everybody(fragile):
    charger = fragile.charger()
    start = charger.start(ago(hours=1))
    fragile.server.kill()
    try:
        with pytest.raises(DatabaseAway):
            fragile.committer.submit(start)
        assert not fragile.database.available
        with pytest.raises(DatabaseAway):
            fragile.committer.submit(start)
    finally:
        fragile.server.start()
    returned = []
    fragile.database.on_return.append(lambda: returned.append(True))
    wait_until(lambda: gevent.sleep(0.05) or fragile.database.available, seconds=20, what="it is back")
    answer = spoken(fragile.committer.submit(start))
    assert answer["transactionId"] == fragile.row(Transaction).id
    assert returned == [True]


@pytest.mark.mariadb
def test_a_database_that_hangs_counts_as_away_and_nothing_is_stored_twice(fragile):
    charger = fragile.charger()
    start = charger.start(ago(hours=1))
    fragile.server.pause()
    try:
        with pytest.raises(DatabaseAway):
            fragile.committer.submit(start)
    finally:
        fragile.server.resume()
    wait_until(lambda: gevent.sleep(0.05) or fragile.database.available, seconds=20, what="it is back")
    answers = {spoken(fragile.committer.submit(start))["transactionId"] for _ in range(3)}
    assert len(answers) == len(fragile.rows(Transaction)) == 1


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (2006, Fault.AWAY),
        (2013, Fault.AWAY),
        (1290, Fault.AWAY),
        (1021, Fault.AWAY),
        (1040, Fault.CROWDED),
        (1203, Fault.CROWDED),
        (1226, Fault.CROWDED),
        (1205, Fault.CONTENTION),
        (1213, Fault.CONTENTION),
        (1406, Fault.POISON),
        (1264, Fault.POISON),
        (4025, Fault.POISON),
    ],
)
def test_each_error_of_the_database_has_its_reaction(number, fault):
    error = exc.OperationalError("INSERT", {}, pymysql.err.OperationalError(number, "…"))
    assert classify(error) is fault


def test_a_defect_of_our_own_is_the_records_trouble_not_the_databases():
    assert classify(KeyError("x")) is Fault.POISON


@pytest.mark.mariadb
def test_the_same_session_on_two_sockets_at_once_is_one_session_and_no_poison(fragile):
    """Threads, because without gevent's patching greenlets do not overlap inside of the database."""
    charger = fragile.charger()
    starts = [charger.start(ago(hours=hour)) for hour in range(1, 31)]

    def commits(ticket):
        fragile.committer._commit([ticket])
        return spoken(ticket.take())

    with ThreadPoolExecutor(8) as pool:
        for start in starts:
            answers = list(pool.map(commits, [Ticket(start) for _ in range(8)]))
            assert len({answer["transactionId"] for answer in answers}) == 1
    assert fragile.rows(Inbox) == []
    assert len(fragile.rows(Transaction)) == len(starts)
