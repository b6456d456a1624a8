"""What one source may take of the chargers' door, and who finds a place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import config
from charger_mgmt.gateway import sources as limits
from charger_mgmt.gateway.places import Places
from charger_mgmt.gateway.requests import Waiting
from charger_mgmt.gateway.sources import Sources
from charger_mgmt.proxies import source

LIMITS: dict[str, Any] = {
    "anonymous_sockets_per_source": 2,
    "new_chargers_per_source": 3,
    "unapproved_bytes_per_hour": 1000,
}
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test may turn forward."""
    time = [1000.0]
    monkeypatch.setattr(limits, "monotonic", lambda: time[0])
    monkeypatch.setattr("charger_mgmt.websocket.fairness.monotonic", lambda: time[0])
    return time


@pytest.fixture
def doors(now: list[float]) -> Sources:
    return Sources(replace(config.load({}), **LIMITS))


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_network_is_one_source(address: str, counts_as: str) -> None:
    assert source(address) == counts_as


def test_a_penalty_is_for_one_name_from_one_source_and_not_for_who_has_its_password(
    doors: Sources, now: list[float]
) -> None:
    doors.penalise("CP1", HERE, proven=False)
    assert doors.penalty("CP1", HERE, proven=False) == limits.PENALTY
    others = [("CP1", THERE, False), ("CP2", HERE, False), ("CP1", HERE, True)]
    assert [doors.penalty(name, address, proven=proven) for name, address, proven in others] == [0, 0, 0]
    now[0] += limits.PENALTY
    assert doors.penalty("CP1", HERE, proven=False) == 0


def test_guesses_slow_down_a_source_and_not_the_chargers_of_its_place(
    doors: Sources, now: list[float]
) -> None:
    doors.proved("REAL", HERE)
    for _ in range(int(limits.GUESSES_AT_ONCE)):
        assert doors.guess_wait("CP1", HERE) == 0
        assert not doors.guesses(HERE)
        doors.guessed("CP1", HERE)
    assert doors.guess_wait("CP1", HERE) > 0
    assert doors.guesses(HERE)
    # One that has shown its password from there, one that has not yet, and the same one elsewhere.
    assert (
        doors.guess_wait("REAL", HERE) == doors.guess_wait("CP2", HERE) == doors.guess_wait("CP1", THERE) == 0
    )
    assert not doors.guesses(THERE)
    for _ in range(int(limits.OWN_AT_ONCE)):
        assert doors.guess_wait("CP2", HERE) == 0
        doors.guessed("CP2", HERE)
    assert doors.guess_wait("CP2", HERE) > 0
    now[0] += (int(limits.OWN_AT_ONCE) + 1) / limits.GUESSES_A_SECOND
    assert doors.guess_wait("CP1", HERE) == 0


def test_a_source_brings_so_many_new_chargers_in_an_hour(doors: Sources, now: list[float]) -> None:
    assert [doors.new_charger_wait("NEW", HERE) for _ in range(3)] == [0, 0, 0]
    assert doors.new_charger_wait("NEW", HERE) == 1200
    assert doors.new_charger_wait("NEW", THERE) == 0
    now[0] += 1200
    assert doors.new_charger_wait("NEW", HERE) == 0


def test_guesses_and_new_names_count_wherever_they_are_tried(doors: Sources, now: list[float]) -> None:
    elsewhere = Sources(replace(config.load({}), **LIMITS))
    elsewhere.tell = doors.hear
    for _ in range(int(limits.GUESSES_AT_ONCE)):
        elsewhere.guessed("CP1", HERE)
    assert doors.guesses(HERE)
    assert doors.guess_wait("CP1", HERE) > 0
    assert not doors.guesses(THERE)
    assert [elsewhere.new_charger_wait("NEW", HERE) for _ in range(2)] == [0, 0]
    assert doors.new_charger_wait("NEW", HERE) == 0
    assert doors.new_charger_wait("NEW", HERE) > 0


def test_one_identity_dials_so_often(doors: Sources, now: list[float]) -> None:
    waits = [doors.dial_wait("CP1", HERE) for _ in range(int(limits.DIALS_AT_ONCE) + 1)]
    assert set(waits[:-1]) == {0}
    assert waits[-1] > 0
    assert doors.dial_wait("CP2", HERE) == doors.dial_wait("CP1", THERE) == 0


