"""What both dialects share: dialling, one call at a time, the offline queue and its replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .ledger import Ledger, Message, TransactionQueue
from .transport import (
    CallRefused,
    ChargerSideError,
    Clock,
    ConnectionLost,
    HandshakeRefused,
    NotAnswered,
    Offline,
    SystemClock,
    Transport,
)


class _Waiting:
    """The call that is open, until its answer or the end of the connection."""

    def __init__(self, key: str, done: Any) -> None:
        self.key = key
        self.done = done
        self.answer: dict[str, Any] | None = None
        self.error: tuple[str, str] | None = None


class SpeakingCharger:
    """A charger on a line. Verbs of the dialects build on `_say` and `_deliver`.

    A non-transaction message is sent once: Offline, ConnectionLost, NotAnswered and CallRefused are
    raised. A transaction message is queued and delivered as soon as may be (section 3.7): look at the
    message or at `ledger` to see whether it was acknowledged.
    """

    #: TransactionMessageAttempts and TransactionMessageRetryInterval (section 9.1).
    transaction_attempts = 3
    transaction_retry_interval = 60.0

    def __init__(
        self,
        identity: str,
        transport: Transport,
        *,
        clock: Clock | None = None,
        call_timeout: float = 30.0,
        ledger: Ledger | None = None,
    ) -> None:
        self.identity = identity
        self.transport = transport
        self.clock: Clock = clock or SystemClock()
        #: Seconds to wait for an answer (MessageTimeout).
        self.call_timeout = call_timeout
        self.ledger = Ledger() if ledger is None else ledger
        self.queue = TransactionQueue()
        #: The connection is open.
        #: Why it last did not get a connection.
        self.last_refusal = ""
        self.online = False
        #: The close code and reason of the last connection that the other side ended.
        self.closed_with: tuple[int, str] | None = None
        #: How often it connected.
        self.connections = 0
        #: What came in and belonged to no open call: late answers, broken frames.
        self.unexpected: list[Any] = []
        self._stays_offline = False
        #: How often it went offline by itself.
        self._departures = 0
        self._turn = transport.primitives.RLock()
        self._turn_taken = False
        self._waiting: _Waiting | None = None
        self._chores: deque[Callable[[], Any]] = deque()
        self._doing_chores = transport.primitives.Lock()
        self._at_rest = transport.primitives.Event()
        self._at_rest.set()

    # The connection

    def dials_in(self) -> None:
        """Connect. Raises HandshakeRefused or ConnectionLost."""
        with self._holding_turn():
            if self.online:
                return
            departures, self.closed_with = self._departures, None
            try:
                self.transport.open(self)
            except ChargerSideError as error:
                self.last_refusal = str(error)
                raise
            if self._departures != departures:
                self.transport.drop()
                raise ConnectionLost("it went offline while it dialled")
            self.online = True
            if self.closed_with is not None:  # the other side has ended it already
                self.online = False
            self._stays_offline = False
            self.connections += 1

    def goes_offline(self, politely: bool = False) -> None:
        """Lose the connection (politely: with a close frame) and stay offline until `comes_back`."""
        self._stays_offline = True
        self._departures += 1
        self.online = False
        if politely:
            self.transport.close()
        else:
            self.transport.drop()
        self._abandons_call()

    def comes_back(self) -> None:
        """Connect again and deliver what was queued, in order. Does not boot (OCPP-J section 5.4)."""
        self.dials_in()
        self.delivers()

    def hangs_up(self) -> None:
        """End the connection orderly."""
        self.goes_offline(politely=True)

    def loses_connection(self, code: int, reason: str) -> None:
        """The other side ended the connection (called by the transport)."""
        self.closed_with = (code, reason)  # before it is offline: see dials_in
        self.online = False
        self._abandons_call()

    def _abandons_call(self) -> None:
        waiting = self._waiting
        if waiting is not None:
            waiting.done.set()

    # Transaction messages

    def delivers(self, now: bool = False) -> bool:
        """Send what is queued and due; True when nothing is left. `now`: without the waiting time."""
        if now:
            self.queue.hurry()
        with self._holding_turn():
            while self.online and (message := self.queue.due(self.clock.monotonic())) is not None:
                try:
                    self._exchange(message)
                except (ConnectionLost, Offline):
                    break
                except (NotAnswered, CallRefused):
                    self.queue.failed(
                        message,
                        self.clock.monotonic(),
                        self.transaction_attempts,
                        self.transaction_retry_interval,
                    )
                    if message.given_up:
                        self.ledger.sums["given_up"] += 1
                else:
                    self.queue.acknowledged(message)
            return not len(self.queue)

    def delivers_everything(self, within: float = 30.0) -> bool:
        """Reconnect and repeat until nothing is queued or `within` seconds are over; True: all delivered.

        Redials with a growing pause, waits as the retry interval says.
        """
        deadline = self.clock.monotonic() + within
        pause = 0.05
        while True:
            try:
                self.dials_in()
                if self.delivers():
                    return True
            except (HandshakeRefused, ConnectionLost):
                pause = min(pause * 2, 2.0)
            now = self.clock.monotonic()
            if now >= deadline:
                return False
            wait = pause
            if self.online and self.queue.next_attempt is not None:
                wait = max(self.queue.next_attempt - now, 0.01)
            self.clock.sleep(min(wait, deadline - now))

    # For the dialects

    def _say(self, message: Message) -> Message:
        """Send a message that is not about a transaction, once."""
        self.ledger.made(message)
        with self._holding_turn():
            self._exchange(message)
        return message

    def _deliver(self, message: Message) -> Message:
        """Queue a transaction message and send what can be sent."""
        message.must_arrive = True
        self.ledger.made(message)
        with self._holding_turn():
            self.queue.add(message)
            with suppress(ChargerSideError):
                self._dials_in_first_time()
                self.delivers()
        return message

    def _dials_in_first_time(self) -> None:
        if not self.online and not self.connections and not self._stays_offline:
            self.dials_in()

    def _exchange(self, message: Message) -> None:
        self._dials_in_first_time()
        if not self.online:
            raise Offline(f"{self.identity} is offline")
        key, text = self._encoded(message)
        waiting = _Waiting(key, self.transport.primitives.Event())
        self._waiting = waiting
        try:
            self.ledger.sent(message)
            self.transport.send(text)
            arrived = waiting.done.wait(0 if self.transport.synchronous else self.call_timeout)
        except ConnectionLost:
            self.ledger.failed(message, "unanswered")
            raise
        finally:
            self._waiting = None
        if waiting.answer is not None:
            message.answer, message.error = waiting.answer, None
            self._learns(message)
            self.ledger.answered(message)
        elif waiting.error is not None:
            message.error = waiting.error
            self.ledger.failed(message, "refused")
            raise CallRefused(*waiting.error)
        else:
            self.ledger.failed(message, "unanswered")
            if arrived or not self.online:
                raise ConnectionLost(f"{message.action}: the connection ended")
            raise NotAnswered(f"{message.action}: no answer")

    def _encoded(self, message: Message) -> tuple[str, str]:
        """What to match the answer by, and the text to send."""
        raise NotImplementedError

    def _learns(self, message: Message) -> None:
        """Take over what an answer says, before anybody else sees it."""

    def receives(self, text: str) -> None:
        raise NotImplementedError

    @contextmanager
    def _holding_turn(self) -> Iterator[None]:
        """One call at a time (OCPP-J section 4.1.1); what was put off meanwhile comes after."""
        with self._turn:
            outermost = not self._turn_taken
            self._turn_taken = True
            try:
                yield
            finally:
                if outermost:
                    self._turn_taken = False
        if outermost and self.transport.synchronous:
            self._does_chores()

    # What follows from the central system's calls

    def _puts_off(self, chore: Callable[[], Any]) -> None:
        """Do it once the answer is out, apart from the receiving: it may make calls of its own."""
        self._at_rest.clear()
        self._chores.append(chore)
        if not self.transport.synchronous:
            self.transport.later(self._does_chores)
        elif not self._turn_taken:
            self._does_chores()

    def _does_chores(self) -> None:
        """In order, one after the other; a fault of one does not stop the next."""
        while self._chores and self._doing_chores.acquire(blocking=False):
            try:
                while self._chores:
                    with suppress(ChargerSideError):
                        self._chores.popleft()()
            finally:
                if not self._chores:
                    self._at_rest.set()
                self._doing_chores.release()

    def rests(self, within: float = 10.0) -> bool:
        """Wait until everything that the central system's calls have caused is done; False: it was not."""
        return bool(self._at_rest.wait(within))
