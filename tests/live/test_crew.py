"""Greenlets that are kept for the next piece of work."""

from __future__ import annotations

import gc
import weakref

import gevent
from gevent.event import Event

from charger_mgmt.live.crew import Crew

from .support import until


def test_pieces_of_work_run_at_the_same_time() -> None:
    crew, gate, done = Crew(), Event(), []
    for number in range(5):
        crew.run(lambda number=number: (gate.wait(), done.append(number)))
    assert done == []
    gate.set()
    until(lambda: sorted(done) == [0, 1, 2, 3, 4])


def test_a_greenlet_is_used_again() -> None:
    crew, seen = Crew(), []
    for number in range(3):
        crew.run(lambda: seen.append(gevent.getcurrent()))
        until(lambda number=number: len(seen) == number + 1)
    assert seen[0] is seen[1] is seen[2]


def test_only_so_many_are_kept() -> None:
    crew, gate, seen = Crew(most_idle=1), Event(), []
    for _ in range(3):
        crew.run(lambda: (seen.append(gevent.getcurrent()), gate.wait()))
    gate.set()
    until(lambda: len(seen) == 3 and sum(greenlet.dead for greenlet in seen) == 2)


def test_what_is_done_is_not_kept_in_memory() -> None:
    class Work:
        done = False

        def __call__(self) -> None:
            Work.done = True

    crew, work = Crew(), Work()
    kept = weakref.ref(work)
    crew.run(work)
    del work
    until(lambda: Work.done)
    gc.collect()
    assert kept() is None
