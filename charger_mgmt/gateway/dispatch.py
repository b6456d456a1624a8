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
from ..dialects import Checked, Incoming, Said, Taken, Violation
from ..dialects.ocpp16 import table
from ..domain import facts, outcomes
from ..domain.facts import Fact
from ..domain.registration import ACCEPTED, PENDING
from ..errors import DatabaseAway
from ..intake.committer import ProcessingFailed, Ticket
from ..intake.messages import ChargerMessage, FollowUp
from ..ocppj import errors
from ..ocppj.conversation import CallReceived
from . import pacing
from .central_system import CentralSystem
from .session import Session
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


def handle(central: CentralSystem, speaker: Speaker, said: Said, done: Callable[[Answer], None]) -> None:
    """Handle one message: `done` gets its answer, at once or after the commit.

    Never waits and never raises: whatever goes wrong is logged, answered, and stays here.
    """
    row = said.row
    try:
        if not _may_speak(speaker, row):
            description = f"{row.action} before the BootNotification was accepted"
            answer = _refused(speaker, row.action, Violation(errors.SECURITY_ERROR, description))
        elif row.from_memory:
            speaker.has_spoken = True
            answer = Answer(row.answer(said.payload, FROM_MEMORY[row.fact]()))
            if said.oddities:  # the answer does not wait for their record
                central.committer.begin(_message(central, speaker, said), lambda _: None)
        else:
            speaker.has_spoken = True
            message = _message(central, speaker, said)
            central.committer.begin(message, lambda ticket: done(_stored(central, speaker, said, ticket)))
            return
    except Exception as error:
        answer = _failed(speaker, said, error)
    done(answer)


def take_call(
    central: CentralSystem, session: Session, call: CallReceived, done: Callable[[Answer], None]
) -> None:
    """Handle one CALL of OCPP-J, as `handle` does."""
    central.last_seen.touch(session.charger_id)
    if len(call.text) > LONG:
        gevent.spawn(_take_call, central, session, call, done)
    else:
        _take_call(central, session, call, done)


def _take_call(
    central: CentralSystem, session: Session, call: CallReceived, done: Callable[[Answer], None]
) -> None:
    try:
        checked, row, fact = beside(len(call.text), _checked, call, session.strict)
    except Exception as error:
        log.error(
            "charger %s: message %s (%s) failed", session.identity, call.id, call.action[:64], exc_info=error
        )
        done(NOT_PROCESSED)
        return
    if row is None or (checked.violation is not None and _may_speak(session, row)):
        assert checked.violation is not None
        done(_refused(session, call.action, checked.violation))
        return
    oddities = checked.oddities + call.oddities
    handle(central, session, Said(row, checked.payload, call.text, oddities, str(call.id), fact), done)


def _checked(call: CallReceived, strict: bool) -> tuple[Checked, Incoming[Any] | None, Fact | None]:
    """The call's payload after the tolerances, and its row (None: chargers send no such message).

    And of a long one its fact, while we are beside the loop; what fails will fail again where it is set aside.
    """
    checked, row = table.check(call.action, call.payload, strict=strict), table.INCOMING.get(call.action)
    fact = None
    if len(call.text) > LONG and row is not None and checked.violation is None:
        with suppress(Exception):
            fact = row.read(checked.payload)
    return checked, row, fact


def text_of(session: Session, call: CallReceived, answer: Answer) -> str | None:
    """The frame that answers a CALL; None: there is none, the socket has been dropped. Never raises: it would hold up all that come after it."""
    try:
        if answer is AWAY:
            session.drop("the database is away")
            return None
        if answer.error is not None:
            return session.conversation.error(call, answer.error.code, answer.error.description)
        return session.conversation.result(call, answer.payload)
    except Exception:
        log.exception("charger %s: message %s could not be answered", session.identity, call.id)
        session.drop("internal error")
        return None


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


def _message(central: CentralSystem, speaker: Speaker, said: Said) -> ChargerMessage[Any]:
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
        _fact=said.fact,
        proven=speaker.proven,
        behind=central.settings.clocks_believed_for,
    )


def _stored(central: CentralSystem, speaker: Speaker, said: Said, ticket: Ticket) -> Answer:
    """The answer to a message that has been stored, or could not be."""
    try:
        reply = ticket.take()
        outcome = reply.outcome
        if (effect := EFFECTS.get(said.row.fact)) is not None:
            outcome = effect(central, speaker, outcome)
        follow_ups = (*reply.follow_ups, *_asks_for_boot(speaker))
        set_up = isinstance(outcome, outcomes.Booted) and outcome.status == ACCEPTED
        return Answer(said.row.answer(said.payload, outcome), follow_ups=follow_ups, set_up=set_up)
    except Exception as error:
        return _failed(speaker, said, error)


#: Our fault; what it said is in the inbox.
NOT_PROCESSED: Final = Answer(error=Violation(errors.INTERNAL_ERROR, "The message could not be processed."))


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
