"""A charger's OCPP-J session on one socket: both directions at once (OCPP-J section 4.1).

The reader (the route's greenlet) never waits for an answer: one to a call of ours wakes its caller at
once, while the charger's own calls go to a short queue. They are handled one at a time, in order; a handler
does not wait either, whoever has the answer (the committer, after its commit) sends it and begins with the
next call. When the queue is full the reader stops, TCP pushes back, and the deadline of our open call moves
by the time we were not listening.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import gevent
from gevent.event import AsyncResult, Event

from .. import clock
from ..beside import LONG, TOO_MANY_WAIT, beside, long_ones
from ..dialects.ocpp16 import form
from ..dialects.ocpp16.salvage import saved_call
from ..errors import CallErrored, CallTimedOut, ChargerBusy, ChargerGone
from ..ocppj.conversation import CallReceived, Conversation, ErrorReceived, Nothing, Reply, ResultReceived
from ..ocppj.frames import Frame, decode
from ..websocket import frames
from ..websocket.socket import SocketClosed
from .last_seen import LastSeen
from .speaker import Speaker

log = logging.getLogger(__name__)

#: The charger's calls that wait for their handler before we stop reading.
QUEUE_LIMIT = 64
#: Characters in them before we stop reading: decoded, a long frame takes fifteen times its length.
QUEUE_CHARACTERS = 1 << 18
#: Our own calls that wait for their turn before another one is refused.
LINE_LIMIT = 100
#: Frames in a row that cannot be read before the socket is closed.
MALFORMED_LIMIT = 20
#: Timed-out calls whose late answer we still want to hear of.
_LATE_LIMIT = 16

#: Gets the payload of a late CALLRESULT, or the error of a late CALLERROR; runs in its own greenlet.
OnLate: TypeAlias = Callable[[dict[str, Any] | CallErrored], None]
#: Handles one CALL without waiting: `session.answer` is called for it, at once or later. Never raises.
Handle: TypeAlias = "Callable[[Session, CallReceived], None]"


class Wire(Protocol):
    """What a session needs of its socket."""

    address: str

    @property
    def is_open(self) -> bool: ...
    def receive(self) -> str | None: ...
    def send(self, text: str) -> None: ...
    def begin_send(self, text: str) -> Callable[[], None] | None: ...
    def close(self, code: int = ..., reason: str = ...) -> None: ...
    def drop(self, why: str = ...) -> None: ...
    def wasted(self) -> None: ...


class _Turn:
    """One call of ours, from its place in the line to its answer."""

    __slots__ = ("answer", "go", "message_id", "sent")

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.go = Event()
        self.answer = AsyncResult()
        self.sent = False


class Session(Speaker):
    """One charger's OCPP-J session on one socket: its conversation, the queue of its calls, the line of ours."""

    __slots__ = (
        "_current",
        "_end_turn",
        "_going_on",
        "_handle",
        "_last_seen",
        "_late",
        "_line",
        "_malformed",
        "_queue",
        "_queued_characters",
        "_room",
        "_stalled_since",
        "_timeouts",
        "_timeouts_before_drop",
        "connected_at",
        "conversation",
        "ended",
        "password_hash",
    )

    def __init__(
        self,
        identity: str,
        *,
        socket: Wire,
        last_seen: LastSeen,
        handle: Handle,
        timeouts_before_drop: int = 3,
        password_hash: str | None = None,
        **speaks: Any,
    ) -> None:
        super().__init__(identity, socket=socket, **speaks)
        #: When the socket was opened (monotonic seconds): a charger that says nothing is silent since then.
        self.connected_at = clock.monotonic()
        self.conversation = Conversation()
        #: Of the charger, when the socket was opened.
        self.password_hash = password_hash
        #: No more calls can be made: the socket has ended.
        self.ended = False
        self._last_seen = last_seen
        self._handle = handle
        self._timeouts_before_drop = timeouts_before_drop
        self._timeouts = 0
        self._malformed = 0
        self._queue: deque[CallReceived] = deque()
        self._queued_characters = 0
        #: The first call of the queue, from its handler's beginning until its answer is written.
        self._current: CallReceived | None = None
        self._going_on = False
        self._room: Event | None = None
        self._stalled_since: float | None = None
        #: Of a long message that is in hand: ends its turn.
        self._end_turn: Callable[[], None] | None = None
        #: Lists, not deques, whose least size is 64: there are thousands of these, and nearly always empty.
        self._line: list[_Turn] = []
        self._late: dict[str, OnLate] = {}

    # ── in ──────────────────────────────────────────────────────────────────────────────────────

    def serve(self) -> None:
        """Read until the socket ends. Never raises; whoever waits for the charger knows at the end."""
        try:
            while (text := self.socket.receive()) is not None:
                if self.journal is not None:
                    self.journal(False, text)
                self.take(text)
        except Exception:
            log.exception("charger %s: the reader failed", self.identity)
            self.socket.drop("internal error")
        finally:
            self.end()

    def take(self, text: str, frame: Frame | None = None) -> None:
        """Deal with one text frame, decoded already if `frame` is given."""
        if len(text) > LONG and frame is None:
            self._take_long(text)
            return
        event = self.conversation.receive(text, clock.monotonic(), frame)
        if isinstance(event, CallReceived):
            self._malformed = 0
            self._take_call(event)
        elif isinstance(event, ResultReceived | ErrorReceived):
            self._malformed = 0
            self._last_seen.touch(self.charger_id)
            self._take_answer(event)
        elif isinstance(event, Reply):
            self._take_malformed(event, text)
        else:
            self._take_nothing(event, text)

    def _take_long(self, text: str) -> None:
        """Wait for one's turn, and until it is stored: what a long message is decoded to fills thirty times its space."""
        source = self.socket.address
        if not long_ones.has_room(source):
            self.drop(TOO_MANY_WAIT)
            return
        while self._queue:  # its turn must not wait for a peer that does not read its answers
            self._stall()
        began = clock.monotonic()
        with long_ones.turn(source, proven=self.proven) as end:
            frame = beside(len(text), decode, text)
            self.conversation.postpone(clock.monotonic() - began)
            self._end_turn = end
            self.take(text, frame)
            del frame
            while self._queue and self._end_turn is not None:
                self._stall()
            self._end_turn = None

    def _take_call(self, call: CallReceived) -> None:
        self._queue.append(call)
        self._queued_characters += len(call.text)
        if self._current is None:
            self._go_on()
        elif len(self._queue) >= QUEUE_LIMIT or self._queued_characters >= QUEUE_CHARACTERS:
            self._stall()

    def _go_on(self) -> None:
        """Handle what is queued, strictly in order, as far as it is answered at once.

        Also when the socket has died: what was received is stored.
        """
        if self._going_on:  # further up on this stack
            return
        self._going_on = True
        try:
            while self._queue and self._current is None:
                call = self._current = self._queue[0]
                try:
                    self._handle(self, call)
                except Exception:
                    log.exception("charger %s: handling message %s failed", self.identity, call.id)
                    self._let_go(call)
        finally:
            self._going_on = False

    def answer(self, call: CallReceived, text: str | None, then: Callable[[], None] | None = None) -> None:
        """Send the answer to the current call and go on with the next. Never waits, never raises.

        `text` None: it gets no answer. `then` is called once the answer is written, which another greenlet
        sees to when the charger is slow to read.
        """
        if self._end_turn is not None:
            self._end_turn()
            self._end_turn = None
            if self._room is not None:
                self._room.set()
        try:
            finish = None if text is None else self.socket.begin_send(text)
            if text is not None and self.journal is not None:
                self.journal(True, text)
        except Exception as error:
            self._not_written(call, error)
            return
        if finish is not None:
            gevent.spawn(self._finish_answer, call, finish, then)
        elif text is None:
            self._let_go(call)
        else:
            self._answered(call, then)

    def _finish_answer(
        self, call: CallReceived, finish: Callable[[], None], then: Callable[[], None] | None
    ) -> None:
        try:
            finish()
        except Exception as error:
            self._not_written(call, error)
        else:
            self._answered(call, then)

    def _not_written(self, call: CallReceived, error: Exception) -> None:
        if not isinstance(error, SocketClosed):
            log.error("charger %s: message %s could not be answered", self.identity, call.id, exc_info=error)
            self.drop("internal error")
        self._let_go(call)

    def _answered(self, call: CallReceived, then: Callable[[], None] | None) -> None:
        try:
            if then is not None:
                then()
        except Exception:
            log.exception("charger %s: after the answer to message %s", self.identity, call.id)
        self._let_go(call)

    def _let_go(self, call: CallReceived) -> None:
        """Nothing more is due for this call."""
        if self._current is not call:
            return
        self._current = None
        self._queued_characters -= len(self._queue.popleft().text)
        if self._room is not None and self._has_room():
            self._room.set()
        self._go_on()

    def _has_room(self) -> bool:
        half_empty = self._queued_characters <= QUEUE_CHARACTERS // 2
        return not self._queue or (half_empty and len(self._queue) <= QUEUE_LIMIT // 2)

    def _stall(self) -> None:
        """Wait for room in the queue; nothing is read meanwhile."""
        self._room = Event()
        self._stalled_since = clock.monotonic()
        self._room.wait()
        self._room = None
        self.conversation.postpone(clock.monotonic() - self._stalled_since)
        self._stalled_since = None

    def _take_malformed(self, event: Reply, text: str) -> None:
        log.warning("charger %s: malformed frame (%s): %s", self.identity, event.reason, _shown(text))
        self.socket.wasted()
        if (call := beside(len(text), saved_call, event, text)) is not None:
            self._take_call(call)
        else:
            self.send(event.text)
            self._count_malformed()

    def _take_nothing(self, event: Nothing, text: str) -> None:
        self.socket.wasted()
        if event.malformed:
            log.warning("charger %s: malformed frame (%s): %s", self.identity, event.reason, _shown(text))
            self._count_malformed()
        else:
            log.info("charger %s: ignored a frame: %s", self.identity, event.reason)

    def _count_malformed(self) -> None:
        self._malformed += 1
        if self._malformed >= MALFORMED_LIMIT:
            self.close(frames.POLICY_VIOLATION, "too many malformed frames")

    # ── out ─────────────────────────────────────────────────────────────────────────────────────

    def send(self, text: str) -> bool:
        """Write one frame; False when the socket has ended."""
        try:
            self.socket.send(text)
        except SocketClosed:
            return False
        if self.journal is not None:
            self.journal(True, text)
        return True

    def call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        message_id: str,
        timeout: float,
        asks_for: str | None = None,
        on_sent: Callable[[], None] | None = None,
        on_late: OnLate | None = None,
    ) -> dict[str, Any]:
        """Send a CALL and return the payload of its CALLRESULT.

        Calls go out one at a time, in the order in which they were asked for (section 4.1.1); the
        `timeout` (seconds) runs from the moment of sending, and not while we ourselves do not read.
        `asks_for` names the message that the charger is asked for. `on_sent` is called just before the frame is written. `on_late` hears of an answer that comes after
        the time-out. Raises CallErrored, CallTimedOut, ChargerGone, and ChargerBusy when too many calls
        are waiting already.
        """
        if len(self._line) >= LINE_LIMIT:
            raise ChargerBusy("Too many calls are waiting for this charger already.")
        turn = _Turn(message_id)
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                turn.go.wait()
            if self.ended or not self.socket.is_open:
                raise ChargerGone("The charger's socket has ended.", sent=False)
            if on_sent is not None:
                on_sent()
            if self.ended:  # it ended while on_sent was at work
                raise ChargerGone("The charger's socket has ended.", sent=False)
            if asks_for is not None:
                self.triggered.add(asks_for)
            self._send_call(turn, action, payload, timeout)
            return self._await(turn, action, on_late)
        finally:
            self._line.remove(turn)
            if self._line:
                self._line[0].go.set()

    def _send_call(self, turn: _Turn, action: str, payload: dict[str, Any], timeout: float) -> None:
        text = self.conversation.call(action, payload, turn.message_id, clock.monotonic(), timeout)
        turn.sent = True
        if not self.send(text):
            raise ChargerGone("The charger's socket ended while the call was being sent.", sent=True)

    def _await(self, turn: _Turn, action: str, on_late: OnLate | None) -> dict[str, Any]:
        while not turn.answer.ready():
            now = clock.monotonic()
            if self._stalled_since is None and self.conversation.expire(now) is not None:
                self._timed_out(turn.message_id, on_late)
                raise CallTimedOut(f"The charger did not answer {action} in time.")
            deadline = self.conversation.deadline
            turn.answer.wait(0.05 if deadline is None else max(0.05, deadline - now))
        answer = turn.answer.get()
        self._timeouts = 0
        if isinstance(answer, Exception):
            raise answer
        checked = form.check_response(action, answer)
        if checked.violation is not None:
            description = f"the charger's answer is not valid: {checked.violation.description}"
            raise CallErrored(checked.violation.code, description, {"payload": answer})
        return checked.payload

    def _timed_out(self, message_id: str, on_late: OnLate | None) -> None:
        if on_late is not None:
            self._late[message_id] = on_late
            if len(self._late) > _LATE_LIMIT:
                del self._late[next(iter(self._late))]
        self._timeouts += 1
        if self._timeouts >= self._timeouts_before_drop:
            log.warning("charger %s: dropped, %d calls in a row unanswered", self.identity, self._timeouts)
            self.socket.drop("the charger did not answer our calls")

    def _take_answer(self, event: ResultReceived | ErrorReceived) -> None:
        answer: dict[str, Any] | CallErrored
        if isinstance(event, ResultReceived):
            answer = event.payload
        else:
            answer = CallErrored(event.code, event.description, event.details)
        if event.late:
            self.socket.wasted()
            self._timeouts = 0
            log.info("charger %s: late answer to %s", self.identity, event.message_id)
            on_late = self._late.pop(event.message_id, None)
            if on_late is not None:
                gevent.spawn(self._tell_late, on_late, answer)
        elif self._line and self._line[0].message_id == event.message_id:
            self._line[0].answer.set(answer)

    def _tell_late(self, on_late: OnLate, answer: dict[str, Any] | CallErrored) -> None:
        try:
            on_late(answer)
        except Exception:
            log.exception("charger %s: a late answer could not be recorded", self.identity)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────

    def close(self, code: int = frames.NORMAL, reason: str = "") -> None:
        """Close in order."""
        self.socket.close(code, reason)

    def drop(self, why: str = "dropped by us") -> None:
        """Close abruptly: the charger counts itself offline and keeps its queue."""
        self.socket.drop(why)
        self.end()

    def end(self) -> None:
        """The socket has died: everybody who waits for the charger knows at once."""
        if self.ended:
            return
        self.ended = True
        for turn in list(self._line):
            if turn.sent and not turn.answer.ready():
                turn.answer.set(ChargerGone("The charger's socket ended before the answer.", sent=True))
            turn.go.set()


def _shown(text: str) -> str:
    """A broken frame for the log: its beginning, unless a secret may stand in it."""
    return "(withheld)" if "authorizationkey" in text.lower() else repr(text[:500])
