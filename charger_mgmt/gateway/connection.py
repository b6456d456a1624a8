"""One OCPP-J socket from its upgrade to its end: who it is, its session, its departure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import gevent
from gevent.pool import Pool
from sqlalchemy.exc import SQLAlchemyError

from .. import clock
from ..chargers.connections import put_right_ours
from ..domain import dialect
from ..domain.dialect import Dialect
from ..domain.facts import Comes, Goes
from ..domain.outcomes import Opened
from ..domain.registration import admits, shut_out
from ..errors import DatabaseAway
from ..intake.committer import ProcessingFailed
from ..intake.messages import CONNECT, DISCONNECT, ChargerMessage
from ..websocket import frames
from ..websocket.socket import ChargerSocket
from .admission import Admitted
from .central_system import CentralSystem
from .dispatch import Dispatcher
from .pacing import Pacing
from .places import Place, Places
from .session import Session
from .sources import Sources

log = logging.getLogger(__name__)

#: Seconds until a departure is noted again when the database was too busy for it.
_NOTE_AGAIN = 5.0
#: Departures noted at a time after an outage: they share commits.
_NOTES_AT_ONCE = 100


class Connections:
    """Tells the database which sockets of this process open and close."""

    def __init__(self, central: CentralSystem, pacing: Pacing, sources: Sources, places: Places) -> None:
        self._central = central
        self._pacing = pacing
        self.sources = sources
        self.places = places
        #: Departures that the database did not take: charger id → message. The newest is enough.
        self._unnoted: dict[int, ChargerMessage[Goes]] = {}
        central.database.on_return.append(self._put_right)

    @contextmanager
    def seated(self, admitted: Admitted, socket: Any) -> Iterator[Place]:
        """Around the life of a socket, in either dialect: it takes a place, and counts for its source."""
        place = self.places.take(known=admitted.known)
        if not admitted.proven:
            self.sources.opened(socket.address)
        try:
            yield place
        finally:
            place.leave()
            if not admitted.proven:
                self.sources.closed(socket.address)
            if socket.offended:
                self.sources.penalise(admitted.identity or "", socket.address, proven=admitted.proven)

    def opened(self, identity: str, dialect: Dialect, address: str) -> Opened:
        """Commit that a socket from this address speaks for this identity; create the charger if it is new.

        Raises DatabaseAway.
        """
        comes = Comes(dialect.name, self._central.process_id, address)
        message = ChargerMessage(CONNECT, 0, identity, comes, clock.now(), dialect=dialect)
        try:
            with self._pacing.entering():
                opened: Opened = self._central.committer.submit(message).outcome
                return opened
        except ProcessingFailed as error:
            raise DatabaseAway(str(error)) from None

    def closed(self, identity: str, charger_id: int, generation: int, reason: str) -> None:
        """Commit that it no longer does; later, if the database is away. Never raises."""
        goes = Goes(generation, reason[:200])
        self._note(ChargerMessage(DISCONNECT, charger_id, identity, goes, clock.now()))

    def _note(self, message: ChargerMessage[Goes]) -> None:
        try:
            self._central.committer.submit(message)
        except DatabaseAway:
            self._unnoted[message.charger_id] = message
            if self._central.database.available:  # too busy, not away: nobody will tell us that it is back
                gevent.spawn_later(_NOTE_AGAIN, self._note_the_unnoted)
        except Exception:
            log.exception("charger %s: its departure could not be noted", message.identity)

    def _put_right(self) -> None:
        """The database is back: it learns who has left, and forgets connections that never came about."""
        gevent.spawn(self._note_the_unnoted)
        # Not before every Connect from before the outage is stored or given up, and has its session.
        gevent.spawn_later(self._central.settings.commit_timeout, self._forget_ghosts, clock.now())

    def _forget_ghosts(self, returned: datetime) -> None:
        central = self._central

        def held() -> dict[int, int]:
            return {session.charger_id: session.generation for session in central.registry.all()}

        try:
            with central.database.engine.begin() as conn:
                ghosts = put_right_ours(conn, central.process_id, held, returned, clock.now())
        except SQLAlchemyError as error:  # away again: the next return will see to it
            log.info("connections could not be put right: %s", type(error).__name__)
        else:
            if ghosts:
                log.info("%d chargers were shown as connected without a socket", ghosts)

    def _note_the_unnoted(self) -> None:
        unnoted, self._unnoted = self._unnoted, {}
        Pool(_NOTES_AT_ONCE).map(self._note, list(unnoted.values()))


def serve(
    central: CentralSystem,
    connections: Connections,
    dispatcher: Dispatcher,
    socket: ChargerSocket,
    admitted: Admitted,
) -> None:
    """Serve an OCPP-J charger until its socket ends. Never raises."""
    identity = admitted.identity
    assert identity is not None
    with connections.seated(admitted, socket) as place:
        _serve(central, connections, dispatcher, socket, identity, admitted, place)


def _serve(
    central: CentralSystem,
    connections: Connections,
    dispatcher: Dispatcher,
    socket: ChargerSocket,
    identity: str,
    admitted: Admitted,
    place: Place,
) -> None:
    try:
        opened = connections.opened(identity, dialect.OCPP16, socket.address)
    except DatabaseAway:
        socket.drop("the database is away")
        return
    session = Session(
        identity,
        charger_id=opened.charger_id,
        generation=opened.generation,
        registration=opened.registration,
        automatic_calls=opened.automatic_calls,
        strict=opened.strict,
        behind=central.settings.clocks_believed_for,
        on_acceptance=place.is_known_now,
        admitted=admits(opened.approved, central.settings.charger_onboarding),
        proven=admitted.proven,
        timeouts_before_drop=central.settings.call_timeouts_before_drop,
        socket=socket,
        password_hash=opened.password_hash,
        last_seen=central.last_seen,
        handle=dispatcher.take_call,
        journal=central.journal.of(identity, opened.charger_id, opened.journal),
    )
    if shut_out(opened.blocked, opened.approved) or opened.password_hash != admitted.password_hash:
        # The operator has taken it away while the charger was on its way in.
        connections.closed(identity, session.charger_id, session.generation, "it may not come in any more")
        session.close(frames.POLICY_VIOLATION, "this charger may not come in any more")
        return
    log.info("charger %s: connected from %s, generation %d", identity, socket.peer, session.generation)
    central.registry.hold(session)
    silent = None
    try:
        replaced = central.registry.add(session)
        if replaced is not None:
            log.info("charger %s: generation %d is replaced", identity, replaced.generation)
            # Not a normal end, after which some chargers do not come back: it may be the real one that is replaced.
            replaced.close(frames.SERVICE_RESTART, "a newer connection of this charger has taken over")
        if session.registration is None and not session.proven:
            wait = central.settings.first_message_seconds
            silent = gevent.spawn_later(wait, _ends_if_silent, session)
        session.serve()
    finally:
        if silent is not None:
            silent.kill(block=False)
        central.registry.remove(session)
        central.registry.release(session)
        log.info("charger %s: generation %d ended: %s", identity, session.generation, socket.why_closed)
        if central.registry.get(identity) is None:
            central.last_seen.forget(session.charger_id)
        connections.closed(identity, session.charger_id, session.generation, socket.why_closed)


def _ends_if_silent(session: Session) -> None:
    if not session.has_spoken:
        session.close(frames.POLICY_VIOLATION, "nothing was said that could be taken")
