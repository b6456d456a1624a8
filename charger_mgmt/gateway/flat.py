"""Sockets of the flat dialect: plain JSON objects, several chargers on one socket, no calls to the charger."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

import gevent
from sqlalchemy import Row

from .. import clock
from ..beside import LONG, TOO_MANY_WAIT, beside, long_ones
from ..central_system import CentralSystem
from ..errors import DatabaseAway
from ..live import frames
from ..live.session import MALFORMED_LIMIT
from ..live.socket import ChargerSocket, SocketClosed
from ..ocpp import errors, flat, timestamps
from ..ocpp.flat import FlatError, FlatMessage
from ..services.boot import ACCEPTED, admits
from ..services.committer import ProcessingFailed
from ..services.inbound import ChargerMessage
from .admission import FLAT, OCPP16, Admission, Admitted, shut_out
from .connection import OVER_QUOTA, Connections, over_quota
from .pacing import paced
from .parts import Gateway
from .places import Place

log = logging.getLogger(__name__)

#: Chargers that one socket may speak for.
MOST_CHARGERS = 1000
#: Seconds after which the right to speak for a charger is looked up again.
_TRUSTED_FOR = 30.0
#: After so many refusals of the same in a row one stands for so many seconds.
_REFUSED_OFTEN, _REFUSED_FOR = 20, 1.0
_OPEN_WITH_IT = "this charger needs its password: open the socket with it"
_OCPP_J = "this charger speaks OCPP-J, at /ocpp/<identity>"
_BOOT = "BootNotification"
_MONEY = ("StartTransaction", "StopTransaction")


class _Refused(Exception):
    """This socket may not say that; the text is for the charger."""


@dataclass(slots=True)
class _Speaker:
    """A charger that this socket speaks for."""

    charger_id: int
    generation: int
    registration: str | None
    checked_at: float
    #: The operator, or the onboarding, lets the charger in.
    admitted: bool


class _Refusal(NamedTuple):
    """The last refusal of a socket: of whom, of what, when (monotonic seconds), why, and the how manieth in a row."""

    identity: str
    message_type: str
    at: float
    reason: str
    times: int

    def is_of(self, message: FlatMessage) -> bool:
        return (self.identity, self.message_type) == (message.identity, message.message_type)


def _may_speak(speaker: _Speaker, action: str) -> bool:
    if action in (_BOOT, *_MONEY) or speaker.registration == ACCEPTED:
        return True
    # Moved here without a boot; what it says is taken.
    return speaker.registration is None and speaker.admitted and action != "Heartbeat"


class FlatSession:
    """One flat socket. `admitted` names the charger with whose password it was opened."""

    def __init__(
        self,
        central: CentralSystem,
        admission: Admission,
        connections: Connections,
        socket: Any,
        admitted: Admitted,
        place: Place,
    ) -> None:
        self.socket = socket
        self._place = place
        self._central = central
        self._admission = admission
        self._connections = connections
        self._authenticated_as = admitted.identity
        #: What the password made that the socket was opened with.
        self._password_hash = admitted.password_hash
        self._speakers: dict[str, _Speaker] = {}
        self._refusal = _Refusal("", "", -inf, "", 0)
        self._onboarding = central.settings.charger_onboarding
        self._malformed = 0

    def serve(self) -> None:
        """Read, handle and answer one message after the other until the socket ends."""
        if self._authenticated_as is not None:
            self._central.registry.speaks(self._authenticated_as, self)
        try:
            while (text := self.socket.receive()) is not None:
                answer = self.answer(text) if len(text) <= LONG else self._answer_long(text)
                if answer is not None:
                    self.socket.send(answer)
        except SocketClosed:
            pass
        finally:
            if self._authenticated_as is not None:
                self._central.registry.falls_silent(self._authenticated_as, self)
            for identity, speaker in self._speakers.items():
                self._central.registry.falls_silent(identity, self)
                if self._central.registry.get(identity) is None:
                    self._central.last_seen.forget(speaker.charger_id)
                self._connections.closed(
                    identity, speaker.charger_id, speaker.generation, self.socket.why_closed
                )

    def _answer_long(self, text: str) -> str | None:
        """As `answer`, in one's turn."""
        if not long_ones.has_room(self.socket.address):
            self.drop(TOO_MANY_WAIT)
            return None
        with long_ones.turn(self.socket.address, proven=self._authenticated_as is not None):
            return self.answer(text)

    def answer(self, text: str) -> str | None:
        """The answer to one message; None: none is due, or the database is away and the socket dropped."""
        message = beside(len(text), flat.decode, text)
        if isinstance(message, FlatError):
            log.info("flat socket %s: %s", self.socket.peer, message.reason)
            self.socket.wasted()
            self._count_malformed()
            return flat.encode(message.body)
        if not isinstance(message, FlatMessage):
            self.socket.wasted()
            return None
        self._malformed = 0
        try:
            return flat.encode(flat.reply(message, self._handle(message, text)))
        except _Refused as refused:
            log.info("flat socket %s: %s refused: %s", self.socket.peer, message.message_type, refused)
            self.socket.wasted()
            try:
                if message.message_type in _MONEY:
                    self._keep_refused(message, text, str(refused))
            except DatabaseAway:
                self.drop("the database is away")
                return None
            return self._error(message, errors.SECURITY_ERROR, str(refused))
        except DatabaseAway:
            self.drop("the database is away")
            return None
        except ProcessingFailed:
            return self._error(message, errors.INTERNAL_ERROR, "the message could not be processed")
        except Exception:
            log.exception("flat charger %s: %s failed", message.identity, message.message_type)
            return self._error(message, errors.INTERNAL_ERROR, "the message could not be processed")

    def close(self, code: int = frames.NORMAL, reason: str = "") -> None:
        self.socket.close(code, reason)

    def drop(self, why: str = "dropped by us") -> None:
        self.socket.drop(why)

    def leave(self, identity: str, code: int, reason: str) -> None:
        """Speak for this charger no longer; the socket ends when it spoke for no other."""
        if (speaker := self._speakers.get(identity)) is not None:
            speaker.checked_at = -inf
        if identity == self._authenticated_as or not self._speakers.keys() - {identity}:
            self.close(code, reason)

    @property
    def _is_nobodys(self) -> bool:
        return not self._speakers and self._authenticated_as is None

    def ends_if_silent(self) -> None:
        if self._is_nobodys:
            self.close(frames.POLICY_VIOLATION, "nothing was said that could be taken")

    def _keep_refused(self, message: FlatMessage, text: str, reason: str) -> None:
        """A transaction message that this socket may not send is kept, for the operator to judge, if its charger is known."""
        row = self._admission.find(message.identity)
        if row is None or not self._connections.sources.takes_refused(self.socket.address, len(text)):
            return
        payload = {"action": message.message_type, "reason": reason, "text": text}
        self._central.committer.submit(
            ChargerMessage("Refused", row.id, message.identity, payload, text, None, clock.now(), flat=True)
        )

    def _handle(self, message: FlatMessage, text: str) -> dict[str, Any]:
        speaker = self._speaker(message)
        action = message.message_type
        self._central.last_seen.touch(speaker.charger_id)
        if not _may_speak(speaker, action):
            raise _Refused("the BootNotification has not been accepted; send it first")
        if not speaker.admitted and not self._connections.sources.takes_unapproved(
            message.identity, len(text)
        ):
            over_quota(self._central, self._connections, speaker.charger_id, message.identity)
            self.close(frames.POLICY_VIOLATION, OVER_QUOTA)
            raise _Refused(OVER_QUOTA)
        received_at = clock.now()
        if action == "Heartbeat":
            return {"currentTime": timestamps.format(received_at)}
        answer = self._central.committer.submit(
            ChargerMessage(
                action,
                speaker.charger_id,
                message.identity,
                message.payload,
                text,
                None,
                received_at,
                message.oddities,
                flat=True,
                proven=self._authenticated_as == message.identity,
                behind=self._central.settings.clocks_believed_for,
            )
        ).payload
        if action == _BOOT:
            speaker.registration = answer["status"]
            speaker.admitted = answer["status"] == ACCEPTED
            if speaker.admitted:
                self._place.is_known_now()
            answer = paced(answer, self._central.database.since_return)
        return answer

    def _speaker(self, message: FlatMessage) -> _Speaker:
        """The charger that the message is from, if this socket may speak for it. Raises _Refused."""
        identity = message.identity
        now = clock.monotonic()
        speaker = self._speakers.get(identity)
        trusted = speaker is not None and now - speaker.checked_at < _TRUSTED_FOR
        if speaker is None or not trusted or self._central.registry.get(identity) is not None:
            self._refuse_again(message, now)
            try:
                row = self._check_right(message)
            except _Refused as refused:
                self._remember_refusal(message, now, str(refused))
                if speaker is not None:  # what was trusted is looked up again, whatever comes next
                    speaker.checked_at = -inf
                raise
            if row is None or not row.connected:
                speaker = None  # removed meanwhile; or somebody else who had dialled under its name has left
            elif speaker is not None:
                speaker.registration = row.registration
                speaker.admitted = admits(row.approved, self._onboarding)
        if speaker is None:
            if identity not in self._speakers and len(self._speakers) >= MOST_CHARGERS:
                raise _Refused(f"one socket speaks for at most {MOST_CHARGERS} chargers")
            opened = self._connections.opened(identity, FLAT, self.socket.address)
            if shut_out(opened["blocked"], opened["approved"]) or (
                opened["password_hash"] and opened["password_hash"] != self._password_hash
            ):
                raise _Refused("this charger is not let in")  # not any more: it was taken away in between
            speaker = _Speaker(
                opened["charger_id"],
                opened["generation"],
                opened["registration"],
                now,
                admits(opened["approved"], self._onboarding),
            )
            self._speakers[identity] = speaker
            if speaker.registration == ACCEPTED:
                self._place.is_known_now()
        elif not trusted:
            speaker.checked_at = now
        self._central.registry.speaks(identity, self)
        return speaker

    def _refuse_again(self, message: FlatMessage, now: float) -> None:
        """What was refused again and again is refused without a look: it must not keep the database busy."""
        refused = self._refusal
        if refused.times >= _REFUSED_OFTEN and refused.is_of(message) and now < refused.at + _REFUSED_FOR:
            raise _Refused(refused.reason)

    def _remember_refusal(self, message: FlatMessage, now: float, reason: str) -> None:
        times = self._refusal.times + 1 if self._refusal.is_of(message) else 1
        self._refusal = _Refusal(message.identity, message.message_type, now, reason, times)

    def _check_right(self, message: FlatMessage) -> Row[Any] | None:
        """The charger's row, None for a new one. Raises _Refused."""
        row = self._admission.find(message.identity)
        settings = self._central.settings
        proven = self._is_proven(message.identity, row)
        if row is None:
            if settings.charger_onboarding == "closed":
                raise _Refused("no charger by this identity is known here")
            if settings.charger_auth == "password":
                raise _Refused(_OPEN_WITH_IT)
            if message.message_type == "Heartbeat":
                raise _Refused("this charger is not known yet; send a BootNotification first")
            if self._connections.sources.new_charger_wait(self.socket.address):
                raise _Refused("too many chargers that nobody knows came from here")
        elif shut_out(row.blocked, row.approved):
            raise _Refused("this charger is not let in")
        elif row.dialect_pinned and row.bound_dialect == OCPP16:
            raise _Refused(_OCPP_J)
        elif proven:
            return row
        elif row.password_hash or (settings.charger_auth == "password" and not row.allow_without_password):
            raise _Refused(_OPEN_WITH_IT)
        elif row.bound_dialect == OCPP16:
            raise _Refused(_OCPP_J)
        return row

    def _is_proven(self, identity: str, row: Row[Any] | None) -> bool:
        """The socket was opened with this charger's password, which is the same still."""
        if self._authenticated_as != identity or row is None:
            return False
        return row.password_hash is not None and row.password_hash == self._password_hash

    def _count_malformed(self) -> None:
        self._malformed += 1
        if self._malformed >= MALFORMED_LIMIT:
            self.close(frames.POLICY_VIOLATION, "too many malformed messages")

    @staticmethod
    def _error(message: FlatMessage, code: str, text: str) -> str:
        return flat.encode(flat.error_body(code, text, message_type=message.message_type))


def serve(central: CentralSystem, gateway: Gateway, socket: ChargerSocket, admitted: Admitted) -> None:
    """Serve a flat socket until it ends."""
    connections = gateway.connections
    with connections.seated(admitted, socket) as place:
        session = FlatSession(central, gateway.admission, connections, socket, admitted, place)
        central.registry.hold(session)
        silent = gevent.spawn_later(central.settings.first_message_seconds, session.ends_if_silent)
        try:
            session.serve()
        finally:
            silent.kill(block=False)
            central.registry.release(session)
