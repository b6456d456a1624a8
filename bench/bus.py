"""What may carry a command from one process to another and its end back: Redis' channels, streams and lists.

    python -m bench.bus [--messages 2000]

Two processes as ours are (gevent, redis-py): one asks, the other answers at once. Counted are the way there and back, one
at a time, and the processor time of both and of Redis for it; then fifty that ask at the same time.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from gevent.event import AsyncResult  # noqa: E402
from redis import Redis  # noqa: E402

from tests.support import redis as support  # noqa: E402

from .figures import summary, table  # noqa: E402
from .servers import cpu_seconds  # noqa: E402

WAYS = ("pub/sub", "streams", "lists")
#: As long as a CommandQueued is.
_BODY = b"x" * 400


def sender(way: str, client: Redis, to: str) -> Callable[[bytes], Any]:
    """What puts one message on the way."""
    if way == "pub/sub":
        return lambda text: client.publish(to, text)
    if way == "streams":
        return lambda text: client.xadd(to, {"m": text}, maxlen=10_000, approximate=True)
    return lambda text: client.rpush(to, text)


def messages(way: str, client: Redis, name: str, ready: Callable[[], None]) -> Iterator[bytes]:
    """What comes to `name`, without end; `ready` is called once nothing can be missed."""
    if way == "pub/sub":
        channel = client.pubsub()  # type: ignore[no-untyped-call]
        channel.subscribe(name)
        for message in channel.listen():
            if message["type"] == "subscribe":
                ready()
            else:
                yield message["data"]
    ready()
    last: Any = b"0"
    while True:
        if way == "streams":
            for _, entries in client.xread({name: last}, count=200, block=10_000) or ():  # type: ignore[union-attr]
                for last, fields in entries:  # noqa: B007
                    yield fields[b"m"]
        elif (popped := client.blpop([name], timeout=10)) is not None:
            yield popped[1]  # type: ignore[index]


def answers(url: str, way: str) -> None:
    """The other process."""
    send = sender(way, Redis.from_url(url), "asker")
    for text in messages(way, Redis.from_url(url), "answerer", lambda: print("ready", flush=True)):
        send(text)


def asks(redis: support.Redis, way: str, count: int) -> dict[str, Any]:
    """Round trips one by one, and fifty at a time."""
    other = subprocess.Popen(
        [sys.executable, "-m", "bench.bus", "--answer", way, redis.url], stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        waiting: dict[bytes, AsyncResult] = {}
        ready = AsyncResult()

        def listens() -> None:
            for text in messages(way, Redis.from_url(redis.url), "asker", lambda: ready.set(True)):
                waiting.pop(text[:8]).set(True)

        listening = gevent.spawn(listens)
        ready.get(timeout=10)
        send = sender(way, Redis.from_url(redis.url), "answerer")
        numbers = iter(range(10**8))

        def trip() -> float:
            name = b"%08d" % next(numbers)
            waiting[name] = answer = AsyncResult()
            began = time.perf_counter()
            send(name + _BODY)
            answer.get(timeout=10)
            return time.perf_counter() - began

        def used() -> tuple[float, float]:
            return time.process_time() + cpu_seconds(other.pid), cpu_seconds(redis.pid)

        for _ in range(50):
            trip()
        before = used()
        alone = summary([trip() for _ in range(count)])
        between = used()
        began = time.perf_counter()
        together = [gevent.spawn(lambda: [trip() for _ in range(count // 50)]) for _ in range(50)]
        gevent.joinall(together, raise_error=True)
        took, after = time.perf_counter() - began, used()
        listening.kill()
    finally:
        other.kill()
        other.wait()
    many = count // 50 * 50
    return {
        "one at a time": alone,
        "cpu_us": 1e6 * (between[0] - before[0]) / count,
        "redis_us": 1e6 * (between[1] - before[1]) / count,
        "fifty": {
            "per_second": many / took,
            "cpu_us": 1e6 * (after[0] - between[0]) / many,
            "redis_us": 1e6 * (after[1] - between[1]) / many,
        },
    }


def run(*, count: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    seen: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            with support.Redis() as redis:
                seen[way].append(asks(redis, way, count))
    return seen


def show(seen: dict[str, list[dict[str, Any]]]) -> str:
    rows: list[list[Any]] = [
        [
            "there and back",
            "p50 ms",
            "p99 ms",
            "CPU us",
            "Redis us",
            "50 at a time: a second",
            "CPU us",
            "Redis us",
        ]
    ]
    for way, found in seen.items():

        def middle(pick: Callable[[dict[str, Any]], float], found: Any = found) -> float:
            return sorted(pick(one) for one in found)[len(found) // 2]

        rows.append(
            [
                way,
                f"{middle(lambda one: one['one at a time']['p50_ms']):.2f}",
                f"{middle(lambda one: one['one at a time']['p99_ms']):.2f}",
                f"{middle(lambda one: one['cpu_us']):.0f}",
                f"{middle(lambda one: one['redis_us']):.0f}",
                f"{middle(lambda one: one['fifty']['per_second']):,.0f}",
                f"{middle(lambda one: one['fifty']['cpu_us']):.0f}",
                f"{middle(lambda one: one['fifty']['redis_us']):.0f}",
            ]
        )
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.bus", description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--answer", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        answers(given.answer[1], given.answer[0])
        return
    seen = run(count=given.messages, rounds=given.rounds)
    print(json.dumps(seen, indent=2) if given.json else show(seen))


if __name__ == "__main__":
    main()
