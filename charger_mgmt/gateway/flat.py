"""Sockets of the flat dialect: plain JSON objects, several chargers on one socket, no calls to the charger."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

import gevent
from gevent.event import AsyncResult
from sqlalchemy import Row

from .. import clock
from ..beside import LONG, TOO_MANY_WAIT, beside, long_ones
from ..dialects import Taken, Violation, flat
from ..dialects.flat import FlatError, FlatMessage
from ..domain import dialect
from ..domain.facts import TurnedAway
from ..domain.registration import ACCEPTED, admits, shut_out
from ..errors import DatabaseAway
from ..intake.messages import REFUSED, ChargerMessage
from ..ocppj import errors
from ..websocket import frames
from ..websocket.socket import ChargerSocket, SocketClosed
from . import dispatch
from .admission import OCPP16, Admitted
from .central_system import CentralSystem
from .parts import Gateway
from .places import Place
from .session import MALFORMED_LIMIT
from .speaker import Speaker

log = logging.getLogger(__name__)

#: Chargers that one socket may speak for.
MOST_CHARGERS = 1000
#: Seconds after which the right to speak for a charger is looked up again.
_TRUSTED_FOR = 30.0
#: After so many refusals of the same in a row one stands for so many seconds.
_REFUSED_OFTEN, _REFUSED_FOR = 20, 1.0
_OPEN_WITH_IT = "this charger needs its password: open the socket with it"
_OCPP_J = "this charger speaks OCPP-J, at /ocpp/<identity>"


class _Refused(Exception):
    """This socket may not say that; the text is for the charger."""


@dataclass(slots=True)
class _Trust:
    """A charger that this socket speaks for, and when its right to was looked up (monotonic seconds)."""

    speaker: Speaker
    checked_at: float


class _Refusal(NamedTuple):
    """The last refusal of a socket: of whom, of what, when (monotonic seconds), why, and the how manieth in a row."""

    identity: str
    message_type: str
    at: float
    reason: str
    times: int

    def is_of(self, message: FlatMessage) -> bool:
        return (self.identity, self.message_type) == (message.identity, message.message_type)


class FlatSession:
    """One flat socket. `admitted` names the charger with whose password it was opened."""

    def __init__(
        self,
        central: CentralSystem,
        gateway: Gateway,
        socket: Any,
        admitted: Admitted,
        place: Place,
    ) -> None:
        self.socket = socket
        self._place = place
        self._central = central
        self._admission = gateway.admission
        self._connections = gateway.connections
        self._dispatcher = gateway.dispatcher
        self._authenticated_as = admitted.identity
        #: What the password made that the socket was opened with.
        self._password_hash = admitted.password_hash
        self._speakers: dict[str, _Trust] = {}
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
            for identity, trust in self._speakers.items():
                speaker = trust.speaker
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
            answer = self._handle(message, text)
        except DatabaseAway:
            answer = dispatch.AWAY
        except Exception:
            log.exception("flat charger %s: %s failed", message.identity, message.message_type)
            answer = dispatch.NOT_PROCESSED
        if answer is dispatch.AWAY:
            self.drop("the database is away")
            return None
        body = answer.payload
        if answer.error is not None:
            code, description = answer.error.code, answer.error.description
            body = flat.error_body(code, description, message_type=message.message_type)
        said = flat.encode(body)
        trust = self._speakers.get(message.identity)
        if trust is not None and trust.speaker.journal is not None:
            trust.speaker.journal(True, said)
        return said

    def close(self, code: int = frames.NORMAL, reason: str = "") -> None:
        self.socket.close(code, reason)

    def drop(self, why: str = "dropped by us") -> None:
        self.socket.drop(why)

    def leave(self, identity: str, code: int, reason: str) -> None:
        """Speak for this charger no longer; the socket ends when it spoke for no other."""
        if (trust := self._speakers.get(identity)) is not None:
            trust.checked_at = -inf
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
        turned_away = TurnedAway(message.message_type, reason)
        self._central.committer.submit(
            ChargerMessage(
                REFUSED, row.id, message.identity, turned_away, clock.now(), text, dialect=dialect.FLAT
            )
        )

    def _handle(self, message: FlatMessage, text: str) -> dispatch.Answer:
        """Raises DatabaseAway."""
        try:
            speaker = self._speaker(message)
        except _Refused as refused:
            log.info("flat socket %s: %s refused: %s", self.socket.peer, message.message_type, refused)
            self.socket.wasted()
            if message.said.row.never_refused:
                self._keep_refused(message, text, str(refused))
            return dispatch.Answer(error=Violation(errors.SECURITY_ERROR, str(refused)))
        self._central.last_seen.touch(speaker.charger_id)
        if speaker.journal is not None:
            speaker.journal(False, text)
        answered = AsyncResult()
        self._dispatcher.handle(speaker, message.said, answered.set)
        answer: dispatch.Answer = answered.get()
        if answer is dispatch.TOO_MUCH:
            self.close(frames.POLICY_VIOLATION, dispatch.TOO_MUCH_STORED)
            if message.said.row.never_refused:
                self._keep_refused(message, text, dispatch.TOO_MUCH_STORED)
        return answer

    def _speaker(self, message: FlatMessage) -> Speaker:
        """The charger that the message is from, if this socket may speak for it. Raises _Refused."""
        identity = message.identity
        now = clock.monotonic()
        trust = self._speakers.get(identity)
        trusted = trust is not None and now - trust.checked_at < _TRUSTED_FOR
        if trust is None or not trusted or self._central.registry.get(identity) is not None:
            self._refuse_again(message, now)
            try:
                row = self._check_right(message)
            except _Refused as refused:
                self._remember_refusal(message, now, str(refused))
                if trust is not None:  # what was trusted is looked up again, whatever comes next
                    trust.checked_at = -inf
                raise
            if row is None or not row.connected:
                trust = None  # removed meanwhile; or somebody else who had dialled under its name has left
            elif trust is not None:
                trust.speaker.registration = row.registration
                trust.speaker.admitted = admits(row.approved, self._onboarding)
        if trust is None:
            trust = _Trust(self._opened(identity), now)
            self._speakers[identity] = trust
            if trust.speaker.registration == ACCEPTED:
                self._place.is_known_now()
        elif not trusted:
            trust.checked_at = now
        self._central.registry.speaks(identity, self)
        return trust.speaker

    def _opened(self, identity: str) -> Speaker:
        """The charger speaks here from now on. Raises _Refused."""
        if identity not in self._speakers and len(self._speakers) >= MOST_CHARGERS:
            raise _Refused(f"one socket speaks for at most {MOST_CHARGERS} chargers")
        opened = self._connections.opened(identity, dialect.FLAT, self.socket.address)
        changed = opened.password_hash and opened.password_hash != self._password_hash
        if shut_out(opened.blocked, opened.approved) or changed:
            raise _Refused("this charger is not let in")  # not any more: it was taken away in between
        return Speaker(
            identity,
            socket=self.socket,
            charger_id=opened.charger_id,
            generation=opened.generation,
            registration=opened.registration,
            dialect=dialect.FLAT,
            admitted=admits(opened.approved, self._onboarding),
            proven=self._authenticated_as == identity,
            behind=self._central.settings.clocks_believed_for,
            on_acceptance=self._place.is_known_now,
            journal=self._central.journal.of(identity, opened.charger_id, opened.journal),
        )

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
            if message.said.row.taken is Taken.ACCEPTED:
                raise _Refused("this charger is not known yet; send a BootNotification first")
            if self._connections.sources.new_charger_wait(message.identity, self.socket.address):
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


def serve(central: CentralSystem, gateway: Gateway, socket: ChargerSocket, admitted: Admitted) -> None:
    """Serve a flat socket until it ends."""
    with gateway.connections.seated(admitted, socket) as place:
        session = FlatSession(central, gateway, socket, admitted, place)
        central.registry.hold(session)
        silent = gevent.spawn_later(central.settings.first_message_seconds, session.ends_if_silent)
        try:
            session.serve()
        finally:
            silent.kill(block=False)
            central.registry.release(session)
