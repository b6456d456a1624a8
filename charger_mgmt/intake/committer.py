"""Group commit: what chargers say is stored in batches, and answered only after the commit.

A few greenlets take whatever is waiting, run it as sets in one database transaction, commit once and
release the answers. Four kinds of trouble, four reactions (see database/faults.py): contention is tried
again, as is a database that has no connection to spare; a record that the database refuses goes to the inbox alone,
its neighbours unharmed; a database that is away leaves every message unanswered, so that the chargers keep their
queues.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import gevent
from gevent.hub import Waiter
from sqlalchemy import Connection

from .. import clock
from ..beside import LONG
from ..database.database import Database
from ..database.faults import Fault, classify, first_line, is_already_there, is_timeout
from ..domain.facts import Fact, Goes
from ..errors import DatabaseAway
from ..feed import Feed
from ..settings import Settings
from . import inbox, oddities
from .messages import CONNECT, DISCONNECT, ChargerMessage, Handlers, Reply

log = logging.getLogger(__name__)

CONTENTION_ATTEMPTS = 5
#: Seconds until another try for a connection when there was none to be had.
CROWDED_PAUSE = 0.2
#: A connection that fails at once was stale; one that fails after this long is a database in trouble.
STALE_SECONDS = 2.0
#: Seconds by which a timer may come late before it counts as a standstill of ours.
LATE = 2.0


class ProcessingFailed(Exception):
    """A message that is not about a transaction could not be processed; its text is in the inbox."""


class Committer:
    """Stores chargers' messages, each by the handler of its fact, while the database is available."""

    def __init__(self, database: Database, settings: Settings, handlers: Handlers, feed: Feed) -> None:
        self._database = database
        self._settings = settings
        #: In the order in which one batch runs them.
        self._handlers = handlers
        self._feed = feed
        #: What no committer has taken yet: at most one message of each socket, whose next ones wait there.
        self._waiting: deque[Ticket] = deque()
        #: The same for long messages, which go alone and one at a time: nobody's neighbours.
        self._long: deque[Ticket] = deque()
        self._at_a_long_one = False
        #: Committers with nothing to do.
        self._idle: list[Waiter] = []

    def start(self) -> list[gevent.Greenlet]:
        """Begin to commit; the greenlets that do."""
        one_writer = self._database.engine.dialect.name == "sqlite"
        count = 1 if one_writer else self._settings.committers
        return [gevent.spawn(self._work, one_writer) for _ in range(count)]

    # The queue

    def begin(self, message: ChargerMessage[Any], done: Callable[[Ticket], None]) -> None:
        """Take the message and call `done` once, after its commit has returned or when there will be none.

        Never waits. `done` must not wait either: it runs in a committer's greenlet or a timer's, or before
        `begin` returns (the database is away). Should it raise, that is logged.

        While we are busy nothing is dropped: the message waits for its turn as long as it takes, for the
        commit COMMIT_TIMEOUT. Its sender should begin with the next one when this one is done, and not read
        its socket for much longer. Should the database go away meanwhile, all that waits is released at once.
        """
        self._enter(Ticket(message, done))

    def submit(self, message: ChargerMessage[Any]) -> Reply:
        """Store the message and return its answer once the commit has returned; wait as `begin` says.

        Raises what `Ticket.take` raises.
        """
        waiter = Waiter()
        ticket = Ticket(message, lambda _: _wake(waiter))
        self._enter(ticket)
        try:
            waiter.get()
        except BaseException:
            ticket.abandoned = True
            raise
        return ticket.take()

    def _enter(self, ticket: Ticket) -> None:
        if not self._database.available:
            ticket.fail(DatabaseAway())
        else:
            (self._waiting if len(ticket.message.raw) <= LONG else self._long).append(ticket)
            if self._idle:
                _wake(self._idle.pop())

    def _work(self, one_writer: bool) -> None:
        size, limit = self._settings.batch_size, self._settings.commit_timeout
        waiting, waiter = self._waiting, Waiter()
        long = False
        while True:
            while not (waiting or (self._long and not self._at_a_long_one)):
                self._idle.append(waiter)
                waiter.get()
                waiter.clear()
            # After a long one those come first that have waited for it.
            long = bool(self._long) and not self._at_a_long_one and not (long and waiting)
            if long:
                self._at_a_long_one = True
                batch = [self._long.popleft()]
            else:
                batch = [waiting.popleft() for _ in range(min(size, len(waiting)))]
            timer = gevent.spawn_later(limit, self._give_up, batch, limit, clock.monotonic() + limit)
            try:
                self._commit(batch)
            except Exception:  # a defect of ours must not end the greenlet
                log.exception("a batch of %d messages failed outside of the database", len(batch))
                self._release(batch, DatabaseAway("internal failure"))
            finally:
                timer.kill(block=False)
                if long:
                    self._at_a_long_one = False
            del batch, timer  # what is done must not be kept in memory
            if one_writer:  # SQLite never waits, and those whom we have answered may have more to say
                gevent.sleep(clock.A_TURN)

    @staticmethod
    def _give_up(batch: Sequence[Ticket], limit: float, due: float) -> None:
        """The commit takes too long: nobody waits for the answers any more.

        When this comes late, we ourselves stood still: the commit gets its time once more.
        """
        while clock.monotonic() > due + LATE:
            due = clock.monotonic() + limit
            gevent.sleep(limit)
        for ticket in batch:
            if not ticket.answered:
                ticket.abandoned = True
                ticket.fail(DatabaseAway("the database did not commit in time"))

    # A batch

    def _commit(self, batch: Sequence[Ticket]) -> None:
        """Store a batch; every ticket leaves with a reply or an error, unless nobody waits for it any more."""
        batch = [ticket for ticket in batch if not ticket.abandoned]
        if not batch:
            return
        if not self._database.available:
            self._release(batch, DatabaseAway())
            return
        try:
            replies = self._run([ticket.message for ticket in batch], CONTENTION_ATTEMPTS)
        except Exception as error:
            if len(batch) > 1 and classify(error) not in (Fault.AWAY, Fault.CROWDED):
                log.info("a batch of %d goes one by one: %s", len(batch), first_line(error))
                self._commit_one_by_one(batch)
            else:
                self._fail(batch, error)
        else:
            self._answer(batch, replies)

    def _dispatch(self, conn: Connection, messages: Sequence[ChargerMessage[Any]]) -> list[Reply]:
        now = clock.now()
        replies = self._serve(conn, messages, now)
        if odd := [message for message in messages if message.oddities]:
            oddities.record(conn, odd)
        return replies

    def _serve(self, conn: Connection, messages: Sequence[ChargerMessage[Any]], now: datetime) -> list[Reply]:
        if len(messages) == 1:
            return self._handlers[messages[0].row.fact](conn, messages, now, self._settings)
        groups: dict[type[Fact], list[int]] = defaultdict(list)
        for position, message in enumerate(messages):
            groups[message.row.fact].append(position)
        replies: list[Any] = [None] * len(messages)
        for fact, handler in self._handlers.items():
            positions = groups.get(fact)
            if not positions:
                continue
            answered = handler(conn, [messages[p] for p in positions], now, self._settings)
            for position, reply in zip(positions, answered, strict=True):
                replies[position] = reply
        return replies

    def _answer(self, batch: Sequence[Ticket], replies: Sequence[Reply]) -> None:
        """After the commit: chargers get their answers, and whoever wants to know hears what has happened."""
        for ticket, reply in zip(batch, replies, strict=True):
            ticket.set(reply)
            if ticket.abandoned and ticket.message.row is CONNECT:
                self._undo(ticket.message, reply)
        for reply in replies:
            if reply.happened:
                self._feed.publish(reply.happened)

    def _undo(self, connect: ChargerMessage[Any], reply: Reply) -> None:
        """Nobody waited for this connection any more: no socket stands behind its generation."""
        goes = Goes(reply.outcome.generation, "gave up before it was admitted")
        self._enter(
            Ticket(ChargerMessage(DISCONNECT, connect.charger_id, connect.identity, goes, clock.now()))
        )

    @staticmethod
    def _release(batch: Sequence[Ticket], error: Exception) -> None:
        for ticket in batch:
            ticket.fail(error)

    # Trouble: contention and poison

    def _commit_one_by_one(self, batch: Sequence[Ticket]) -> None:
        """Whoever meets a lock waits until his neighbours have been served; whose sender has left is left out."""
        contended = []
        for ticket in batch:
            if ticket.abandoned:
                continue
            if not self._database.available:
                ticket.fail(DatabaseAway())
                continue
            try:
                self._answer([ticket], self._run([ticket.message], 1))
            except Exception as error:
                if classify(error) is Fault.CONTENTION or is_already_there(error):
                    contended.append(ticket)
                else:
                    self._fail([ticket], error)
        for ticket in contended:
            if not ticket.abandoned:
                self._commit([ticket])

    def _fail(self, batch: Sequence[Ticket], error: Exception) -> None:
        """What an error means for those it concerns: a whole batch, if the database is away, or one message."""
        fault = classify(error)
        if fault is Fault.AWAY:
            self._database.is_away(error)
            self._release(batch, DatabaseAway())
        elif fault in (Fault.CONTENTION, Fault.CROWDED):
            log.warning("%s gave up: %s", batch[0].message.action, first_line(error))
            self._release(batch, DatabaseAway("the database is too busy"))
        else:
            self._set_aside(batch[0], error)

    def _run(self, messages: Sequence[ChargerMessage[Any]], attempts: int) -> list[Reply]:
        """One database transaction for all; contention and a stale connection are tried again.

        A batch that has waited for a lock is not: one by one, only those that need the lock wait.
        """
        attempt = 0
        while True:
            attempt += 1
            began = clock.monotonic()
            try:
                with self._database.engine.begin() as conn:
                    return self._dispatch(conn, messages)
            except Exception as error:
                took = clock.monotonic() - began
                if not self._may_try_again(error, took, attempt, attempts, alone=len(messages) == 1):
                    raise
                if classify(error) is Fault.CROWDED:
                    time.sleep(CROWDED_PAUSE)

    def _may_try_again(
        self, error: Exception, took: float, attempt: int, attempts: int, *, alone: bool
    ) -> bool:
        fault, soon = classify(error), took < STALE_SECONDS
        if fault is Fault.AWAY:
            # A connection that was ended, perhaps since we stood still; or an answer that took longer than one may.
            ended = soon or not is_timeout(error)
            return attempt == 1 and (ended or took > self._settings.database_timeout + LATE)
        # The same session on another socket, committed a moment ago, is contention of a kind.
        contended = fault is Fault.CONTENTION or is_already_there(error)
        return attempt < attempts and (fault is Fault.CROWDED or (contended and (soon or alone)))

    def _set_aside(self, ticket: Ticket, error: Exception) -> None:
        """Keep a poisonous message whole in the inbox and answer it so that the charger moves on."""
        message = ticket.message
        log.error(
            "%s of charger %s (message id %s) went to the inbox",
            message.action,
            message.identity,
            message.message_id,
            exc_info=error,
        )
        try:
            with self._database.engine.begin() as conn:
                reply = inbox.set_aside(conn, message, first_line(error), clock.now(), self._settings)
        except Exception as second:
            if classify(second) is Fault.AWAY:
                self._database.is_away(second)
            else:
                log.exception("the inbox refused a message of charger %s", message.identity)
            ticket.fail(DatabaseAway())
            return
        if reply is None:
            ticket.fail(ProcessingFailed(first_line(error)))
        else:
            ticket.set(reply)


class Ticket:
    """A message and the place where its answer appears; `done` hears of it once."""

    __slots__ = ("_done", "abandoned", "error", "message", "reply")

    def __init__(self, message: ChargerMessage[Any], done: Callable[[Ticket], None] | None = None) -> None:
        self.message = message
        self.reply: Reply | None = None
        self.error: Exception | None = None
        #: Nobody waits for the answer any more, so the message need not be stored.
        self.abandoned = False
        self._done = done

    @property
    def answered(self) -> bool:
        return self.reply is not None or self.error is not None

    def set(self, reply: Reply) -> None:
        self.reply = reply
        self._tell()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._tell()

    def take(self) -> Reply:
        """The answer: the message is stored.

        Raises DatabaseAway when it was not, or may not have been: the charger must not be answered.
        Raises ProcessingFailed for a poisonous message that is not about a transaction.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)  # one error may serve a whole batch
        assert self.reply is not None
        return self.reply

    def _tell(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            try:
                done(self)
            except Exception:  # a neighbour's trouble
                log.exception("the answer to a message of charger %s got lost", self.message.identity)


def _wake(waiter: Waiter) -> None:
    """Let its greenlet go on, in the loop's next turn."""
    waiter.hub.loop.run_callback(waiter.switch, None)
