"""The collector's timetable: small portions, and everything once there is more than the sockets explain."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from charger_mgmt.clock import monotonic
from charger_mgmt.websocket import garbage
from charger_mgmt.websocket.garbage import Garbage


class Sockets:
    """What the timetable needs to know of the sockets."""

    opened = 0
    held = 0

    def __len__(self) -> int:
        return self.held


class Cycle:
    """Only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The collector as Python has it, once the test is over; meanwhile nothing happens by itself."""
    before = gc.get_threshold()
    gc.disable()
    yield
    gc.enable()
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture
def sockets() -> Sockets:
    return Sockets()


@pytest.fixture
def timetable(sockets: Sockets) -> Garbage:
    return Garbage(sockets)  # type: ignore[arg-type]


def left_over() -> "weakref.ref[Cycle]":
    return weakref.ref(Cycle())


def test_it_is_looked_once_a_minute(timetable: Garbage) -> None:
    now, cycle = monotonic(), left_over()
    timetable.turn(now + garbage.LONGEST - 1)
    assert cycle() is not None
    timetable.turn(now + garbage.LONGEST + 1)
    assert cycle() is None
    again = left_over()
    timetable.turn(now + garbage.LONGEST + 2)
    assert again() is not None


def test_a_portion_of_new_sockets_is_set_aside_at_once(timetable: Garbage, sockets: Sockets) -> None:
    cycle, alive = left_over(), Cycle()
    sockets.opened += garbage.PORTION
    timetable.turn(monotonic())
    assert cycle() is None
    assert not any(one is alive for one in gc.get_objects()), "what lives is not looked at again"
    again = left_over()
    timetable.turn(monotonic())
    assert again() is not None, "the next look is due after another portion"


def test_what_was_set_aside_and_died_in_a_cycle_goes_when_too_much_is_there(sockets: Sockets) -> None:
    timetable = Garbage(sockets, surplus=1000)  # type: ignore[arg-type]
    minute = monotonic()
    gc.collect()
    gc.freeze()
    timetable._base = gc.get_freeze_count()
    alive = Cycle()
    cycle = weakref.ref(alive)
    timetable.turn(minute := minute + 61)
    del alive
    timetable.turn(minute := minute + 61)
    assert cycle() is not None, "it was set aside, and there is no need to look at everything"
    heap = [[] for _ in range(2000)]
    timetable.turn(minute := minute + 61)
    timetable.turn(minute := minute + 61)
    assert cycle() is None
    assert len(heap) == 2000


def test_the_objects_of_sockets_are_no_surplus(sockets: Sockets) -> None:
    timetable = Garbage(sockets, surplus=1000)  # type: ignore[arg-type]
    gc.collect()
    gc.freeze()
    timetable._base = gc.get_freeze_count()
    sockets.held = 100
    heap = [[] for _ in range(2000)]
    alive = Cycle()
    cycle = weakref.ref(alive)
    timetable.turn(monotonic() + 61)
    del alive
    timetable.turn(monotonic() + 122)
    assert cycle() is not None
    assert len(heap) == 2000
