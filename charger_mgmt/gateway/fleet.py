"""One process among several on one database (REDIS_URL): its lease, what the dead have left behind, whose socket is the newest.

A process renews its lease in the database and a key in Redis, each by itself. One that could renew neither lets its
chargers go before others take it for dead, so that "dead" is true; whose lease has run out in both is put right by whoever
leads. In shares of LEASE_SECONDS, after which a death has been noticed at the latest:

    every 1/6   renew; look for the dead, and for sockets that are not their charger's newest
    after 4/6   without either: let the chargers go, and take none
    after 5/6   count as dead
"""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import gevent
from sqlalchemy.exc import SQLAlchemyError

from .. import clock
from ..bus import Bus
from ..chargers import connections
from ..commands import command_rows
from ..database import leases
from ..database.base import AnyRow
from ..database.faults import Fault, classify
from ..database.sole import SoleProcess
from ..errors import ChargerManagementError
from ..feed import ChargerChanged, ConnectionTaken, Happened
from ..websocket import frames
from .central_system import CentralSystem
from .parts import Gateway

log = logging.getLogger(__name__)

#: Of LEASE_SECONDS, see above.
TURN, LETS_GO, DEAD = 1 / 6, 4 / 6, 5 / 6
#: A process may hold so much of its share and so many more; beyond it so many of a hundred are let go in a turn.
MOST, LEAST_SURPLUS, AT_A_TURN = 1.1, 50, 0.03
#: The next ones go when so many of the last have found a place, or after so many seconds.
ENOUGH, LATEST_BACK = 0.9, 60.0
#: When so large a part of so many came back here, there is no use in it for so many seconds.
TELLING, SHARES_AGAIN_AFTER = 20, 600.0
_TAKEN_OVER = "a newer connection of this charger has taken over"


