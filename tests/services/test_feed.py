"""Facts are told after the commit, and once."""

from __future__ import annotations

import time
from contextlib import ExitStack

import gevent
import pytest
from sqlalchemy import event

from charger_mgmt import clock
from charger_mgmt.errors import DatabaseAway
from charger_mgmt.feed import CommandEnded, Feed, SessionBegan, SessionEnded
from tests.support.messages import ago


@pytest.fixture
def told(central):
    """What the committer's feed has told."""
    facts = []
    central.feed.subscribe(None, facts.append)
    return facts


def test_a_session_is_told_of_at_its_begin_and_at_its_end(central, told):
    charger = central.charger()
    session = charger.starts(ago(hours=1))["transactionId"]
    assert told == [SessionBegan(charger.identity, session, "Accepted")]
    charger.stops(session)
    assert told[1:] == [SessionEnded(charger.identity, session)]


def test_what_comes_again_is_told_once(central, told):
    charger = central.charger()
    session = charger.starts(ago(hours=1))["transactionId"]
    assert charger.starts(ago(hours=1))["transactionId"] in (session, session + 1)
    count = len(told)
    charger.stops(session)
    charger.stops(session)
    charger.stops(4711)
    assert told[count:] == [SessionEnded(charger.identity, session)]


def test_nothing_is_told_of_what_was_not_committed(central, told):
    def refuses(_conn):
        raise RuntimeError("the disk is full")

    charger = central.charger()
    event.listen(central.engine, "commit", refuses)
    with pytest.raises(DatabaseAway):
        charger.starts(ago(hours=1))
    event.remove(central.engine, "commit", refuses)
    assert told == []


def test_a_fact_is_told_when_others_can_see_what_it_tells(central, told):
    seen = []

    def looks(fact):
        with central.engine.connect() as conn:
            seen.append(conn.exec_driver_sql("SELECT COUNT(*) FROM transactions").scalar())

    central.feed.subscribe(None, looks)
    central.charger().starts(ago(hours=1))
    assert seen == [1]


def test_a_listener_that_fails_harms_nobody(central, told, caplog):
    central.feed._listeners[None].insert(0, lambda fact: 1 / 0)
    assert central.charger().starts(ago(hours=1))["transactionId"]
    assert len(told) == 1
    assert "a listener failed" in caplog.text


def ended(command_id: int) -> CommandEnded:
    return CommandEnded("CP1", command_id, "accepted")


def seventh(fact: CommandEnded) -> bool:
    return fact.command_id == 7


def test_who_listens_has_heard_what_came_before_he_waits():
    feed = Feed()
    with feed.listening("CP1") as heard:
        feed.publish([SessionBegan("CP1", 7, "Accepted"), ended(8), ended(7)])
        assert heard.first(CommandEnded, seventh, clock.monotonic()) == ended(7)
    assert feed._waiting == {}


def test_who_waits_is_woken_by_the_fact_that_he_waits_for():
    feed = Feed()
    with feed.listening("CP1") as heard:
        waiting = gevent.spawn(heard.first, CommandEnded, seventh, clock.monotonic() + 20)
        gevent.sleep(0.02)
        feed.publish([ended(8), CommandEnded("CP2", 7, "accepted")])
        gevent.sleep(0.02)
        assert not waiting.ready()
        began = time.monotonic()
        feed.publish([ended(7)])
        assert waiting.get(timeout=5) == ended(7)
        assert time.monotonic() - began < 1


def test_who_waits_for_what_does_not_come_waits_until_his_deadline():
    with Feed().listening("CP1") as heard:
        began = time.monotonic()
        assert heard.first(CommandEnded, seventh, clock.monotonic() + 0.05) is None
        assert time.monotonic() - began >= 0.05


def test_whoever_waits_for_one_charger_hears_nothing_of_the_others():
    feed = Feed()
    with ExitStack() as stack:
        others = [stack.enter_context(feed.listening(f"CP{number}")) for number in range(2, 2000)]
        heard = stack.enter_context(feed.listening("CP1"))
        feed.publish([ended(7)])
        assert heard.first(CommandEnded, seventh, clock.monotonic()) == ended(7)
        assert not any(other._facts for other in others)
    assert feed._waiting == {}
