"""One CALL of a charger: checked, handled, answered. Text in, text out, no socket needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent

from .. import clock
from ..beside import LONG, beside
from ..central_system import CentralSystem
from ..errors import DatabaseAway
from ..live.session import Session
from ..ocpp import errors, schemas, timestamps
from ..ocpp.actions import FROM_CHARGER, NEVER_REFUSED
from ..ocpp.conversation import CallReceived
from ..services.committer import ProcessingFailed, Ticket
from ..services.inbound import ChargerMessage, FollowUp, Reply
from . import pacing

log = logging.getLogger(__name__)

ACCEPTED = "Accepted"
PENDING = "Pending"

_ASK_FOR_BOOT = FollowUp(
    "TriggerMessage", {"requestedMessage": "BootNotification"}, "it spoke before any boot"
)


class Answer(NamedTuple):
    """The frame to send (None: none, the socket has been dropped) and what to do after it."""

    text: str | None
    follow_ups: tuple[FollowUp, ...] = ()


def begin(
    central: CentralSystem, session: Session, call: CallReceived, done: Callable[[Answer], None]
) -> None:
    """Handle one CALL: `done` gets its answer, at once or after the commit.

    Never waits and never raises: whatever goes wrong is logged, answered, and stays here.
    """
    central.last_seen.touch(session.charger_id)
    if len(call.text) > LONG:
        gevent.spawn(_begin, central, session, call, done)
    else:
        _begin(central, session, call, done)


def _begin(
    central: CentralSystem, session: Session, call: CallReceived, done: Callable[[Answer], None]
) -> None:
    action = call.action
    try:
        if len(call.text) > LONG:
            checked = beside(len(call.text), schemas.check, action, call.payload, strict=session.strict)
        else:
            checked = schemas.check(action, call.payload, strict=session.strict)
        violation = _violation(session, action, checked)
        if violation is not None:
            log.info("charger %s: %s refused: %s", session.identity, action[:64], violation.description)
            session.socket.wasted()
            follow_ups = _asks_for_boot(session) if violation.code == errors.SECURITY_ERROR else ()
            reply = Answer(
                session.conversation.error(call, violation.code, violation.description), follow_ups
            )
        elif action in FROM_MEMORY:
            session.has_spoken = True
            reply = Answer(session.conversation.result(call, FROM_MEMORY[action]()))
            if checked.oddities:  # the answer does not wait for their record
                central.committer.begin(_message(central, session, call, checked), lambda _: None)
        else:
            session.has_spoken = True
            message = _message(central, session, call, checked)
            central.committer.begin(message, lambda ticket: done(_stored(central, session, call, ticket)))
            return
    except Exception as error:
        reply = _failed(session, call, error)
    done(reply)


def _violation(session: Session, action: str, checked: schemas.Checked) -> schemas.Violation | None:
    """Why a call is not taken; None: it is."""
    if action not in FROM_CHARGER:
        return checked.violation
    if not _may_speak(session, action):
        return schemas.Violation(errors.SECURITY_ERROR, f"{action} before the BootNotification was accepted")
    return checked.violation


def _may_speak(session: Session, action: str) -> bool:
    """Section 4.2 and errata 3.10, except that a message that carries money is always taken.

    What a charger says that was never accepted but may come in is taken, too, unless it is held to the letter.
    """
    if session.registration == ACCEPTED or action == "BootNotification" or action in NEVER_REFUSED:
        return True
    if session.registration is None and session.admitted and not session.strict:
        return action != "Heartbeat"  # moved here without a boot, for which it is asked
    return session.registration == PENDING and action in session.triggered


def _asks_for_boot(session: Session) -> tuple[FollowUp, ...]:
    """A charger that speaks before any boot is asked for one, once."""
    if session.registration is not None or session.boot_asked or not session.admitted:
        return ()
    session.boot_asked = True
    return (_ASK_FOR_BOOT,)


def _message(
    central: CentralSystem, session: Session, call: CallReceived, checked: schemas.Checked
) -> ChargerMessage:
    return ChargerMessage(
        call.action,
        session.charger_id,
        session.identity,
        checked.payload,
        call.text,
        str(call.id),
        clock.now(),
        checked.oddities + call.oddities,
        proven=session.proven,
        behind=central.settings.clocks_believed_for,
    )


def _stored(central: CentralSystem, session: Session, call: CallReceived, ticket: Ticket) -> Answer:
    """The answer to a message that has been stored, or could not be."""
    try:
        reply = ticket.take()
        if (effect := SESSION_EFFECTS.get(call.action)) is not None:
            reply = effect(central, session, reply)
        follow_ups = (*reply.follow_ups, *_asks_for_boot(session))
        return Answer(session.conversation.result(call, reply.payload), follow_ups)
    except Exception as error:
        return _failed(session, call, error)


def _failed(session: Session, call: CallReceived, error: Exception) -> Answer:
    """Never raises: a call that nobody answers would hold up all that come after it."""
    try:
        if isinstance(error, DatabaseAway):
            # Unanswered and without a close frame: the charger keeps the message and comes back.
            session.drop("the database is away")
            return Answer(None)
        if not isinstance(error, ProcessingFailed):
            log.error(
                "charger %s: message %s (%s) failed",
                session.identity,
                call.id,
                call.action[:64],
                exc_info=error,
            )
        description = "The message could not be processed."
        return Answer(session.conversation.error(call, errors.INTERNAL_ERROR, description))
    except Exception:
        log.exception("charger %s: a message could not even be refused", session.identity)
        session.drop("internal error")
        return Answer(None)


_current_time: tuple[int, str] = (0, "")


def _heartbeat() -> dict[str, Any]:
    global _current_time
    second = clock.second()
    if _current_time[0] != second:  # written once a second: thousands of chargers ask for it
        _current_time = second, timestamps.format(clock.now())
    return {"currentTime": _current_time[1]}


def _booted(central: CentralSystem, session: Session, reply: Reply) -> Reply:
    session.registration = reply.payload["status"]
    session.admitted = session.registration == ACCEPTED
    session.status_reported = False
    session.connectors_asked = False
    return Reply(pacing.paced(reply.payload, central.database.since_return), reply.follow_ups)


def _status_reported(central: CentralSystem, session: Session, reply: Reply) -> Reply:
    session.status_reported = True
    return reply


#: What chargers may send and get answered without a look at the database: the payload of the answer.
FROM_MEMORY: dict[str, Callable[[], dict[str, Any]]] = {"Heartbeat": _heartbeat}

#: What the session makes of the reply to a message, once that is stored; every other reply goes out as it is.
SESSION_EFFECTS: dict[str, Callable[[CentralSystem, Session, Reply], Reply]] = {
    "BootNotification": _booted,
    "StatusNotification": _status_reported,
}
