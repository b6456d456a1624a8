"""One charger's conversation (OCPP-J section 4.1): a state machine without socket and clock.

Text and `now` (seconds on a monotonic clock) go in, events and text come out.

    state      event                                next      result
    ─────────────────────────────────────────────────────────────────────────────────────
    idle       call()                               waiting   the text to send
    waiting    call()                               waiting   RuntimeError: one open call at a time
    waiting    its CALLRESULT                       idle      ResultReceived
    waiting    its CALLERROR, or a broken answer    idle      ErrorReceived
    waiting    expire() after the deadline          idle      CallExpired; the id is remembered
    any        an answer to an expired call         same      ResultReceived/ErrorReceived, late=True
    any        an answer to anything else           same      Nothing
    any        a CALL                               same      CallReceived (calls may cross)
    any        a copy of a CALL still in hand       same      Nothing: one answer goes out
    any        a broken CALL with a readable id     same      Reply
    any        anything else                        same      Nothing
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from . import errors
from .frames import Call, CallError, CallResult, Frame, Ignored, Malformed, MessageId, decode, encode

#: How many expired calls are remembered for their late answers.
REMEMBERED: Final = 64
#: A copy of a call is ignored while the first is in hand, but not for longer than this (seconds): if the
#: first was never answered, its repeat must be.
COPY_SECONDS: Final = 60.0
#: How many calls that nobody answered are remembered.
_MOST_IN_HAND: Final = 256


@dataclass(frozen=True, slots=True)
class CallReceived:
    """The charger asks; answer with `Conversation.result` or `.error`. `text` is the raw frame.

    `oddities` say what was wrong with the frame itself, if it was read all the same.
    """

    id: MessageId
    action: str
    payload: dict[str, Any]
    text: str
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A broken frame: send `text`, nothing else to do. `action` is there as far as it could be read."""

    text: str
    reason: str = ""
    action: str | None = None


@dataclass(frozen=True, slots=True)
class ResultReceived:
    """The charger answered a call of ours; `late`: after its deadline."""

    message_id: str
    payload: dict[str, Any]
    late: bool = False


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    """The charger refused a call of ours, or its answer could not be read; `late`: after its deadline."""

    message_id: str
    code: str
    description: str = ""
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    late: bool = False


@dataclass(frozen=True, slots=True)
class CallExpired:
    """No answer to our call in time: its outcome is unknown."""

    message_id: str
    action: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing to do; `reason` is for the log. `malformed`: it was no frame at all."""

    reason: str
    malformed: bool = False


Event: TypeAlias = CallReceived | Reply | ResultReceived | ErrorReceived | Nothing


class Conversation:
    """What one socket has said and still expects; not shared between threads of control."""

    __slots__ = ("_action", "_expired", "_in_hand", "_open", "deadline")

    def __init__(self) -> None:
        self._open: str | None = None
        self._action = ""
        #: When the open call expires (monotonic seconds); None when no call is open.
        self.deadline: float | None = None
        self._expired: dict[str, str] = {}
        self._in_hand: dict[MessageId, tuple[str, float]] = {}

    @property
    def waiting(self) -> bool:
        """A call of ours is open."""
        return self._open is not None

    def receive(self, text: str, now: float, frame: Frame | None = None) -> Event:
        """Take one text frame (decoded already, if `frame` is given); say what it means. Never raises."""
        if frame is None:
            frame = decode(text)
        if type(frame) is Call:
            in_hand = self._in_hand.get(frame.id)
            if in_hand is not None and in_hand[0] == text and now - in_hand[1] < COPY_SECONDS:
                return Nothing("a copy of a call that is still in hand")
            self._take_in_hand(frame.id, text, now)
            return CallReceived(frame.id, frame.action, frame.payload, text)
        match frame:
            case CallResult() | CallError():
                return self._answered(str(frame.id), frame)
            case Malformed(reply=CallError() as reply):
                return Reply(encode(reply), frame.reason, frame.action)
            case Malformed(answer_to=str() as message_id):
                description = f"the charger's answer could not be read: {frame.reason}"
                return self._answered(
                    message_id, CallError(message_id, errors.FORMATION_VIOLATION, description)
                )
            case Malformed():
                return Nothing(frame.reason, malformed=True)
            case Ignored():
                return Nothing(frame.reason)
        raise AssertionError(frame)

    def call(self, action: str, payload: dict[str, Any], message_id: str, now: float, timeout: float) -> str:
        """Open a call and return the text to send; `timeout` in seconds.

        Raises RuntimeError while another call is open (section 4.1.1).
        """
        if self._open is not None:
            raise RuntimeError(f"the call {self._open} is still open")
        text = encode(Call(message_id, action, payload))
        self._open, self._action, self.deadline = message_id, action, now + timeout
        return text

    def result(self, call: CallReceived, payload: dict[str, Any]) -> str:
        """The text of the answer to a charger's call."""
        self._in_hand.pop(call.id, None)
        return encode(CallResult(call.id, payload))

    def error(
        self, call: CallReceived, code: str, description: str = "", details: dict[str, Any] | None = None
    ) -> str:
        """The text that refuses a charger's call; `description` is cut to 255 characters (section 4.2.3)."""
        self._in_hand.pop(call.id, None)
        return encode(CallError(call.id, code, description[:255], details or {}))

    def expire(self, now: float) -> CallExpired | None:
        """Give up the open call if its deadline has passed; its late answer will still be recognised."""
        if self.deadline is None or now < self.deadline or self._open is None:
            return None
        expired = CallExpired(self._open, self._action)
        self._expired[expired.message_id] = expired.action
        if len(self._expired) > REMEMBERED:
            del self._expired[next(iter(self._expired))]
        self._close()
        return expired

    def postpone(self, seconds: float) -> None:
        """Move the open call's deadline: we ourselves were not reading for that long."""
        if self.deadline is not None:
            self.deadline += seconds

    def _take_in_hand(self, message_id: MessageId, text: str, now: float) -> None:
        self._in_hand.pop(message_id, None)
        if len(self._in_hand) >= _MOST_IN_HAND:
            del self._in_hand[next(iter(self._in_hand))]
        self._in_hand[message_id] = (text, now)

    def _close(self) -> None:
        self._open, self._action, self.deadline = None, "", None

    def _answered(self, message_id: str, frame: CallResult | CallError) -> Event:
        late = message_id != self._open
        if not late:
            self._close()
        elif self._expired.pop(message_id, None) is None:
            return Nothing(f"an answer to {message_id[:64]!r}, which is not open")
        if isinstance(frame, CallError):
            return ErrorReceived(message_id, frame.code, frame.description, frame.details, late)
        return ResultReceived(message_id, frame.payload, late)
