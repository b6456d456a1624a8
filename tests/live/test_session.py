"""One charger's session: both directions at once, on a socket in memory."""

from __future__ import annotations

import json
import sys
from typing import Any

import gevent
import pytest
from gevent.event import Event

from charger_mgmt.beside import LONG
from charger_mgmt.errors import CallErrored, CallTimedOut, ChargerGone
from charger_mgmt.gateway.last_seen import LastSeen
from charger_mgmt.gateway.registry import Registry
from charger_mgmt.gateway.session import MALFORMED_LIMIT, QUEUE_CHARACTERS, QUEUE_LIMIT, Session
from charger_mgmt.ocppj.conversation import CallReceived

from .support import PipeSocket, until


def depth() -> int:
    """Frames on this greenlet's stack."""
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count


class Charger:
    """A session with the charger's side of it; while `gate` is closed no call but a Heartbeat is answered."""

    def __init__(self, *, timeouts_before_drop: int = 3) -> None:
        self.socket = PipeSocket()
        self.handled: list[str] = []
        #: Calls whose handler has begun.
        self.begun = 0
        #: Answers of which the session says that they are written.
        self.written = 0
        #: Frames on the stack of each answer.
        self.depths: list[int] = []
        self.then_fails = False
        self.gate = Event()
        self.gate.set()
        self.last_seen = LastSeen()
        self.session = self.make_session(generation=1, timeouts_before_drop=timeouts_before_drop)
        self.reader = gevent.spawn(self.session.serve)

    def make_session(self, generation: int, timeouts_before_drop: int = 3) -> Session:
        return Session(
            "CP1",
            charger_id=7,
            generation=generation,
            registration="Accepted",
            socket=self.socket,
            last_seen=self.last_seen,
            handle=self._handle,
            timeouts_before_drop=timeouts_before_drop,
        )

    def _handle(self, session: Session, call: CallReceived) -> None:
        self.begun += 1
        if call.action == "Explodes":
            raise RuntimeError("a defect")
        if call.action == "Heartbeat" or self.gate.is_set():
            self._answer(session, call)
        else:
            gevent.spawn(self._answer_later, session, call)

    def _answer_later(self, session: Session, call: CallReceived) -> None:
        self.gate.wait()
        self._answer(session, call)

    def _answer(self, session: Session, call: CallReceived) -> None:
        self.handled.append(str(call.id))
        self.depths.append(depth())
        text = None if call.action == "Silence" else session.conversation.result(call, {})
        session.answer(call, text, self._then)

    def _then(self) -> None:
        self.written += 1
        if self.then_fails:
            raise RuntimeError("a defect")

    def says(self, *frame: Any) -> None:
        self.socket.says(json.dumps(frame))

    def calls(self, message_id: str, action: str = "Authorize") -> None:
        self.says(2, message_id, action, {})

    @property
    def heard(self) -> list[Any]:
        return [json.loads(text) for text in self.socket.sent]

    def asked(self, action: str = "ClearCache", message_id: str = "m1", **options: Any) -> gevent.Greenlet:
        """A call of ours, under way in its own greenlet."""
        timeout = options.pop("timeout", 5)
        payload = options.pop("payload", {})
        return gevent.spawn(
            self.session.call, action, payload, message_id=message_id, timeout=timeout, **options
        )


@pytest.fixture
def charger() -> Charger:
    return Charger()


def test_calls_of_the_charger_are_handled_in_order(charger: Charger) -> None:
    for number in range(10):
        charger.calls(str(number))
    until(lambda: len(charger.handled) == 10)
    assert charger.handled == [str(number) for number in range(10)]


def test_a_call_of_ours_returns_the_chargers_answer(charger: Charger) -> None:
    asked = charger.asked()
    until(lambda: charger.heard)
    charger.says(3, "m1", {"status": "Accepted"})
    assert asked.get(timeout=5) == {"status": "Accepted"}
    assert charger.heard == [[2, "m1", "ClearCache", {}]]


def test_an_answer_does_not_wait_behind_a_handler(charger: Charger) -> None:
    charger.gate.clear()
    charger.calls("1")
    asked = charger.asked()
    until(lambda: charger.heard)
    charger.says(3, "m1", {"status": "Accepted"})
    assert asked.get(timeout=5) == {"status": "Accepted"}
    assert charger.handled == []
    charger.gate.set()


