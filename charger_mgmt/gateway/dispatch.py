"""One message of a charger, in any dialect: is it taken, what comes of it, what is it answered. No socket needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

import gevent
import msgspec

from .. import clock
from ..beside import LONG, beside
from ..dialects import Incoming, Said, Taken, Violation
from ..dialects.ocpp16 import table
from ..domain import facts, outcomes
from ..domain.facts import Fact
from ..domain.registration import ACCEPTED, PENDING
from ..errors import DatabaseAway
from ..intake.committer import ProcessingFailed, Ticket
from ..intake.messages import OVER_QUOTA, ChargerMessage, FollowUp
from ..ocppj import errors
from ..ocppj.conversation import CallReceived
from ..websocket import frames
from . import pacing
from .central_system import CentralSystem
from .follow_ups import FollowUps
from .session import Session
from .sources import Sources
from .speaker import Speaker

log = logging.getLogger(__name__)

_ASK_FOR_BOOT = FollowUp(
    "TriggerMessage", {"requestedMessage": "BootNotification"}, "it spoke before any boot"
)


class Answer(NamedTuple):
    """What a message is answered: a payload, or an error."""

    payload: dict[str, Any] = {}  # noqa: RUF012 — nobody changes it
    error: Violation | None = None
    #: Calls that are due once the answer is written.
    follow_ups: tuple[FollowUp, ...] = ()
    #: The charger was accepted: what we set up by ourselves is due.
    set_up: bool = False


#: The database is away: no answer and no close frame, so that the charger keeps the message and comes back.
AWAY: Final = Answer()
#: Our fault; what it said is in the inbox.
NOT_PROCESSED: Final = Answer(error=Violation(errors.INTERNAL_ERROR, "The message could not be processed."))
#: An unapproved charger has stored all that it may: its socket is closed.
TOO_MUCH_STORED: Final = "more than an unapproved charger may store"
TOO_MUCH: Final = Answer(error=Violation(errors.SECURITY_ERROR, TOO_MUCH_STORED))


class Dispatcher:
    """Handles the messages of this process's chargers."""

    def __init__(self, central: CentralSystem, sources: Sources, follow_ups: FollowUps) -> None:
        self._central = central
        self._sources = sources
        self._follow_ups = follow_ups

    def handle(self, speaker: Speaker, said: Said, done: Callable[[Answer], None]) -> None:
        """Handle one message: `done` gets its answer, at once or after the commit.

        Never waits and never raises: whatever goes wrong is logged, answered, and stays here.
        """
        row = said.row
        try:
            if not _may_speak(speaker, row):
                description = f"{row.action} before the BootNotification was accepted: send it first"
                answer = _refused(speaker, row.action, Violation(errors.SECURITY_ERROR, description))
            elif not speaker.admitted and not self._sources.takes_unapproved(speaker.identity, len(said.raw)):
                self._tells_of_quota(speaker)
                answer = TOO_MUCH
            elif row.from_memory:
                speaker.has_spoken = True
                answer = Answer(row.answer(said.payload, FROM_MEMORY[row.fact]()))
                if said.oddities:  # the answer does not wait for their record
                    self._central.committer.begin(_message(speaker, said), lambda _: None)
            else:
                speaker.has_spoken = True
                self._central.committer.begin(
                    _message(speaker, said), lambda ticket: done(self._stored(speaker, said, ticket))
                )
                return
        except Exception as error:
            answer = _failed(speaker, said, error)
        done(answer)

    def take_call(self, session: Session, call: CallReceived) -> None:
        """Handle one CALL of OCPP-J as `handle` does, and have its session answer it."""
        self._central.last_seen.touch(session.charger_id)
        if len(call.text) > LONG:
            gevent.spawn(self._take_call, session, call)
        else:
            self._take_call(session, call)

    def _take_call(self, session: Session, call: CallReceived) -> None:
        def done(answer: Answer) -> None:
            self._answers(session, call, answer)

        try:
            if len(call.text) > LONG:
                said = beside(len(call.text), _said, call, session.strict)
            else:
                said = _said(call, session.strict)
            if isinstance(said, Violation):
                row = table.INCOMING.get(call.action)
                if row is None or _may_speak(session, row):
                    done(_refused(session, call.action, said))
                    return
                said = Said(row, {}, call.text)
        except Exception:
            log.exception("charger %s: message %s (%s) failed", session.identity, call.id, call.action[:64])
            done(NOT_PROCESSED)
            return
        self.handle(session, said, done)

    def _stored(self, speaker: Speaker, said: Said, ticket: Ticket) -> Answer:
        """The answer to a message that has been stored, or could not be."""
        try:
            reply = ticket.take()
            outcome = reply.outcome
            if (effect := EFFECTS.get(said.row.fact)) is not None:
                outcome = effect(self._central, speaker, outcome)
            follow_ups = (*reply.follow_ups, *_asks_for_boot(speaker))
            set_up = isinstance(outcome, outcomes.Booted) and outcome.status == ACCEPTED
            return Answer(said.row.answer(said.payload, outcome), follow_ups=follow_ups, set_up=set_up)
        except Exception as error:
            return _failed(speaker, said, error)

    def _answers(self, session: Session, call: CallReceived, answer: Answer) -> None:
        """Write the answer. Never raises: it would hold up all that come after it."""
        text = None
        try:
            if answer is AWAY:
                session.drop("the database is away")
            elif answer is TOO_MUCH:
                session.close(frames.POLICY_VIOLATION, TOO_MUCH_STORED)
            elif answer.error is not None:
                text = session.conversation.error(call, answer.error.code, answer.error.description)
            else:
                text = session.conversation.result(call, answer.payload)
        except Exception:
            log.exception("charger %s: message %s could not be answered", session.identity, call.id)
            session.drop("internal error")
        then = None
        if answer.follow_ups or answer.set_up:
            due = answer.follow_ups, answer.set_up
            then = lambda: self._follow_ups.schedule(session, call.action, *due)  # noqa: E731
        session.answer(call, text, then)

    def _tells_of_quota(self, speaker: Speaker) -> None:
        """The operator finds it in the charger's events, once an hour."""
        if not self._sources.is_news(speaker.identity):
            return
        log.warning("charger %s: closed, it may not store more before it is approved", speaker.identity)
        limit = self._central.settings.unapproved_bytes_per_hour
        said = facts.Noted({"reason": TOO_MUCH_STORED, "limit": limit})
        message = ChargerMessage(OVER_QUOTA, speaker.charger_id, speaker.identity, said, clock.now())
        self._central.committer.begin(message, lambda _: None)


