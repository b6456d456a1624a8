"""The greenlet that writes down who has spoken, sweeps for the silent, and asks before it judges."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import gevent
from sqlalchemy.exc import SQLAlchemyError

from .. import clock
from ..chargers import connections
from ..charging import by_operator, limits
from ..commands import outbox
from ..configuration import keeping
from ..database import leases, reservations, room, watch
from ..database.faults import Fault, classify
from ..database.sole import PATIENCE, RENEW
from ..errors import AnotherProcess, ChargerManagementError, ConfigurationError, DatabaseAway
from ..local_list import keeping as lists
from ..smart_charging import profiles
from ..status import connectors, silence
from . import delivery
from .central_system import CentralSystem
from .fleet import Fleet
from .session import Session

log = logging.getLogger(__name__)

#: Seconds by which the database's clock may differ from what has passed for us between two turns; a slow
#: answer looks like a difference too.
CLOCK_JUMP = 20.0
#: Seconds by which a turn may come late before it counts as a standstill of ours.
STANDSTILL = 10.0
#: Seconds between looks for sessions that show no sign.
SIGNS_EVERY = 60.0
#: Quiet chargers asked in one turn; after a standstill everybody is quiet at once.
ASKED_AT_ONCE = 200


def start(central: CentralSystem, fleet: Fleet | None = None) -> None:
    """Put right what dead processes left behind, then sweep for as long as this process lives.

    A process may be started while the database is away: then it turns chargers away and puts things right
    as soon as the database takes writes.
    """
    watcher, database = LivenessWatch(central), central.database

    def take_over() -> None:
        try:
            _take_over(central, fleet)
        except (SQLAlchemyError, DatabaseAway) as error:
            cause = error.__cause__ if isinstance(error, DatabaseAway) else error
            if cause is None or classify(cause) is Fault.POISON:
                raise
            database.is_away(cause)
        else:
            database.on_return.remove(again)

    again = _ends_the_process(take_over)
    database.on_return += [again, watcher.resume]
    take_over()
    gevent.spawn(_run, watcher, central.settings.sweep_interval)
    if fleet is not None:
        fleet.start()
    else:
        gevent.spawn(_keep, _ends_the_process(central.sole.keep))


def _take_over(central: CentralSystem, fleet: Fleet | None) -> None:
    """Make sure that this process may serve and that its connections fit; put right what was left."""
    with central.database.engine.begin() as conn:
        room.check(conn, central.settings)
    if fleet is not None:
        fleet.take()
        central.database.warm()
        return
    central.sole.take()
    _wait_for_the_others(central)
    with central.database.engine.begin() as conn:
        leases.forget_all(conn)
        left = connections.put_right(conn, central.process_id, clock.now())
    central.database.warm()
    delivery.put_right(central)
    if left:
        log.info("%d chargers were left as connected by an earlier process", left)


def _wait_for_the_others(central: CentralSystem) -> None:
    """Raises AnotherProcess when processes serve on this database that share it (REDIS_URL)."""
    lease = central.settings.lease_seconds  # the last of them may have died a moment ago
    deadline = clock.monotonic() + max(PATIENCE, lease + RENEW)
    while True:
        with central.database.engine.begin() as conn:
            living = leases.living(conn, lease)
        if not living:
            return
        if clock.monotonic() >= deadline:
            raise AnotherProcess(
                f"{len(living)} other processes are serving on this database, with a bus between them: set REDIS_URL to"
                " theirs, or give this one another DATABASE_URL."
            )
        gevent.sleep(0.5)


def _ends_the_process(task: Callable[[], None]) -> Callable[[], None]:
    """The task, after the start: what would have forbidden that ends the process now, in order."""

    def run() -> None:
        try:
            task()
        except (AnotherProcess, ConfigurationError) as error:
            log.critical("This process ends: %s", error)
            os.kill(os.getpid(), signal.SIGTERM)

    return run


def _keep(keep: Callable[[], None]) -> None:
    while True:
        gevent.sleep(RENEW)
        try:
            keep()
        except Exception:  # a defect must not end the watch
            log.exception("the database's lock could not be renewed")


def _run(watcher: LivenessWatch, interval: float) -> None:
    turned_at = clock.monotonic()
    while True:
        gevent.sleep(interval)
        now = clock.monotonic()
        late, turned_at = now - turned_at - interval, now
        if late > STANDSTILL:
            log.warning("this process stood still for %.0f s", late)
            watcher.stood_still()
        try:
            watcher.turn()
        except Exception:  # a defect must not end the watch
            log.exception("the liveness sweep failed")


class LivenessWatch:
    """One process's part in watching the chargers."""

    def __init__(self, central: CentralSystem) -> None:
        self._central = central
        #: Row ids of the quiet chargers that were asked, and when (monotonic seconds).
        self._asked: dict[int, float] = {}
        #: The database's clock less our monotonic one, when we last looked, in seconds.
        self._offset: float | None = None
        self._resume_due = True
        self._stood_still = False
        self._signs_at = 0.0
        self._limits_at = 0.0

    def resume(self) -> None:
        """The database was away: nobody could be written down, so every charger gets a whole limit."""
        self._resume_due = True

    def stood_still(self) -> None:
        """We were not listening: every charger that only we could hear gets a whole limit."""
        self._stood_still = True
        if self._central.alone:
            self._resume_due = True

    def turn(self) -> None:
        """Write down who has spoken, mark the silent, ask those who are about to become so."""
        if not self._central.database.available:
            return
        seen = self._central.last_seen.take()
        try:
            self._write(seen)
        except Exception as error:
            self._central.last_seen.put_back(seen)
            fault = classify(error)
            if fault is Fault.AWAY:
                self._central.database.is_away(error)
            elif fault is Fault.POISON:
                raise
            return
        self._ask_the_quiet()

    def _write(self, seen: set[int]) -> None:
        central = self._central
        with central.database.engine.begin() as conn:
            offset = watch.database_now(conn).timestamp() - clock.monotonic()
            if self._offset is not None and abs(offset - self._offset) > CLOCK_JUMP:
                log.warning("the database's clock has jumped by %.0f s", offset - self._offset)
                self._resume_due = True
            if self._resume_due and central.leads:  # a new process does not, while others have been listening
                silence.begin_anew(conn)
            if self._stood_still:
                silence.grant(conn, (session.charger_id for session in central.registry.all()))
            if seen:
                silence.note_seen(conn, seen)
        self._resume_due, self._stood_still, self._offset = False, False, offset
        if central.leads:
            self._sweep()
            if clock.monotonic() - self._limits_at > limits.EVERY:
                self._limits_at = clock.monotonic()
                limits.enforce(central)
        every = min(SIGNS_EVERY, central.settings.retire_connectors_after)
        if clock.monotonic() - self._signs_at > every:
            self._signs_at = clock.monotonic()
            self._look_for_the_lost()

    def _sweep(self) -> None:
        central = self._central
        limit = timedelta(seconds=central.settings.heartbeat_timeout)
        with central.database.engine.begin() as conn:
            silent = silence.sweep(conn, limit)
        if silent:
            log.info("%d chargers are silent: %s", len(silent), ", ".join(silent[:20]))

    def _look_for_the_lost(self) -> None:
        """Sessions without any sign, connectors that are no more."""
        central, now = self._central, clock.now()
        after = timedelta(seconds=central.settings.retire_connectors_after)
        if central.leads:
            with central.database.engine.begin() as conn:
                by_operator.flag_without_sign(conn, now)
                reservations.expire(conn, now)
        with central.database.engine.begin() as conn:
            if central.leads and (retired := connectors.retire(conn, now, after)):
                log.info("%d connectors are retired: their chargers have them no more", retired)
            unexplained = connectors.unexplained(conn, now, after)
        if not central.settings.automatic_calls:
            return
        if central.leads:
            keeping.apply_waiting(central)
            lists.apply_waiting(central)
            profiles.apply_waiting(central)
        for identity in unexplained:
            session = central.registry.get(identity)
            if session is not None and session.automatic_calls and not session.connectors_asked:
                session.connectors_asked = True
                gevent.spawn(self._ask, identity, "GetConfiguration", {"key": ["NumberOfConnectors"]})

    def _ask_the_quiet(self) -> None:
        """Ask connected chargers for a Heartbeat just before the limit, and now and then while they stay silent.

        One that has connected and said nothing has been quiet since then.
        """
        settings = self._central.settings
        limit, early = settings.heartbeat_timeout, settings.liveness_probe_seconds
        if not early or not settings.automatic_calls:
            return
        now = clock.monotonic()
        quiet = [
            session
            for session in self._central.registry.all()
            if session.automatic_calls and now - self._heard(session) > max(limit - early, limit / 2)
        ]
        asked = {each.charger_id: self._asked.get(each.charger_id, -math.inf) for each in quiet}
        due = [each for each in quiet if now - asked[each.charger_id] > limit / 2]
        for session in sorted(due, key=self._heard)[:ASKED_AT_ONCE]:
            asked[session.charger_id] = now
            gevent.spawn(self._ask, session.identity, "TriggerMessage", {"requestedMessage": "Heartbeat"})
        self._asked = asked

    def _heard(self, session: Session) -> float:
        """When the charger last spoke, at the earliest when its socket was opened (monotonic seconds)."""
        return max(session.connected_at, self._central.last_seen.when(session.charger_id) or -math.inf)

    def _ask(self, identity: str, action: str, payload: dict[str, Any]) -> None:
        try:
            outbox.send(self._central, identity, action, payload, requested_by="system", wait=0)
        except ChargerManagementError as error:
            log.info("charger %s could not be asked (%s): %s", identity, action, error)
