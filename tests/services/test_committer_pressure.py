"""The committer under pressure: a long queue, a slow database, senders who leave."""

from __future__ import annotations

from dataclasses import replace

import gevent
import pytest
from sqlalchemy import event, select

from charger_mgmt.beside import LONG
from charger_mgmt.database.models import Charger, Transaction
from charger_mgmt.errors import DatabaseAway
from charger_mgmt.intake.committer import Committer
from charger_mgmt.intake.messages import Reply
from tests.support.messages import ago, spoken
from tests.support.processes import wait_until

#: Seconds that each commit takes, and that a message may wait for its own.
SLOW, TIMEOUT = 0.15, 0.6


@pytest.fixture
def backend() -> str:
    return "sqlite"


def becomes_slow(central, seconds, commits=None):
    """Let the database take its time for each commit (for the first few, if `commits` is given)."""
    left = [commits]

    def wait(_conn):
        if left[0] is None or left[0] > 0:
            left[0] = left[0] and left[0] - 1
            gevent.sleep(seconds)

    event.listen(central.engine, "commit", wait)


@pytest.fixture
def hurried(central):
    """A committer that takes one message at a time."""
    central.starts_committing(commit_timeout=TIMEOUT, batch_size=1)
    return central


def test_nothing_is_dropped_while_many_wait_and_the_database_is_slow(hurried):
    charger = hurried.charger()
    becomes_slow(hurried, SLOW)
    starts = [charger.start(ago(hours=hour)) for hour in range(1, 13)]
    greenlets = [gevent.spawn(hurried.committer.submit, start) for start in starts]
    gevent.joinall(greenlets, timeout=30)
    assert [greenlet.exception for greenlet in greenlets] == [None] * len(starts)
    assert len(hurried.rows(Transaction)) == len(starts)


def test_whoever_begins_never_waits(hurried):
    charger = hurried.charger()
    becomes_slow(hurried, SLOW)
    told = []
    for hour in range(1, 9):
        hurried.committer.begin(charger.start(ago(hours=hour)), told.append)
    assert told == []  # and no other greenlet has run
    wait_until(lambda: gevent.sleep(0.05) or len(told) == 8, seconds=30, what="all are told")
    assert len({ticket.take().outcome.transaction_id for ticket in told}) == 8
    assert len(hurried.rows(Transaction)) == 8


def test_whoever_is_told_may_begin_again_at_once(hurried):
    charger = hurried.charger()
    told = []

    def tell(ticket):
        told.append(ticket)
        if len(told) < 5:
            hurried.committer.begin(charger.start(ago(hours=len(told) + 1)), tell)

    hurried.committer.begin(charger.start(ago(hours=1)), tell)
    wait_until(lambda: gevent.sleep(0.05) or len(told) == 5, seconds=30, what="all are told")
    assert len(hurried.rows(Transaction)) == 5


def test_others_have_their_turn_while_whoever_is_told_begins_again_at_once(hurried):
    """SQLite never waits for anything: without a pause the committer would go on for as long as it has work."""
    charger = hurried.charger()
    left, turns = [60], []

    def tell(ticket):
        if left[0]:
            left[0] -= 1
            hurried.committer.begin(charger.start(ago(minutes=1 + left[0])), tell)
        else:
            turns.append("the end")

    def ticks():
        while "the end" not in turns:
            gevent.sleep(0.0001)
            turns.append("a turn")

    ticker = gevent.spawn(ticks)
    hurried.committer.begin(charger.start(ago(hours=2)), tell)
    ticker.join(timeout=30)
    assert turns.count("a turn") > 30


def test_a_commit_that_takes_too_long_is_told_once_as_away(hurried):
    charger = hurried.charger()
    becomes_slow(hurried, 2 * TIMEOUT, commits=1)
    told = []
    hurried.committer.begin(charger.start(ago(hours=1)), told.append)
    wait_until(lambda: gevent.sleep(0.05) or told, seconds=10, what="it is told")
    with pytest.raises(DatabaseAway):
        told[0].take()
    wait_until(lambda: gevent.sleep(0.05) or beside(hurried, Transaction.id), seconds=10, what="it is stored")
    following = charger.start(ago(hours=2))
    assert spoken(hurried.committer.submit(following))[
        "transactionId"
    ]  # the late answer has been given by now
    assert len(hurried.rows(Transaction)) == 2
    assert len(told) == 1


def test_when_the_database_is_away_it_is_told_at_once(hurried):
    start = hurried.charger().start(ago(hours=1))
    hurried.database.available = False
    told = []
    hurried.committer.begin(start, told.append)
    with pytest.raises(DatabaseAway):
        told[0].take()


def test_a_commit_that_takes_too_long_is_not_answered(hurried):
    charger = hurried.charger()
    becomes_slow(hurried, 2 * TIMEOUT, commits=1)
    start = charger.start(ago(hours=1))
    with pytest.raises(DatabaseAway):
        hurried.committer.submit(start)
    assert spoken(hurried.committer.submit(start))["transactionId"] == hurried.row(Transaction).id


def test_a_connection_that_nobody_waited_for_is_not_shown_as_connected(hurried):
    becomes_slow(hurried, 2 * TIMEOUT)
    with pytest.raises(DatabaseAway):
        hurried.charger("CP1")
    wait_until(
        lambda: gevent.sleep(0.05) or beside(hurried, Charger.connected) == [True],
        seconds=10,
        what="it is stored",
    )
    wait_until(
        lambda: gevent.sleep(0.05) or beside(hurried, Charger.connected) == [False],
        seconds=10,
        what="it is taken back",
    )


def beside(central, column):
    """What a column holds, read beside the commit that is under way."""
    with central.engine.execution_options(sqlite_begin="BEGIN").connect() as conn:
        return list(conn.scalars(select(column)))


def test_what_nobody_waits_for_any_more_is_not_stored(hurried):
    charger = hurried.charger()
    becomes_slow(hurried, SLOW, commits=1)
    first = gevent.spawn(hurried.committer.submit, charger.start(ago(hours=1)))
    gevent.sleep(0)
    leaver = gevent.spawn(hurried.committer.submit, charger.start(ago(hours=2)))
    gevent.sleep(0)
    leaver.kill()
    last = gevent.spawn(hurried.committer.submit, charger.start(ago(hours=3)))
    gevent.joinall([first, last], timeout=10, raise_error=True)
    assert len(hurried.rows(Transaction)) == 2


def test_a_long_message_has_no_neighbours_and_nobody_waits_for_two(central, monkeypatch):
    """With two committers one goes on with the short ones."""
    committer = Committer(central.database, central.settings, {}, central.feed)
    batches, at_work = [], []

    def commits(batch):
        long = [len(ticket.message.raw) > LONG for ticket in batch]
        at_work.extend(long)
        batches.append(long)
        assert at_work.count(True) <= 1
        gevent.sleep(0.05 if True in long else 0.01)
        for ticket, was in zip(batch, long, strict=True):
            at_work.remove(was)
            ticket.set(Reply({}))

    monkeypatch.setattr(committer, "_commit", commits)
    for _ in range(2):
        gevent.spawn(committer._work, False)
    charger = central.charger()
    told = []
    for hour in range(1, 7):
        start = charger.start(ago(hours=hour))
        for raw in ("x" * (LONG + 1), "x"):
            committer.begin(replace(start, raw=raw), told.append)
    wait_until(lambda: gevent.sleep(0.02) or len(told) == 12, seconds=10, what="all are told")
    assert [batch for batch in batches if True in batch] == [[True]] * 6
    assert [len(ticket.message.raw) for ticket in told[:6]] == [1] * 6