def _said(call: CallReceived, strict: bool) -> Said | Violation:
    """What a CALL says, after the tolerances, or what is wrong with it.

    Of a long one also its fact, while we are beside the loop; what fails will fail again where it is set aside.
    """
    row = table.INCOMING.get(call.action)
    if row is None or row.form is None:
        return table.unknown(call.action)
    checked = row.form.check(call.payload, strict=strict)
    if checked.violation is not None:
        return checked.violation
    fact = None
    if len(call.text) > LONG:
        with suppress(Exception):
            fact = row.read(checked.payload)
    return Said(row, checked.payload, call.text, checked.oddities + call.oddities, str(call.id), fact)


def _may_speak(speaker: Speaker, row: Incoming[Any]) -> bool:
    """Section 4.2 and errata 3.10, except that a message that carries money is always taken.

    What a charger says that was never accepted but may come in is taken, too, unless it is held to the letter.
    """
    if speaker.registration == ACCEPTED or row.taken is Taken.ALWAYS:
        return True
    if speaker.registration is None and speaker.admitted and not speaker.strict:
        return row.taken is Taken.UNLESS_REFUSED  # moved here without a boot, for which it is asked
    return speaker.registration == PENDING and row.action in speaker.triggered


def _refused(speaker: Speaker, action: str, violation: Violation) -> Answer:
    log.info("charger %s: %s refused: %s", speaker.identity, action[:64], violation.description)
    speaker.socket.wasted()
    follow_ups = _asks_for_boot(speaker) if violation.code == errors.SECURITY_ERROR else ()
    return Answer(error=violation, follow_ups=follow_ups)


def _asks_for_boot(speaker: Speaker) -> tuple[FollowUp, ...]:
    """A charger that speaks before any boot is asked for one, once."""
    if speaker.registration is not None or speaker.boot_asked or not speaker.admitted:
        return ()
    speaker.boot_asked = True
    return (_ASK_FOR_BOOT,)


def _message(speaker: Speaker, said: Said) -> ChargerMessage[Any]:
    return ChargerMessage(
        said.row,
        speaker.charger_id,
        speaker.identity,
        said.payload,
        clock.now(),
        said.raw,
        said.message_id,
        said.oddities,
        speaker.dialect,
        speaker.proven,
        speaker.behind,
        said.fact,
    )


def _failed(speaker: Speaker, said: Said, error: Exception) -> Answer:
    """Never raises: a call that nobody answers would hold up all that come after it."""
    if isinstance(error, DatabaseAway):
        return AWAY
    if not isinstance(error, ProcessingFailed):
        log.error(
            "charger %s: message %s (%s) failed",
            speaker.identity,
            said.message_id,
            said.row.action,
            exc_info=error,
        )
    return NOT_PROCESSED


_alive: tuple[int, outcomes.Alive] | None = None


def _time() -> outcomes.Alive:
    global _alive
    second = clock.second()
    if _alive is None or _alive[0] != second:  # made once a second: thousands of chargers ask for it
        _alive = second, outcomes.Alive(clock.now())
    return _alive[1]


def _booted(central: CentralSystem, speaker: Speaker, outcome: outcomes.Booted) -> outcomes.Booted:
    speaker.registration = outcome.status
    speaker.admitted = outcome.status == ACCEPTED
    speaker.status_reported = False
    speaker.connectors_asked = False
    if not speaker.admitted:
        return outcome
    speaker.on_acceptance()
    interval = pacing.heartbeat_interval(outcome.interval, central.database.since_return)
    return msgspec.structs.replace(outcome, interval=interval)


def _reported(central: CentralSystem, speaker: Speaker, outcome: outcomes.Outcome) -> outcomes.Outcome:
    speaker.status_reported = True
    return outcome


#: What is answered without a look at the database.
FROM_MEMORY: Final[dict[type[Fact], Callable[[], outcomes.Outcome]]] = {facts.Lives: _time}

#: What the conversation makes of an outcome, once the fact is stored.
EFFECTS: Final[dict[type[Fact], Callable[[CentralSystem, Speaker, Any], Any]]] = {
    facts.Boots: _booted,
    facts.ConnectorReports: _reported,
}
