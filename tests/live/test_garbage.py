"""The collector's timetable: small portions, and everything once enough sockets have ended."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from charger_mgmt.live import garbage
from charger_mgmt.live.garbage import Garbage


class Sockets:
    """What the timetable needs to know of the sockets."""

    opened = ended = 0

    def __len__(self) -> int:
        return self.opened - self.ended


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
    return Garbage(sockets, longest=1e9)  # type: ignore[arg-type]


def left_over() -> "weakref.ref[Cycle]":
    return weakref.ref(Cycle())


def test_nothing_is_looked_at_before_its_time(timetable: Garbage) -> None:
    cycle = left_over()
    timetable.turn()
    assert cycle() is not None


def test_a_portion_of_new_sockets_is_set_aside(timetable: Garbage, sockets: Sockets) -> None:
    cycle, alive = left_over(), Cycle()
    before = gc.get_freeze_count()
    sockets.opened += garbage.PORTION
    timetable.turn()
    assert cycle() is None
    assert gc.get_freeze_count() > before
    assert alive not in gc.get_objects()
    again = left_over()
    timetable.turn()
    assert again() is not None, "the next look is due after another portion"


def test_it_is_done_after_a_time_anyway(sockets: Sockets) -> None:
    cycle = left_over()
    Garbage(sockets).turn()  # type: ignore[arg-type]
    assert cycle() is None


def test_what_was_set_aside_and_died_is_freed_once_enough_sockets_have_ended(
    timetable: Garbage, sockets: Sockets
) -> None:
    alive = Cycle()
    cycle = weakref.ref(alive)
    sockets.opened += 3 * garbage.FEWEST_ENDED
    timetable.turn()
    del alive
    sockets.opened += garbage.PORTION
    timetable.turn()
    assert cycle() is not None, "it was set aside"
    sockets.ended += garbage.FEWEST_ENDED
    timetable.turn()
    assert cycle() is not None, "more are held than have ended"
    sockets.ended += garbage.FEWEST_ENDED
    timetable.turn()
    assert cycle() is None
