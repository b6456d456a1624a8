"""What one connection may take of the loop that all share."""

from __future__ import annotations

import gevent
import pytest

from charger_mgmt import beside as long_work
from charger_mgmt.beside import LONG, beside
from charger_mgmt.clock import monotonic
from charger_mgmt.websocket import fairness
from charger_mgmt.websocket.fairness import Bucket, Turnstile


def test_a_bucket_lends_at_most_what_it_holds_and_says_how_long_to_wait() -> None:
    bucket = Bucket(rate=10, most=3)
    now = monotonic()
    assert [bucket.take(1, now) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(1, now) == pytest.approx(0.1, abs=0.01)
    assert bucket.take(1, now) == pytest.approx(0.2, abs=0.01)
    assert bucket.take(1, now + 0.4) == 0.0  # two came back beyond the debt of two, one is taken
    assert bucket.take(3, now + 1000) == 0.0  # never more than three, however long it was left alone
    assert bucket.take(1, now + 1000) > 0


def test_those_in_line_go_one_by_one_in_order_and_leave_others_their_turns() -> None:
    turnstile = Turnstile()
    order: list[int] = []
    longest = [0.0]

    def talks(number: int) -> None:
        for _ in range(20):
            turnstile.wait()
            order.append(number)
            until = monotonic() + fairness.SLICE
            while monotonic() < until:
                pass

    def bystander() -> None:
        while True:
            began = monotonic()
            gevent.sleep(0.001)
            longest[0] = max(longest[0], monotonic() - began)

    quiet = gevent.spawn(bystander)
    gevent.joinall([gevent.spawn(talks, number) for number in range(50)])
    quiet.kill()
    assert order[:50] == list(range(50))
    assert [order.count(number) for number in range(50)] == [20] * 50
    assert longest[0] < 50 * 20 * fairness.SLICE  # it did not wait for all of them


def test_long_work_leaves_the_loop_to_others() -> None:
    ticks = [0]

    def ticking() -> None:
        while True:
            gevent.sleep(0.001)
            ticks[0] += 1

    def counts(most: int) -> int:
        return sum(number % 7 for number in range(most))

    others = gevent.spawn(ticking)
    assert beside(LONG + 1, counts, 3_000_000) == counts(3_000_000)
    assert ticks[0] > 5
    others.kill()


def test_what_long_work_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        beside(LONG + 1, divmod, 1, 0)
    assert beside(LONG, divmod, 7, 2) == beside(LONG + 1, divmod, 7, 2) == (3, 1)


def test_short_work_makes_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "_pool", None)
    assert beside(LONG, len, "abc") == 3
    assert long_work._pool is None