class Fleet:
    """This process's part. `take` before it serves, `start` then, `give_up` at the end."""

    def __init__(self, central: CentralSystem, gateway: Gateway, bus: Bus) -> None:
        self._central, self._gateway, self._bus = central, gateway, bus
        self._lease = float(central.settings.lease_seconds)
        #: When the lease was last renewed in the database, and since when without a gap (monotonic seconds).
        self._renewed_at = self._since = clock.monotonic()
        #: Chargers beyond this worker's share, at the last turn.
        self._surplus = 0
        #: Those that were let go last (identity → generation), and when; when others may be again (monotonic seconds).
        self._let_go: dict[str, int] = {}
        self._let_go_at = 0.0
        #: How many were let go since we last judged by it, and how many of them came back here.
        self._tried = self._came_back = 0
        self._shares_again_at = 0.0
        #: It has a lease: not yet, when the database was away at the start.
        self._taken_up = False
        self._over = False
        # Until it has a lease it is nobody, and what it held would be taken for left behind.
        gateway.admission.out_of_touch = True
        central.leads = central.alone = False
        central.feed.subscribe(ConnectionTaken, self._taken)
        bus.heard, bus.on_return = self.hear, [self._catch_up]

    def take(self) -> None:
        """Begin to be one of them. Raises AnotherProcess when one serves that cannot share, SQLAlchemyError."""
        central = self._central
        sole = SoleProcess(central.database.engine)
        sole.take()  # one that serves without the bus keeps this
        try:
            with central.database.engine.begin() as conn:
                leases.give_up(conn, central.process_id)
                leases.take(conn, central.process_id)
                living = leases.living(conn, self._lease * DEAD)
        finally:
            sole.release()
        self._look_around(living)
        self._renewed_at = self._since = clock.monotonic()
        self._taken_up = True
        self._gateway.admission.out_of_touch = False
        self._bus.renew(self._lease * DEAD)

    def start(self) -> None:
        """Renew, and watch the others, for as long as this process lives."""
        turn = self._lease * TURN
        gevent.spawn(self._again_and_again, turn, self._renew)
        gevent.spawn(self._again_and_again, turn, self._renew_the_key)
        gevent.spawn(self._again_and_again, turn, self._turn)
        gevent.spawn(self._again_and_again, turn / 2, self._let_go_if_lost)

    def give_up(self) -> None:
        """This process serves no longer."""
        self._over = True
        self._bus.give_up()
        try:
            with self._central.database.engine.begin() as conn:
                leases.give_up(conn, self._central.process_id)
        except SQLAlchemyError as error:  # it will run out
            log.info("the lease could not be given up: %s", type(error).__name__)

    def _again_and_again(self, every: float, task: Callable[[], None]) -> None:
        """Each in a greenlet of its own: none must keep another from renewing, whatever does not answer."""
        while not self._over:
            gevent.sleep(every)
            if not self._taken_up or self._over:
                continue
            try:
                task()
            except Exception as error:
                if classify(error) is Fault.POISON:  # a defect must not end the watch
                    log.exception("the lease could not be looked after")

    def _renew_the_key(self) -> None:
        self._bus.renew(self._lease * DEAD)

    def _renew(self) -> None:
        """Raises SQLAlchemyError: the database is away."""
        central = self._central
        began = clock.monotonic()
        with central.database.engine.begin() as conn:
            after = leases.renew(
                conn, central.process_id, len(central.registry.held()), draining=central.draining
            )
        if self._over:
            return
        if after is None:
            self._was_taken_for_dead()
            return
        # By the database's clock, too: ours stands still while the machine sleeps.
        if max(began - self._renewed_at, after) > self._lease * LETS_GO:
            self._since = began
        self._renewed_at = began
        self._gateway.admission.out_of_touch = False

    def _turn(self) -> None:
        """Raises SQLAlchemyError: the database is away."""
        central = self._central
        if clock.monotonic() - self._since > self._lease:  # else the others had no chance to renew theirs
            self._bury_the_dead()
        with central.database.engine.begin() as conn:
            living = leases.living(conn, self._lease * DEAD)
            there = leases.every(conn)
        self._look_around(living)
        if central.leads:
            self._put_right()
            with central.database.engine.begin() as conn:
                command_rows.expire(conn)
        self._end_the_replaced()
        self._share([row for row in there if row.id in living])

    def _look_around(self, living: list[str]) -> None:
        """Who leads: the oldest."""
        central = self._central
        leads = living[:1] == [central.process_id]
        if leads and not central.leads:
            log.info("this process leads: it sweeps, and drops what is old")
        central.leads, central.alone = leads, living == [central.process_id]

    def _bury_the_dead(self) -> None:
        central = self._central
        with central.database.engine.connect() as conn:
            dead = leases.run_out(
                conn, self._lease * DEAD, seen_by=central.process_id, within=self._lease * LETS_GO
            )
        alive = self._bus.living(dead) if dead else set()
        for process_id in dead:
            if process_id in alive:
                continue  # it is the database that it does not reach
            with central.database.engine.begin() as conn:
                buried = leases.bury(conn, process_id, self._lease * DEAD)
            if buried:
                log.warning("process %s is dead", process_id)

    def _put_right(self) -> None:
        """What processes have left behind that are no more."""
        central = self._central
        with central.database.engine.connect() as conn:
            there = {row.id for row in leases.every(conn)}
            left = connections.left_by_others(conn, there)
            unfinished = command_rows.owners(conn) - there
            if not left and not unfinished:
                return
            # One that has just begun has its lease before it has anything else.
            there = {row.id for row in leases.every(conn)}
        left, unfinished = left - there, unfinished - there
        for process_id in left:
            count = 0
            while portion := self._put_right_some(process_id):
                count += portion
            log.info("%d chargers were left as connected by process %s", count, process_id)
        for process_id in unfinished:
            with central.database.engine.begin() as conn:
                count = command_rows.put_right_of(conn, process_id)
            log.info("%d commands of process %s were ended", count, process_id)

    def _put_right_some(self, process_id: str) -> int:
        """A portion a commit: chargers that come back meanwhile need not wait for the whole."""
        with self._central.database.engine.begin() as conn:
            return connections.put_right_of(conn, process_id, clock.now())

    def _let_go_if_lost(self) -> None:
        """Let the chargers go when others are about to take this process for dead."""
        last = max(self._renewed_at, self._bus.renewed_at)
        if self._over or clock.monotonic() - last < self._lease * LETS_GO:
            return
        self._gateway.admission.out_of_touch = True
        held = self._central.registry.held()
        if held:
            log.warning("neither the database nor the bus answers: %d chargers are let go", len(held))
        for session in held:
            session.drop("this server is out of touch")

    def _was_taken_for_dead(self) -> None:
        log.critical("This process ends: it was taken for dead, and what it held has been put right")
        self._gateway.admission.out_of_touch = True
        for session in self._central.registry.held():
            session.drop("this server was out of touch")
        os.kill(os.getpid(), signal.SIGTERM)

    def _share(self, there: Sequence[AnyRow]) -> None:
        """Let some chargers go when this process holds more than its share.

        Who of several workers accepts a connection is chance; after one was killed the others have its chargers, and a host
        that comes back has none. They dial again, and the balancer, or chance, leads most of them to another one;
        where all come back, nobody shares with this process.
        """
        central = self._central
        others = [row for row in there if row.id != central.process_id and not row.draining]
        if not others or central.draining or not self._are_in_again():
            return
        held = central.registry.all()
        share = (len(held) + sum(row.sockets for row in others)) / (1 + len(others))
        surplus = int(len(held) - MOST * share)
        before, self._surplus = self._surplus, surplus
        if min(before, surplus) <= LEAST_SURPLUS:  # the others' numbers are a turn old
            return
        leaving = random.sample(held, min(surplus, max(1, int(len(held) * AT_A_TURN))))
        log.info("%d of %d chargers are let go: a process's share is %d", len(leaving), len(held), share)
        self._let_go = {session.identity: session.generation for session in leaving}
        self._let_go_at = clock.monotonic()
        for session in leaving:
            session.close(frames.SERVICE_RESTART, "another process has more room")

    def _are_in_again(self) -> bool:
        """Whether (nearly) all that were let go have found a place, and it was not here for all of them."""
        now, gone = clock.monotonic(), self._let_go
        if not gone:
            return now >= self._shares_again_at
        with self._central.database.engine.connect() as conn:
            places = connections.places(conn, gone)
        if len(places) < ENOUGH * len(gone) and now - self._let_go_at < LATEST_BACK:
            return False
        self._let_go = {}
        self._tried += len(gone)
        self._came_back += places.count(self._central.process_id)
        if self._tried < TELLING:
            return True
        in_vain = self._came_back >= ENOUGH * self._tried
        self._tried = self._came_back = 0
        if in_vain:
            self._shares_again_at = now + SHARES_AGAIN_AFTER
            log.info("chargers that were let go came back here: none are, for %d s", SHARES_AGAIN_AFTER)
        return not in_vain

    # Whose socket is the newest

    def _taken(self, taken: ConnectionTaken) -> None:
        session = self._central.registry.get(taken.identity)
        if session is not None and session.generation < taken.generation:
            log.info("charger %s: generation %d is replaced elsewhere", taken.identity, session.generation)
            session.close(frames.SERVICE_RESTART, _TAKEN_OVER)

    def _end_the_replaced(self) -> None:
        """Of what was not heard: sockets here whose charger has a newer one elsewhere."""
        central = self._central
        held = {session.charger_id: session for session in central.registry.all()}
        with central.database.engine.connect() as conn:
            if connections.is_all_of(conn, central.process_id, held.keys()):
                return
            ours = connections.of_process(conn, central.process_id)
            generations = connections.generations(conn, held.keys() - ours)
        for charger_id, generation in generations.items():
            if held[charger_id].generation < generation:
                held[charger_id].close(frames.SERVICE_RESTART, _TAKEN_OVER)

    # What operators have changed

    def hear(self, fact: Happened) -> None:
        """What another process has told. How a charger is dealt with is read anew: such facts may come late, and in
        another order than their commits.
        """
        if isinstance(fact, ChargerChanged) and self._central.registry.get(fact.identity) is not None:
            gevent.spawn(self._read_anew, fact)
        else:
            self._central.feed.tell_here([fact])

    def _read_anew(self, changed: ChargerChanged) -> None:
        rule = self._rules([changed.identity]).get(changed.identity)
        if rule is not None:
            # It was shut out: what it has proved is not worth anything any more, even if it may come back.
            changed = replace(changed, **rule.as_told | {"shut_out": rule.shut_out or changed.shut_out})
        self._central.feed.tell_here([changed])

    def _catch_up(self) -> None:
        """The bus is back: what operators have changed meanwhile may not have been heard here."""
        central = self._central
        held = {session.identity: session for session in central.registry.all()}
        for identity, rule in self._rules(held).items():
            told = rule.as_told
            if told["shut_out"] is None and rule.password_hash != held[identity].password_hash:
                told["shut_out"] = "the password of this charger has changed"
            central.feed.tell_here([ChargerChanged(identity, **told)])

    def _rules(self, identities: Collection[str]) -> dict[str, connections.Rule]:
        """How chargers are dealt with; empty: the database is away, and who comes back is looked at then."""
        try:
            with self._central.database.reading() as conn:
                return connections.rules(conn, identities, self._central.settings)
        except ChargerManagementError:
            return {}