def test_a_heartbeat_waits_its_turn_behind_what_came_before(charger: Charger) -> None:
    charger.gate.clear()
    charger.calls("1")
    charger.calls("2", "Heartbeat")
    gevent.sleep(0.01)
    assert charger.handled == []
    charger.gate.set()
    until(lambda: len(charger.handled) == 2)
    assert charger.handled == ["1", "2"]


def test_X_11_the_second_call_goes_out_after_the_first_is_answered(charger: Charger) -> None:
    first, second = charger.asked(message_id="m1"), charger.asked(message_id="m2")
    until(lambda: charger.heard)
    gevent.sleep(0.01)
    assert len(charger.heard) == 1
    charger.says(3, "m1", {"status": "Accepted"})
    until(lambda: len(charger.heard) == 2)
    charger.says(3, "m2", {"status": "Rejected"})
    assert first.get(timeout=5) == {"status": "Accepted"}
    assert second.get(timeout=5) == {"status": "Rejected"}


def test_X_12_after_a_timeout_the_next_call_goes_out_and_the_late_answer_finds_its_own(
    charger: Charger,
) -> None:
    late: list[Any] = []
    first = charger.asked(message_id="m1", timeout=0.05, on_late=late.append)
    with pytest.raises(CallTimedOut):
        first.get(timeout=5)
    second = charger.asked(message_id="m2")
    until(lambda: len(charger.heard) == 2)
    charger.says(3, "m1", {"status": "Rejected"})
    until(lambda: late)
    assert late == [{"status": "Rejected"}]
    assert not second.ready()
    charger.says(3, "m2", {"status": "Accepted"})
    assert second.get(timeout=5) == {"status": "Accepted"}


def test_X_13_a_callerror_is_raised_and_the_queue_goes_on(charger: Charger) -> None:
    first, second = charger.asked(message_id="m1"), charger.asked(message_id="m2")
    until(lambda: charger.heard)
    charger.says(4, "m1", "NotSupported", "no", {})
    with pytest.raises(CallErrored) as caught:
        first.get(timeout=5)
    assert (caught.value.code, caught.value.description) == ("NotSupported", "no")
    until(lambda: len(charger.heard) == 2)
    charger.says(3, "m2", {"status": "Accepted"})
    assert second.get(timeout=5) == {"status": "Accepted"}


def test_an_answer_that_says_nothing_is_an_error(charger: Charger) -> None:
    asked = charger.asked()
    until(lambda: charger.heard)
    charger.says(3, "m1", {})
    with pytest.raises(CallErrored):
        asked.get(timeout=5)


def test_a_truncated_answer_fails_its_call_at_once(charger: Charger) -> None:
    asked = charger.asked("GetConfiguration")
    until(lambda: charger.heard)
    charger.socket.says('[3,"m1",{"configurationKey":[{"key":"Hear')
    with pytest.raises(CallErrored):
        asked.get(timeout=5)


def test_when_the_socket_dies_every_waiter_knows_at_once(charger: Charger) -> None:
    waiting = [charger.asked(message_id=f"m{number}", timeout=60) for number in range(3)]
    until(lambda: charger.heard)
    charger.socket.ends()
    sent = []
    for greenlet in waiting:
        with pytest.raises(ChargerGone) as caught:
            greenlet.get(timeout=1)
        sent.append(caught.value.sent)
    assert sent == [True, False, False]


def test_a_dead_socket_takes_no_calls(charger: Charger) -> None:
    charger.socket.ends()
    charger.reader.join(timeout=5)
    with pytest.raises(ChargerGone):
        charger.asked().get(timeout=1)


def test_on_sent_comes_before_the_frame(charger: Charger) -> None:
    frames_then: list[int] = []
    charger.asked(on_sent=lambda: frames_then.append(len(charger.socket.sent)))
    until(lambda: charger.heard)
    assert frames_then == [0]


def test_a_call_that_cannot_be_recorded_is_not_sent_and_the_next_one_is(charger: Charger) -> None:
    def refuses() -> None:
        raise LookupError("no row")

    with pytest.raises(LookupError):
        charger.asked(message_id="m1", on_sent=refuses).get(timeout=5)
    charger.asked(message_id="m2")
    until(lambda: charger.heard)
    assert [frame[1] for frame in charger.heard] == ["m2"]


def test_a_charger_that_answers_no_call_is_dropped() -> None:
    charger = Charger(timeouts_before_drop=2)
    for number in range(2):
        assert charger.socket.is_open
        with pytest.raises(CallTimedOut):
            charger.asked(message_id=f"m{number}", timeout=0.01).get(timeout=5)
    assert not charger.socket.is_open


