"""What a charger said and what it was answered; the queue of transaction messages."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(eq=False)
class ChargingSession:
    """A charging session as the charger knows it.

    `transaction_id` and `status` (the idTagInfo status) are None until the start was answered; offline
    that is after the replay.
    """

    connector: int
    tag: str
    meter_start: int
    started_at: datetime
    transaction_id: int | str | None = None
    status: str | None = None
    #: The start was given up: the rest of the session is reported under transactionId -1.
    start_lost: bool = False
    ended: bool = False
    start: Message | None = None
    stop: Message | None = None


@dataclass(eq=False)
class Message:
    """One message of the charger: what it said, how often, and what it was answered.

    A message with `session` gets the session's transactionId when it is sent, not when it is made: an
    offline start has no id yet.
    """

    action: str
    payload: dict[str, Any]
    made_at: datetime
    #: Must arrive (section 3.7): queued while offline, repeated until it is answered.
    must_arrive: bool = False
    session: ChargingSession | None = None
    message_ids: list[str] = field(default_factory=list)
    answer: dict[str, Any] | None = None
    error: tuple[str, str] | None = None
    #: Attempts that failed: answered with an error, or not at all. A lost connection does not count.
    failures: int = 0
    not_before: float = 0.0
    given_up: bool = False

    @property
    def acknowledged(self) -> bool:
        return self.answer is not None

    @property
    def status(self) -> str | None:
        """The status in the answer: its own, or that of its idTagInfo."""
        answer = self.answer or {}
        status = answer.get("status") or (answer.get("idTagInfo") or {}).get("status")
        return None if status is None else str(status)

    def __getitem__(self, name: str) -> Any:
        """A field of the answer."""
        if self.answer is None:
            raise KeyError(f"{self.action} was not answered")
        return self.answer[name]


class Ledger:
    """Every message of one charger, and sums over them.

    With `whole` False only what is not acknowledged is kept (for fleets that run for hours).
    """

    def __init__(self, whole: bool = True) -> None:
        self._whole = whole
        self._messages: dict[int, Message] = {}
        #: "sent", "answered", "refused", "unanswered", "given up"; and each action that was sent.
        self.sums: Counter[str] = Counter()

    def __iter__(self) -> Any:
        return iter(list(self._messages.values()))

    def __len__(self) -> int:
        return len(self._messages)

    def made(self, message: Message) -> None:
        self._messages[id(message)] = message

    def sent(self, message: Message) -> None:
        self.sums["sent"] += 1
        self.sums[message.action] += 1

    def answered(self, message: Message) -> None:
        self.sums["answered"] += 1
        if not self._whole:
            self._messages.pop(id(message), None)

    def failed(self, message: Message, kind: str) -> None:
        """`kind`: "refused" (an error was the answer) or "unanswered"."""
        self.sums[kind] += 1
        if not self._whole and not message.must_arrive:
            self._messages.pop(id(message), None)

    def of(self, *actions: str) -> list[Message]:
        return [message for message in self if message.action in actions]

    @property
    def acknowledged(self) -> list[Message]:
        return [message for message in self if message.acknowledged]

    @property
    def outstanding(self) -> list[Message]:
        """Transaction messages that the central system has not acknowledged."""
        return [message for message in self if message.must_arrive and not message.acknowledged]


class TransactionQueue:
    """Transaction messages, in order, until they are answered (sections 3.7 and 3.7.1).

    Before another attempt the charger waits `retry_interval` seconds times the failures so far; after
    `attempts` failures it gives the message up and goes on.
    """

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: Message) -> None:
        self._messages.append(message)

    def due(self, now: float) -> Message | None:
        """The first message, if its time has come; the ones behind it wait for it."""
        if self._messages and self._messages[0].not_before <= now:
            return self._messages[0]
        return None

    @property
    def next_attempt(self) -> float | None:
        """When the first message may be sent (monotonic seconds)."""
        return self._messages[0].not_before if self._messages else None

    def hurry(self) -> None:
        """Forget the waiting time: the next attempt may be made at once."""
        if self._messages:
            self._messages[0].not_before = 0.0

    def acknowledged(self, message: Message) -> None:
        """`message` is the first."""
        self._messages.popleft()

    def failed(self, message: Message, now: float, attempts: int, retry_interval: float) -> None:
        message.failures += 1
        message.not_before = now + retry_interval * message.failures
        if message.failures >= attempts:
            message.given_up = True
            self._messages.popleft()
            if message.action == "StartTransaction" and message.session is not None:
                message.session.start_lost = True
