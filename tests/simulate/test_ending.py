"""An end that many wait for reaches everybody, also those who come to wait at the wrong moment."""

import subprocess
import sys
import textwrap
import threading

import pytest

from charger_mgmt.simulate.ending import Ending
from tests.support.server import ROOT

#: A waiter's time-out and the end come in one turn of the loop, the end first; then somebody else waits.
CROSSING = """
    import threading, time
    import gevent
    from charger_mgmt.simulate.ending import Ending

    over = {kind}()

    def brings_the_end():
        gevent.sleep(0.01)
        over.set()
        over.wait(0.2)

    late = gevent.spawn(brings_the_end)
    gevent.spawn(over.wait, 0.01)
    gevent.sleep(0)
    busy_until = time.monotonic() + 0.05
    while time.monotonic() < busy_until:
        pass  # both timers run out meanwhile
    late.join(2)
    print("woke" if late.dead else "lost")
"""


def crossing(kind: str) -> str:
    """What becomes of the late waiter, in a process that gevent has patched."""
    program = "import gevent.monkey; gevent.monkey.patch_all()\n" + textwrap.dedent(
        CROSSING.format(kind=kind)
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def test_nobody_is_lost_whose_waiting_crosses_another_time_out():
    assert crossing("Ending") == "woke"


def test_gevent_still_needs_it():
    """When this fails, gevent has mended its Event, and Ending can go."""
    assert crossing("threading.Event") == "lost"


def test_all_wake_when_it_comes():
    over, woken = Ending(), []
    waiters = [threading.Thread(target=lambda: woken.append(over.wait(30))) for _ in range(8)]
    for waiter in waiters:
        waiter.start()
    over.set()
    for waiter in waiters:
        waiter.join(30)
    assert woken == [True] * 8
    assert over.is_set()
    assert over.wait(0)


def test_a_wait_ends_with_its_time():
    assert Ending().wait(0.01) is False


@pytest.mark.parametrize("already", [True, False])
def test_nobody_is_remembered_after_waiting(already):
    over = Ending()
    if already:
        over.set()
    over.wait(0.001)
    assert not over._waiting
