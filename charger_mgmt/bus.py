"""Between the processes: a Redis that carries what has happened, and keeps nothing that must not be lost.

What is committed stands in the database; the bus only saves asking for it. Under `charger_mgmt:<database>:`:

    facts           a stream of what has happened, for every process: each follows it from where it was, so that who was
                    away for a while hears late what it missed; the last FACTS_KEPT are there
    large           a channel for facts that would fill Redis' memory
    to:<process>    a channel for what one process alone is to do, now or not at all
    lease:<process> a key, which that process renews: it lives, though the database may not know it

A fact may still be lost (Redis came back without its memory, somebody was away for too long), and may come again after a
replica took over that had not heard all: whoever hears it looks at the database, or it does no harm.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple

import gevent
import msgspec
from gevent.event import Event
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from . import clock
from .feed import KINDS, DoorTried, Happened, LogInTried, NewConnectionWanted

log = logging.getLogger(__name__)

#: Seconds that Redis may take for an answer. Without a limit on repetitions redis-py would wait ten times as long.
PATIENCE: Final = 1.0
#: Seconds between two looks whether a silent connection is alive, and between two tries for a new one.
LOOK_EVERY: Final = 2.0
AGAIN_AFTER: Final = 1.0
#: Facts that wait to be sent, and their bytes; the oldest go when Redis is too slow, or away for too long.
MOST_WAITING: Final = 10_000
MOST_BYTES: Final = 8_000_000
#: Facts that Redis keeps for who was away (a few megabytes), and how many are read at a time.
FACTS_KEPT: Final = 10_000
_AT_A_TIME: Final = 500
#: Bytes of a fact that is not kept (a charger's whole configuration): told on a channel, now or not at all.
LARGE: Final = 8_000
#: These are not told any more when they are so old (milliseconds): they are about the moment.
PASSING: Final = (DoorTried, LogInTried, NewConnectionWanted)
_PASSED: Final = 10_000
#: Facts in one write.
_PORTION: Final = 200
_FIELD: Final = b"fact"
#: What there is to hear.
_OURS, _FACTS = "to", "facts"


class _Waiting(NamedTuple):
    """A fact that is to be sent: since when (monotonic seconds), and whether it is about the moment."""

    at: float
    passing: bool
    text: bytes


class _Backlog:
    """What waits to be sent, the oldest first: so much and no more."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, each: _Waiting) -> None:
        self._waiting.append(each)
        self._bytes += len(each.text)
        while len(self._waiting) > MOST_WAITING or self._bytes > MOST_BYTES:
            self._bytes -= len(self._waiting.popleft().text)

    def take(self, most: int) -> list[_Waiting]:
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._bytes -= sum(len(each.text) for each in taken)
        return taken

    def put_back(self, taken: Sequence[_Waiting]) -> None:
        self._waiting.extendleft(reversed(taken))
        self._bytes += sum(len(each.text) for each in taken)


