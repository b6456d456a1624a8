"""A charger that is connected and says nothing is asked, again and again; here the minutes are seconds."""

from __future__ import annotations

from tests.support.processes import wait_until

from .test_mission_silence import becomes

INTERVAL, LIMIT, EARLY = 3, 4, 2
SERVER_ENVIRON = {
    "CALL_TIMEOUT": "1",
    "CALL_TIMEOUTS_BEFORE_DROP": "100",
    "FOLLOW_UP_DELAY": "0",
    "HEARTBEAT_INTERVAL": str(INTERVAL),
    "HEARTBEAT_TIMEOUT": str(LIMIT),
    "LIVENESS_PROBE_SECONDS": str(EARLY),
    "SWEEP_INTERVAL": "0.1",
}


def asked(charger):
    return sum(call.action == "TriggerMessage" for call in charger.calls)


def returns_in_silence(charger):
    """Its socket breaks, it redials and says nothing, as one does that counts itself booted already."""
    charger.starts_up()
    charger.goes_offline()
    charger.comes_back()
    return asked(charger)


def test_a_charger_that_reconnects_and_says_nothing_is_asked_in_time(wire_charger, operator):
    charger = wire_charger("QUIET-1")
    before = returns_in_silence(charger)
    wait_until(lambda: asked(charger) > before, seconds=10, what="the charger is asked")
    assert (
        operator.sees(charger)["status"] == "Available"
    )  # it was asked before it was judged, and it answered


def test_one_that_stays_silent_is_asked_again_and_returns(wire_charger, operator):
    charger = wire_charger("QUIET-2")
    charger.ignores("TriggerMessage")
    before = returns_in_silence(charger)
    becomes(operator, charger, "Unavailable", seconds=20)
    wait_until(lambda: asked(charger) >= before + 2, seconds=20, what="it is asked again")
    assert operator.sees(charger)["connected"] is True
    charger.obeys("TriggerMessage")
    becomes(operator, charger, "Available", seconds=20)


def test_an_error_for_an_answer_is_a_sign_of_life_too(wire_charger, operator):
    charger = wire_charger("QUIET-3")
    charger.errs("TriggerMessage", "NotImplemented")
    before = returns_in_silence(charger)
    wait_until(lambda: asked(charger) >= before + 3, seconds=20, what="it is asked three times")
    assert operator.sees(charger)["status"] == "Available"