def test_a_full_queue_stops_the_reader_and_moves_the_deadline_of_our_call(charger: Charger) -> None:
    charger.gate.clear()
    asked = charger.asked(message_id="m1", timeout=0.2)
    until(lambda: charger.heard)
    for number in range(QUEUE_LIMIT + 10):
        charger.calls(str(number))
    charger.says(3, "m1", {"status": "Accepted"})
    gevent.sleep(0.4)  # longer than the call's time-out: it is we who do not listen
    assert not asked.ready()
    charger.gate.set()
    assert asked.get(timeout=5) == {"status": "Accepted"}
    until(lambda: len(charger.handled) == QUEUE_LIMIT + 10)
    assert charger.handled == [str(number) for number in range(QUEUE_LIMIT + 10)]


def test_long_frames_stop_the_reader_long_before_the_queue_is_full(charger: Charger) -> None:
    charger.gate.clear()
    for number in range(20):
        charger.says(2, str(number), "MeterValues", {"meterValue": "9" * (QUEUE_CHARACTERS // 16)})
    until(lambda: charger.socket.unread == 20 - 16)
    gevent.sleep(0.05)
    assert charger.socket.unread == 20 - 16
    charger.gate.set()
    until(lambda: charger.handled == [str(number) for number in range(20)])


def test_a_handler_that_fails_does_not_end_the_session(charger: Charger) -> None:
    charger.calls("1", "Explodes")
    charger.calls("2")
    until(lambda: charger.handled == ["2"])


def test_what_fails_after_an_answer_does_not_hold_up_the_next_call(charger: Charger) -> None:
    charger.then_fails = True
    charger.calls("1")
    charger.calls("2")
    until(lambda: charger.handled == ["1", "2"])


def test_a_full_queue_that_is_answered_at_once_takes_no_more_of_the_stack(charger: Charger) -> None:
    charger.gate.clear()
    charger.calls("first")
    for number in range(QUEUE_LIMIT - 2):
        charger.calls(str(number), "Heartbeat")
    until(lambda: charger.socket.unread == 0)
    charger.gate.set()
    until(lambda: len(charger.handled) == QUEUE_LIMIT - 1)
    assert max(charger.depths) - min(charger.depths) < 10


def test_the_next_call_waits_until_a_slow_charger_has_read_the_answer(charger: Charger) -> None:
    charger.socket.slow = Event()
    charger.calls("1")
    charger.calls("2")
    asked = charger.asked()
    until(lambda: charger.heard)  # the reader does not wait for it
    charger.says(3, "m1", {"status": "Accepted"})
    assert asked.get(timeout=5) == {"status": "Accepted"}
    assert (charger.handled, charger.written) == (["1"], 0)
    charger.socket.slow.set()
    until(lambda: charger.written == 2)
    assert charger.handled == ["1", "2"]
    assert [frame[1] for frame in charger.heard if frame[0] == 3] == ["1", "2"]


def test_an_answer_that_fails_on_its_way_ends_the_socket_and_not_the_queue(charger: Charger) -> None:
    def fails(_text: str) -> None:
        raise UnicodeError("a defect")

    charger.socket.begin_send = fails
    charger.calls("1")
    charger.calls("2")
    until(lambda: charger.handled == ["1", "2"])
    assert (charger.socket.is_open, charger.written) == (False, 0)


def test_an_answer_that_cannot_be_written_any_more_lets_the_queue_go_on(charger: Charger) -> None:
    charger.gate.clear()
    for number in range(3):
        charger.calls(str(number))
    until(lambda: charger.socket.unread == 0)
    charger.socket.ends()
    charger.gate.set()
    until(lambda: charger.handled == ["0", "1", "2"])  # what was received is stored
    assert charger.written == 0


def test_a_call_that_gets_no_answer_lets_the_queue_go_on(charger: Charger) -> None:
    charger.calls("1", "Silence")
    charger.calls("2")
    until(lambda: charger.handled == ["1", "2"])
    assert [frame[1] for frame in charger.heard] == ["2"]
    assert charger.written == 1


def test_malformed_frames_in_a_row_close_the_socket_with_1008(charger: Charger) -> None:
    for _ in range(MALFORMED_LIMIT):
        charger.socket.says("not json")
    until(lambda: not charger.socket.is_open)
    assert charger.socket.closed_with == 1008


def test_a_good_frame_starts_the_count_of_malformed_ones_anew(charger: Charger) -> None:
    for round_ in range(3):
        for _ in range(MALFORMED_LIMIT - 1):
            charger.socket.says("not json")
        charger.calls(str(round_))
    until(lambda: len(charger.handled) == 3)
    assert charger.socket.is_open


def test_empty_frames_and_pongs_as_text_are_ignored(charger: Charger) -> None:
    for _ in range(MALFORMED_LIMIT * 2):
        charger.socket.says("")
        charger.socket.says("pong")
    charger.calls("1")
    until(lambda: charger.handled == ["1"])
    assert charger.socket.is_open


def test_a_broken_transaction_message_is_handled_not_refused(charger: Charger) -> None:
    charger.socket.says('[2,"s1","StopTransaction",{"transactionId":,"meterStop":5}]')
    until(lambda: charger.handled == ["s1"])


def test_answers_count_as_a_sign_of_life(charger: Charger) -> None:
    charger.asked()
    until(lambda: charger.heard)
    charger.says(3, "m1", {"status": "Accepted"})
    until(lambda: charger.last_seen.when(7) is not None)


def test_a_secret_in_a_broken_frame_is_not_logged(charger: Charger, caplog: pytest.LogCaptureFixture) -> None:
    charger.socket.says('[3,"x",{"configurationKey":[{"key":"AuthorizationKey","value":"5ec4e7"')
    charger.calls("1")
    until(lambda: charger.handled == ["1"])
    assert "5ec4e7" not in caplog.text


def test_a_triggered_message_is_remembered(charger: Charger) -> None:
    payload = {"requestedMessage": "StatusNotification"}
    charger.asked("TriggerMessage", payload=payload, asks_for="StatusNotification")
    until(lambda: charger.heard)
    assert charger.session.triggered == {"StatusNotification"}


def test_the_newest_generation_owns_the_identity() -> None:
    charger, registry = Charger(), Registry()
    old, new = charger.make_session(1), charger.make_session(2)
    assert registry.add(old) is None
    assert registry.add(new) is old
    assert registry.get("CP1") is new


def test_an_older_generation_that_arrives_late_is_the_one_to_close() -> None:
    charger, registry = Charger(), Registry()
    old, new = charger.make_session(1), charger.make_session(2)
    registry.add(new)
    assert registry.add(old) is old
    assert registry.get("CP1") is new


def test_an_old_sessions_late_end_leaves_the_new_one_registered() -> None:
    charger, registry = Charger(), Registry()
    old, new = charger.make_session(1), charger.make_session(2)
    registry.add(old)
    registry.add(new)
    registry.remove(old)
    assert registry.get("CP1") is new
    registry.remove(new)
    assert registry.get("CP1") is None
    assert len(registry) == 0


# Long messages


def long_call(number: int) -> str:
    return json.dumps([2, str(number), "MeterValues", {"x": "y" * LONG}])


def test_a_long_message_waits_as_text_while_others_are_in_hand() -> None:
    chargers = [Charger() for _ in range(3)]
    for charger in chargers:
        charger.gate.clear()
        charger.socket.says(long_call(1))
        charger.socket.says('[2,"2","Heartbeat",{}]')
    until(lambda: sum(charger.begun for charger in chargers) == 2)
    gevent.sleep(0.05)
    assert [charger.begun for charger in chargers] == [1, 1, 0]
    for charger in chargers:
        charger.gate.set()
    until(lambda: all(len(charger.socket.sent) == 2 for charger in chargers))


def test_a_short_message_does_not_wait_for_long_ones() -> None:
    chargers = [Charger() for _ in range(2)]
    for charger in chargers:
        charger.gate.clear()
        charger.socket.says(long_call(1))
    until(lambda: sum(charger.begun for charger in chargers) == 2)
    other = Charger()
    other.socket.says('[2,"1","Heartbeat",{}]')
    until(lambda: len(other.socket.sent) == 1)
    for charger in chargers:
        charger.gate.set()
    until(lambda: all(charger.socket.sent for charger in chargers))


def test_when_too_many_long_messages_wait_the_next_sender_is_dropped_unanswered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("charger_mgmt.beside.MOST_WAITING", 1)
    chargers = [Charger() for _ in range(4)]
    for charger in chargers:
        charger.gate.clear()
        charger.socket.says(long_call(1))
        until(lambda charger=charger: charger.socket.unread == 0)  # type: ignore[misc]
    until(lambda: not chargers[3].socket.is_open)
    assert [charger.socket.is_open for charger in chargers] == [True, True, True, False]
    assert chargers[3].socket.sent == []
    for charger in chargers:
        charger.gate.set()
    until(lambda: all(charger.socket.sent for charger in chargers[:3]))
