"""What processes on one database know of each other, by its rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from charger_mgmt import clock
from charger_mgmt.chargers import connections
from charger_mgmt.commands import command_rows
from charger_mgmt.database import leases
from charger_mgmt.database.models import Charger, Command, Lease, Sighting
from charger_mgmt.database.watch import database_now
from tests.support.messages import ago

LEASE = 12.5


@pytest.fixture
def two(central):
    """A central system on whose database two processes serve."""
    with central.engine.begin() as conn:
        leases.take(conn, "one")
        leases.take(conn, "other")
    return central


def slept(central, *process_ids, seconds):
    """They were last renewed so many seconds ago."""
    with central.engine.begin() as conn:
        before = database_now(conn) - timedelta(seconds=seconds)
        ours = Lease.__table__.c.id.in_(process_ids)
        conn.execute(update(Lease.__table__).where(ours).values(renewed_at=before))


def dead(central, seen_by):
    with central.engine.begin() as conn:
        return leases.run_out(conn, LEASE, seen_by=seen_by, within=10)


def renewed(central, process_id):
    with central.engine.begin() as conn:
        return leases.renew(conn, process_id, 7, draining=False)


def test_who_renews_no_more_is_dead_in_the_others_eyes(two):
    assert dead(two, "one") == []
    slept(two, "other", seconds=13)
    assert dead(two, "one") == ["other"]


def test_who_has_stood_still_itself_takes_nobody_for_dead(two):
    """A machine that slept: its own clock may have stood still with it, and so have the others on it."""
    slept(two, "one", "other", seconds=100)
    assert dead(two, "one") == []
    assert renewed(two, "one") == pytest.approx(100, abs=5)
    assert renewed(two, "one") == pytest.approx(0, abs=5)
    assert two.row(Lease, id="one").sockets == 7


def test_who_was_buried_learns_of_it_when_it_renews(two):
    slept(two, "other", seconds=13)
    with two.engine.begin() as conn:
        assert not leases.bury(conn, "one", LEASE)
        assert leases.bury(conn, "other", LEASE)
    assert renewed(two, "other") is None
    assert renewed(two, "one") is not None


def test_what_a_dead_process_held_is_put_right_a_thousand_at_a_time(central):
    central.charger("ELSEWHERE")
    long_ago, now = ago(hours=1), clock.now()
    row = {"connected": True, "process_id": "dead", "created_at": now, "generation": 1}
    with central.engine.begin() as conn:
        table = Charger.__table__
        conn.execute(table.insert(), [row | {"identity": f"LEFT{number}"} for number in range(2005)])
        ids = conn.scalars(table.select().with_only_columns(table.c.id).where(table.c.process_id == "dead"))
        seen = [{"charger_id": number, "seen_at": long_ago, "silent": False} for number in ids]
        conn.execute(Sighting.__table__.insert(), seen)
    counts = []
    while not counts or counts[-1]:
        with central.engine.begin() as conn:
            counts.append(connections.put_right_of(conn, "dead", now))
    assert counts == [1000, 1000, 5, 0]
    assert [row.identity for row in central.rows(Charger, connected=True)] == ["ELSEWHERE"]
    assert min(row.seen_at for row in central.rows(Sighting)) > long_ago + timedelta(minutes=30)


@pytest.fixture
def queued(central):
    """Queues a call that has so many seconds left; its id."""
    charger = central.charger()

    def queue(seconds):
        with central.engine.begin() as conn:
            now = database_now(conn)
            return command_rows.add(
                conn,
                charger_id=charger.id,
                action="ClearCache",
                payload={},
                message_id=f"m{seconds}",
                requested_by="operator",
                process_id="elsewhere",
                created_at=now,
                expires_at=now + timedelta(seconds=seconds),
            )

    return queue


@pytest.mark.parametrize(("left", "may"), [(-1, False), (60, True)])
def test_a_call_is_sent_in_its_time_by_the_databases_clock(central, queued, left, may):
    command_id, hours_ahead = queued(left), clock.now() + timedelta(hours=3)
    with central.engine.begin() as conn:
        assert command_rows.claim(conn, command_id, hours_ahead) is may


def test_a_call_that_nobody_has_heard_of_ends(central, queued):
    late, just_late, in_time = queued(-61), queued(-30), queued(60)
    with central.engine.begin() as conn:
        assert command_rows.expire(conn) == 1
        assert command_rows.expire(conn) == 0
    states = {row.id: (row.state, row.error_code) for row in central.rows(Command)}
    assert states == {late: ("error", "NotSent"), just_late: ("queued", None), in_time: ("queued", None)}