def test_an_unapproved_charger_stores_so_many_bytes_in_an_hour(doors: Sources, now: list[float]) -> None:
    assert doors.takes_unapproved("CP1", 900)
    assert doors.takes_unapproved("CP1", 900)  # what has begun is taken whole
    assert not doors.takes_unapproved("CP1", 1)
    assert doors.takes_unapproved("CP2", 1)
    now[0] += 3600
    assert doors.takes_unapproved("CP1", 1)


def test_who_is_over_quota_is_told_of_once_an_hour(doors: Sources, now: list[float]) -> None:
    assert not doors.is_over_quota("CP1")
    doors.takes_unapproved("CP1", 2000)
    assert doors.is_over_quota("CP1")
    assert [doors.is_news("CP1") for _ in range(3)] == [True, False, False]
    now[0] += 3601
    assert doors.is_news("CP1")


def test_refused_messages_are_kept_within_a_bound_of_their_source(doors: Sources) -> None:
    assert doors.takes_refused(HERE, limits.REFUSED_BYTES_PER_HOUR)
    assert not doors.takes_refused(HERE, 1)
    assert doors.takes_refused(THERE, 1)


def test_sockets_without_a_password_are_counted_by_source(doors: Sources) -> None:
    for _ in range(2):
        assert not doors.is_full(HERE)
        doors.opened(HERE)
    assert doors.is_full(HERE)
    assert not doors.is_full(THERE)
    doors.closed(HERE)
    assert not doors.is_full(HERE)


def test_zero_means_no_limit(now: list[float]) -> None:
    free = Sources(replace(config.load({}), **dict.fromkeys(LIMITS, 0)))
    assert not any(free.new_charger_wait("NEW", HERE) for _ in range(10_000))
    assert free.takes_unapproved("CP1", 10**12)
    assert free.takes_unapproved("CP1", 1)
    for _ in range(10_000):
        free.opened(HERE)
    assert not free.is_full(HERE)


def test_memory_is_bounded(doors: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST", 10)
    for number in range(100):
        address = f"192.0.2.{number}"
        doors.guessed("CP1", address)
        doors.penalise("CP1", address, proven=False)
        doors.takes_refused(address, 1)
        doors.is_news(f"CP{number}")
        doors.new_charger_wait("NEW", address)
        doors.proved(f"CP{number}", address)
        doors.takes_unapproved(f"CP{number}", 1)
        doors.dial_wait(f"CP{number}", address)
        doors.frames_left(f"CP{number}", address)
    kept = [
        doors._guesses, doors._penalties, doors._new, doors._proved, doors._unapproved, doors._dials,
        doors._spoken, doors._refused, doors._told, doors._guesses_at,
    ]  # fmt: skip
    assert [len(memory) for memory in kept] == [10] * 10


def test_strangers_leave_room_for_those_who_are_known() -> None:
    places = Places()
    places.total = 100
    strangers = []
    while places.has_room(known=False):
        strangers.append(places.take(known=False))
    assert len(strangers) == 70
    known = []
    while places.has_room(known=True):
        known.append(places.take(known=True))
    assert len(known) == 100 - 70 - places.spare
    known.pop().leave()
    assert places.has_room(known=True)
    strangers[0].is_known_now()
    assert places.has_room(known=False)
    for place in strangers + known:
        place.leave()
    assert (places._chargers, places._strangers) == (0, 0)


def test_without_a_known_total_everybody_finds_a_place() -> None:
    places = Places()
    for _ in range(1000):
        assert places.has_room(known=False)
        places.take(known=False)


def test_of_those_who_wait_the_oldest_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[str] = []

    class Greenlet:
        def __init__(self, name: str) -> None:
            self._name = name

        def kill(self, error: type[BaseException], block: bool) -> None:
            assert error is StopIteration
            assert not block
            killed.append(self._name)

    waiting = Waiting()
    monkeypatch.setattr("charger_mgmt.gateway.requests.monotonic", lambda: 100.0)
    waiting._greenlets = {Greenlet(f"since {at}"): (float(at), StopIteration) for at in (90, 95, 97, 99)}
    assert waiting.end_oldest(2, patience=2.0) == 2
    assert killed == ["since 90", "since 95"]
    assert waiting.end_oldest(10, patience=2.0) == 3  # those that have ended leave by themselves