class Bus:
    """One process's part of the bus. Nothing here raises."""

    def __init__(self, url: str, database: str, process_id: str) -> None:
        self.process_id = process_id
        self._prefix = f"charger_mgmt:{database}:"
        self._facts, self._large = f"{self._prefix}facts", f"{self._prefix}large"
        #: The last fact that was read; None: none yet.
        self._cursor: str | None = None
        #: Is told what others have published.
        self.heard: Callable[[Happened], None] = lambda fact: None
        self._redis = _client(url)
        #: They wait all the time, each on a connection of its own: for what is ours alone, and for the facts.
        self._listening = _client(url)
        self._following = _client(url, waits=LOOK_EVERY)
        self._waiting = _Backlog()
        #: Redis is there, and refuses to write.
        self._refused = False
        self._news = Event()
        self._deaf = {_OURS, _FACTS}
        #: When our key was last renewed (monotonic seconds).
        self.renewed_at = -float("inf")
        #: Called when it has come back, and all that could be made up for was told.
        self.on_return: list[Callable[[], None]] = []

    @property
    def available(self) -> bool:
        """Whether we hear what others say."""
        return not self._deaf

    def start(self) -> None:
        """Begin to listen and to send, for as long as this process lives."""
        gevent.spawn(self._again_and_again, _OURS, self._listen)
        gevent.spawn(self._again_and_again, _FACTS, self._follow)
        gevent.spawn(self._send)

    def publish(self, facts: Iterable[Happened]) -> None:
        """Tell every other process, soon, or as soon as Redis is there. Never waits."""
        now = clock.monotonic()
        for fact in facts:
            each = _Waiting(now, isinstance(fact, PASSING), _written(self.process_id, fact))
            if self.available or len(each.text) <= LARGE:
                self._waiting.add(each)
        self._news.set()

    def deliver(self, process_id: str, fact: Happened) -> bool:
        """Tell one process, now; whether it heard. False, too, when Redis is away, or does not say."""
        try:
            heard = self._redis.publish(f"{self._prefix}to:{process_id}", _written(self.process_id, fact))
        except Exception as error:  # whatever it is that answers there
            self._is_away(error)
            return False
        return bool(heard)

    def renew(self, seconds: float) -> None:
        """This process lives, and will for so long."""
        began = clock.monotonic()
        with contextlib.suppress(Exception):
            self._redis.set(f"{self._prefix}lease:{self.process_id}", b"", px=int(seconds * 1000))
            self.renewed_at = began

    def give_up(self) -> None:
        """This process ends."""
        with contextlib.suppress(Exception):
            self._redis.delete(f"{self._prefix}lease:{self.process_id}")

    def living(self, process_ids: Sequence[str]) -> set[str]:
        """Those of them that have renewed their key; none, when Redis does not say."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for process_id in process_ids:
                    pipeline.exists(f"{self._prefix}lease:{process_id}")
                found = pipeline.execute()
        except Exception as error:
            self._is_away(error)
            return set()
        return {process_id for process_id, there in zip(process_ids, found, strict=True) if there}

    def _send(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            while self._waiting:
                if not self.available:
                    gevent.sleep(AGAIN_AFTER)
                    continue
                now = clock.monotonic()
                portion = self._waiting.take(_PORTION)
                portion = [each for each in portion if not each.passing or now - each.at < _PASSED / 1000]
                try:
                    self._write(portion)
                except ResponseError as error:  # it takes none of them (it is full): they wait
                    self._waiting.put_back(portion)
                    if not self._refused:
                        log.warning("the bus takes no facts: %s", error)
                    self._refused = True
                    gevent.sleep(AGAIN_AFTER)
                except Exception as error:  # perhaps it has taken them: better too few than one twice
                    self._is_away(error)
                else:
                    self._refused = False

    def _write(self, portion: Sequence[_Waiting]) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            for each in portion:
                if len(each.text) > LARGE:
                    pipeline.publish(self._large, each.text)
                else:
                    pipeline.xadd(self._facts, {_FIELD: each.text}, maxlen=FACTS_KEPT, approximate=True)
            pipeline.execute()

    def _again_and_again(self, what: str, hears: Callable[[], None]) -> None:
        """Hear until the connection is lost, and again, for as long as this process lives."""
        while True:
            try:
                hears()
            except RedisError as error:
                self._is_away(error)
            except Exception:  # a defect must not end the listening
                log.exception("the bus failed")
            self._deaf.add(what)
            gevent.sleep(AGAIN_AFTER)

    def _listen(self) -> None:
        """What is for us alone, and what is too large to be kept. Raises RedisError."""
        with self._listening.pubsub() as channel:  # type: ignore[no-untyped-call]
            channel.subscribe(f"{self._prefix}to:{self.process_id}", self._large)
            asked_at, subscribed = None, False
            while True:
                message = channel.get_message(timeout=LOOK_EVERY)
                if message is None:
                    if asked_at is not None:
                        raise RedisError("no answer to a ping")
                    channel.ping()
                    asked_at = clock.monotonic()
                    continue
                asked_at = None
                if message["type"] == "message":
                    self._tell(message["data"])
                subscribed = subscribed or (message["type"] == "subscribe" and message["data"] == 2)
                if subscribed:
                    self._hears(_OURS)

    def _follow(self) -> None:
        """The facts, from where we were. Raises RedisError."""
        redis: Any = self._following
        began = int(redis.time()[0]) * 1000
        newest = self._newest(redis)
        if self._cursor is None:
            self._cursor = newest
        elif _number(newest) < _number(self._cursor):
            self._cursor = "0-0"  # Redis has lost its memory: all that it has is new
        while True:
            # What was missed is read at once, and only then do we count as being back.
            wait = None if _FACTS in self._deaf else int(LOOK_EVERY * 1000)
            streams = redis.xread({self._facts: self._cursor}, count=_AT_A_TIME, block=wait)
            entries = streams[0][1] if streams else []
            for at, fields in entries:
                self._cursor = at.decode()
                self._tell(fields.get(_FIELD, b""), late=_number(self._cursor)[0] < began - _PASSED)
            if len(entries) < _AT_A_TIME:
                self._hears(_FACTS)
            else:
                gevent.sleep(clock.A_TURN)

    def _newest(self, redis: Any) -> str:
        """The stream's last entry; "0-0": there is none."""
        entries = redis.xrevrange(self._facts, count=1)
        return entries[0][0].decode() if entries else "0-0"

    def _tell(self, text: bytes, *, late: bool = False) -> None:
        try:
            origin, kind, fields = msgspec.json.decode(text)
            fact = msgspec.convert(fields, KINDS[kind])
        except (ValueError, KeyError, TypeError, RecursionError, msgspec.MsgspecError) as error:
            log.warning("something else speaks on the bus: %s", error)
            return
        if origin != self.process_id and not (late and isinstance(fact, PASSING)):
            self.heard(fact)

    def _hears(self, what: str) -> None:
        if what not in self._deaf:
            return
        self._deaf.discard(what)
        if self.available:
            log.info("the bus is there")
            for task in self.on_return:
                gevent.spawn(task)

    def _is_away(self, error: Exception) -> None:
        if self.available:
            log.warning("the bus is away: %s", error)
        self._deaf |= {_OURS, _FACTS}


def _number(entry: str) -> tuple[int, int]:
    """An entry's place in its stream: milliseconds and a count."""
    milliseconds, _, count = entry.partition("-")
    return int(milliseconds), int(count)


def _client(url: str, *, waits: float = 0.0) -> Redis:
    """`waits`: how long it may be silent when it is asked to wait."""
    return Redis.from_url(
        url,
        socket_timeout=waits + PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


def _written(origin: str, fact: Happened) -> bytes:
    return msgspec.json.encode([origin, type(fact).__name__, asdict(fact)])
