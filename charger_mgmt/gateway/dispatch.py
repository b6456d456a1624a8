"""One CALL of a charger: checked, handled, answered. Text in, text out, no socket needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .. import clock
from ..errors import DatabaseAway
from ..live.session import Session
from ..ocpp import errors, schemas, timestamps
from ..ocpp.actions import NEVER_REFUSED
from ..ocpp.conversation import CallReceived
from ..ocpp.conversation import Reply as Send
from ..ocpp.salvage import saved_call
from ..services.committer import ProcessingFailed
from ..services.inbound import ChargerMessage, FollowUp, Reply
from . import pacing

if TYPE_CHECKING:
    from ..central_system import CentralSystem

log = logging.getLogger(__name__)

ACCEPTED = "Accepted"
PENDING = "Pending"

_ASK_FOR_BOOT = FollowUp(
    "TriggerMessage", {"requestedMessage": "BootNotification"}, "a session came before any boot"
)

Handler: TypeAlias = "Callable[[CentralSystem, Session, CallReceived, schemas.Checked], Reply]"


class Answer(NamedTuple):
    """The frame to send (None: none, the socket has been dropped) and what to do after it."""

    text: str | None
    follow_ups: tuple[FollowUp, ...] = ()


def handle(central: CentralSystem, session: Session, call: CallReceived) -> str | None:
    """The text that answers a CALL; None: the database is away, so the socket was dropped instead."""
    return answer(central, session, call).text


def receive(central: CentralSystem, session: Session, text: str) -> str | None:
    """One frame in, its answer out, for use without a socket; None: no answer is due."""
    event = session.conversation.receive(text, clock.monotonic())
    if isinstance(event, Send):
        saved = saved_call(event, text)
        return event.text if saved is None else handle(central, session, saved)
    return handle(central, session, event) if isinstance(event, CallReceived) else None


def answer(central: CentralSystem, session: Session, call: CallReceived) -> Answer:
    """Handle one CALL. Never raises: whatever goes wrong is logged, answered, and stays here."""
    central.last_seen.touch(session.charger_id)
    conversation = session.conversation
    try:
        reply = _reply(central, session, call)
        if isinstance(reply, schemas.Violation):
            log.info("charger %s: %s refused: %s", session.identity, call.action[:64], reply.description)
            return Answer(conversation.error(call, reply.code, reply.description))
        return Answer(conversation.result(call, reply.payload), reply.follow_ups)
    except DatabaseAway:
        # Unanswered and without a close frame: the charger keeps the message and comes back.
        session.drop("the database is away")
        return Answer(None)
    except ProcessingFailed:
        return Answer(conversation.error(call, errors.INTERNAL_ERROR, "The message could not be processed."))
    except Exception:
        log.exception("charger %s: message %s (%s) failed", session.identity, call.id, call.action[:64])
        return Answer(conversation.error(call, errors.INTERNAL_ERROR, "The message could not be processed."))


def _reply(central: CentralSystem, session: Session, call: CallReceived) -> Reply | schemas.Violation:
    action = call.action
    checked = schemas.check(action, call.payload)
    handler = HANDLERS.get(action)
    if handler is None:
        return checked.violation or schemas.Violation(errors.NOT_SUPPORTED, f"{action} is not supported here")
    if not _may_speak(session, action):
        return schemas.Violation(errors.SECURITY_ERROR, f"{action} before the BootNotification was accepted")
    if checked.violation is not None and action not in NEVER_REFUSED:
        return checked.violation
    reply = handler(central, session, call, checked)
    if session.registration is None and not session.boot_asked:
        # Only a message that carries money gets this far before any boot.
        session.boot_asked = True
        return Reply(reply.payload, (*reply.follow_ups, _ASK_FOR_BOOT))
    return reply


def _may_speak(session: Session, action: str) -> bool:
    """Section 4.2 and errata 3.10, except that a message that carries money is always taken."""
    if session.registration == ACCEPTED or action == "BootNotification" or action in NEVER_REFUSED:
        return True
    return session.registration == PENDING and action in session.triggered


def _store(central: CentralSystem, session: Session, call: CallReceived, checked: schemas.Checked) -> Reply:
    return central.committer.submit(
        ChargerMessage(
            call.action,
            session.charger_id,
            session.identity,
            checked.payload,
            call.text,
            str(call.id),
            clock.now(),
            checked.oddities + call.oddities,
        )
    )


_current_time: tuple[int, str] = (0, "")


def _heartbeat(
    central: CentralSystem, session: Session, call: CallReceived, checked: schemas.Checked
) -> Reply:
    global _current_time
    second = clock.second()
    if _current_time[0] != second:  # written once a second: thousands of chargers ask for it
        _current_time = second, timestamps.format(clock.now())
    return Reply({"currentTime": _current_time[1]})


def _boot(central: CentralSystem, session: Session, call: CallReceived, checked: schemas.Checked) -> Reply:
    reply = _store(central, session, call, checked)
    session.registration = reply.payload["status"]
    session.status_reported = False
    returned_at = central.committer.returned_at
    if session.registration == ACCEPTED and returned_at is not None:
        passed = clock.monotonic() - returned_at
        interval = pacing.heartbeat_interval(reply.payload["interval"], passed)
        return Reply(reply.payload | {"interval": interval}, reply.follow_ups)
    return reply


def _status(central: CentralSystem, session: Session, call: CallReceived, checked: schemas.Checked) -> Reply:
    session.status_reported = True
    return _store(central, session, call, checked)


#: What chargers may send. Every entry but Heartbeat is a batch service in services/committer.py.
HANDLERS: dict[str, Handler] = {
    "Authorize": _store,
    "BootNotification": _boot,
    "DataTransfer": _store,
    "DiagnosticsStatusNotification": _store,
    "FirmwareStatusNotification": _store,
    "Heartbeat": _heartbeat,
    "MeterValues": _store,
    "StartTransaction": _store,
    "StatusNotification": _status,
    "StopTransaction": _store,
}
