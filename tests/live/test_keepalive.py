"""Pings and silence, with the clock handed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from charger_mgmt.websocket.keepalive import KeepAlive
from tests.wire.raw import PONG, TEXT, frame

from .support import pair, until

PING_BYTES = b"\x89\x00"


@pytest.fixture
def keepalive() -> KeepAlive:
    return KeepAlive(interval=25, patience=330)


@pytest.fixture
def ends(keepalive: KeepAlive) -> Iterator[tuple[Any, Any]]:
    """Our socket, with a greenlet that receives, and the charger's end."""
    ours, theirs = pair(keepalive=keepalive)

    def reads() -> None:
        while ours.receive() is not None:
            pass

    reader = gevent.spawn(reads)
    until(lambda: ours.reading)
    yield ours, theirs
    theirs.close()
    reader.join(timeout=5)


def test_a_quiet_socket_is_pinged_once_per_interval(keepalive, ends) -> None:
    ours, theirs = ends
    start = ours.heard_at
    for seconds in (10, 24):
        keepalive.tick(start + seconds)
    theirs.settimeout(0.05)
    with pytest.raises(TimeoutError):
        theirs.recv(10)
    for seconds in (25.1, 30, 45, 50.2):
        keepalive.tick(start + seconds)
    theirs.settimeout(5)
    assert theirs.recv(10) == PING_BYTES * 2


def test_a_charger_that_answers_pings_is_dropped_after_two_silent_intervals(keepalive, ends) -> None:
    ours, theirs = ends
    theirs.sendall(frame(PONG))
    until(lambda: ours.answers_pings)
    keepalive.tick(ours.heard_at + 49)
    assert ours.is_open
    keepalive.tick(ours.heard_at + 50.001)
    assert not ours.is_open
    assert "silent" in ours.why_closed


def test_any_message_is_life(keepalive, ends) -> None:
    ours, theirs = ends
    theirs.sendall(frame(PONG))
    until(lambda: ours.answers_pings)
    ours.heard_at -= 45
    theirs.sendall(frame(TEXT, b"anything"))
    before = ours.heard_at
    until(lambda: ours.heard_at > before)
    keepalive.tick(before + 60)
    assert ours.is_open


def test_a_charger_that_never_answers_pings_is_given_the_heartbeats_time(keepalive, ends) -> None:
    ours, _ = ends
    keepalive.tick(ours.heard_at + 300)
    assert ours.is_open
    keepalive.tick(ours.heard_at + 330.001)  # (a + b) - a may be a hair less than b
    assert not ours.is_open


def test_silence_does_not_count_while_we_do_not_listen(keepalive) -> None:
    ours, theirs = pair(keepalive=keepalive)
    ours.answers_pings = True
    keepalive.tick(ours.heard_at + 1000)
    assert ours.is_open
    theirs.close()


def test_pings_can_be_switched_off() -> None:
    keepalive = KeepAlive(interval=0, patience=330)
    ours, theirs = pair(keepalive=keepalive)
    keepalive.tick(ours.heard_at + 10_000)
    assert ours.is_open
    theirs.settimeout(0.05)
    with pytest.raises(TimeoutError):
        theirs.recv(10)
    theirs.close()


def test_an_ended_socket_is_forgotten(keepalive, ends) -> None:
    ours, _ = ends
    assert len(keepalive) == 1
    ours.drop()
    assert len(keepalive) == 0


def test_unfinished_messages_have_a_bound_for_all_sockets_together(
    keepalive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charger_mgmt.websocket.keepalive.MOST_HELD", 100_000)
    sockets = [pair(keepalive=keepalive) for _ in range(4)]
    readers = [gevent.spawn(ours.receive) for ours, _ in sockets]
    now = sockets[0][0].heard_at
    for (_, theirs), kilobytes in zip(sockets, (60, 50, 20, 1), strict=True):
        theirs.sendall(frame(TEXT, b"x" * 99_000)[: kilobytes * 1000])
    until(lambda: sum(ours.held for ours, _ in sockets) == 131_000)
    keepalive.tick(now + 10)
    assert [ours.is_open for ours, _ in sockets] == [False, False, True, True]
    for _, theirs in sockets:
        theirs.close()
    gevent.joinall(readers, timeout=5)
