"""Between the processes: a Redis that carries what has happened, and keeps nothing that must not be lost.

What is committed stands in the database; the bus only saves asking for it. A message may be lost (Redis is away, a process
is between two connections) and never comes twice. Channels, under `charger_mgmt:<database>:`:

    facts           what has happened, to every process
    to:<process>    what one process alone is to do
    lease:<process> a key, which that process renews: it lives, though the database may not know it
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Final

import gevent
import msgspec
from gevent.event import Event
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from . import clock
from .feed import KINDS, Happened

log = logging.getLogger(__name__)

#: Seconds that Redis may take for an answer. Without a limit on repetitions redis-py would wait ten times as long.
PATIENCE: Final = 1.0
#: Seconds between two looks whether a silent connection is alive, and between two tries for a new one.
LOOK_EVERY: Final = 2.0
AGAIN_AFTER: Final = 1.0
#: Facts that wait to be sent; the oldest go when Redis is too slow.
MOST_WAITING: Final = 10_000
#: Facts in one write.
_PORTION: Final = 200


class Bus:
    """One process's part of the bus; `heard` is told what others have published. Nothing here raises but `deliver`."""

    def __init__(self, url: str, database: str, process_id: str, heard: Callable[[Happened], None]) -> None:
        self.process_id = process_id
        self._prefix = f"charger_mgmt:{database}:"
        self._heard = heard
        self._redis = _client(url)
        #: Its own connection: it waits all the time.
        self._listening = _client(url)
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._news = Event()
        #: Whether we hear what others publish, and when Redis last answered (monotonic seconds).
        self.available = False
        self.answered_at = -float("inf")
        #: Called when it has come back: what happened meanwhile was not heard.
        self.on_return: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin to listen and to send, for as long as this process lives."""
        gevent.spawn(self._listen)
        gevent.spawn(self._send)

    def publish(self, facts: Iterable[Happened]) -> None:
        """Tell every other process, soon. Never waits."""
        if not self.available:
            return
        self._waiting += [_written(self.process_id, fact) for fact in facts]
        self._news.set()

    def deliver(self, process_id: str, fact: Happened) -> bool:
        """Tell one process, now; whether it heard. False, too, when Redis is away."""
        try:
            heard = self._redis.publish(f"{self._prefix}to:{process_id}", _written(self.process_id, fact))
        except RedisError as error:
            self._is_away(error)
            return False
        self.answered_at = clock.monotonic()
        return bool(heard)

    def renew(self, seconds: float) -> None:
        """This process lives, and will for so long."""
        with contextlib.suppress(RedisError):
            self._redis.set(f"{self._prefix}lease:{self.process_id}", b"", px=int(seconds * 1000))
            self.answered_at = clock.monotonic()

    def give_up(self) -> None:
        """This process ends."""
        with contextlib.suppress(RedisError):
            self._redis.delete(f"{self._prefix}lease:{self.process_id}")

    def is_alive(self, process_id: str) -> bool:
        """Whether another process has renewed its key; False, too, when Redis does not say."""
        try:
            return bool(self._redis.exists(f"{self._prefix}lease:{process_id}"))
        except RedisError:
            return False

    def _send(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            while self._waiting:
                portion = [self._waiting.popleft() for _ in range(min(_PORTION, len(self._waiting)))]
                try:
                    with self._redis.pipeline(transaction=False) as pipeline:
                        for text in portion:
                            pipeline.publish(f"{self._prefix}facts", text)
                        pipeline.execute()
                except RedisError as error:
                    self._is_away(error)
                else:
                    self.answered_at = clock.monotonic()

    def _listen(self) -> None:
        while True:
            try:
                with self._listening.pubsub() as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(f"{self._prefix}facts", f"{self._prefix}to:{self.process_id}")
                    self._hear(channel)
            except RedisError as error:
                self._is_away(error)
            except Exception:  # a defect must not end the listening
                log.exception("the bus failed")
                self.available = False
            gevent.sleep(AGAIN_AFTER)

    def _hear(self, channel: Any) -> None:
        """Tell what comes, until the connection is lost. Raises RedisError."""
        asked_at, subscribed = None, False
        while True:
            message = channel.get_message(timeout=LOOK_EVERY)
            if message is None:
                if asked_at is not None:
                    raise RedisError("no answer to a ping")
                channel.ping()
                asked_at = clock.monotonic()
                continue
            self.answered_at, asked_at = clock.monotonic(), None
            if message["type"] == "message":
                self._tell(message["data"])
            elif message["type"] == "subscribe":
                subscribed = message["data"] == 2
            if subscribed and not self.available:
                self._is_back()

    def _tell(self, text: bytes) -> None:
        try:
            origin, kind, fields = msgspec.json.decode(text)
            fact = msgspec.convert(fields, KINDS[kind])
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
            log.warning("something else speaks on the bus: %s", error)
            return
        if origin != self.process_id:
            self._heard(fact)

    def _is_back(self) -> None:
        self.available = True
        log.info("the bus is there")
        for task in self.on_return:
            gevent.spawn(task)

    def _is_away(self, error: Exception) -> None:
        if self.available:
            log.warning("the bus is away: %s", error)
        self.available = False


def _client(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


def _written(origin: str, fact: Happened) -> bytes:
    return msgspec.json.encode([origin, type(fact).__name__, asdict(fact)])
