"""The bus on a real Redis, as a server's worker runs it: every blocking call gives way to others (gevent's patching).

test_bus.py runs each case in a process of its own: `python -m tests.wire.bus_cases <case>`.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from redis import Redis as Client  # noqa: E402

from charger_mgmt import bus as buses  # noqa: E402
from charger_mgmt.bus import Bus  # noqa: E402
from charger_mgmt.feed import ChargerChanged, CommandEnded, DoorTried, Happened, SessionEnded  # noqa: E402
from tests.faults.proxy import Proxy  # noqa: E402
from tests.live.support import until  # noqa: E402
from tests.support.redis import Redis  # noqa: E402

#: What one may send on the bus that is no fact.
NONSENSE = {
    "deep": "[" * 100_000,
    "no-json": "nonsense",
    "another-shape": "{}",
    "unknown-fact": '["x", "Unknown", {}]',
    "wrong-type": '["x", "SessionEnded", {"identity": 1}]',
    "no-utf-8": "\xff",
}


def joined(url: str, process_id: str) -> tuple[Bus, list[Any]]:
    """A process on the bus, and what it hears."""
    heard: list[Happened] = []
    bus = Bus(url, "tests", process_id)
    bus.heard = heard.append
    bus.start()
    until(lambda: bus.available)
    return bus, heard


def large(number: int) -> CommandEnded:
    return CommandEnded("CP1", number, "accepted", {"data": "x" * (buses.LARGE + 1)})


def what_a_full_redis_does_not_take_waits(redis: Redis) -> None:
    (tells, _), (_, heard) = joined(redis.url, "one"), joined(redis.url, "other")
    client = Client.from_url(redis.url)
    client.config_set("maxmemory", "1")
    tells.publish([SessionEnded("CP1", number) for number in range(3)])
    gevent.sleep(1.5)
    assert heard == []
    assert tells.available
    client.config_set("maxmemory", "0")
    until(lambda: len(heard) == 3)
    assert [fact.transaction_id for fact in heard] == [0, 1, 2]


def what_is_about_the_moment_is_not_told_late(redis: Redis) -> None:
    buses._PASSED = 500  # type: ignore[misc] — not ten seconds, here
    (tells, _), (_, heard) = joined(redis.url, "one"), joined(redis.url, "other")
    client = Client.from_url(redis.url)
    client.config_set("maxmemory", "1")
    tells.publish([DoorTried("CP1", "192.0.2.1", True), SessionEnded("CP1", 1)])
    gevent.sleep(1.5)
    client.config_set("maxmemory", "0")
    until(lambda: heard)
    tells.publish([DoorTried("CP2", "192.0.2.1", True)])
    until(lambda: len(heard) == 2)
    assert [(type(fact), fact.identity) for fact in heard] == [(SessionEnded, "CP1"), (DoorTried, "CP2")]


def what_is_large_is_told_now_or_not_at_all(redis: Redis) -> None:
    with Proxy(redis.host, redis.port) as line:
        tells, _ = joined(f"redis://127.0.0.1:{line.port}/0", "one")
        _, heard = joined(redis.url, "other")
        tells.publish([large(1)])
        until(lambda: heard)
        with line.cut():
            until(lambda: not tells.available)
            tells.publish([large(2), ChargerChanged("CP1", strict=True)])
        until(lambda: len(heard) > 1, seconds=10)
        assert [type(fact) for fact in heard] == [CommandEnded, ChargerChanged]


def what_waits_is_bounded_by_its_bytes_too(redis: Redis) -> None:
    bus = Bus(redis.url, "tests", "one")  # it does not send
    text = "y" * (buses.LARGE - 1000)
    for number in range(3000):
        bus.publish([ChargerChanged(f"CP{number}", shut_out=text)])
    waiting = bus._waiting.take(10_000)
    size = sum(len(each.text) for each in waiting)
    assert buses.MOST_BYTES - buses.LARGE <= size <= buses.MOST_BYTES
    assert b"CP2999" in waiting[-1].text
    assert not bus._waiting


def something_else_that_speaks_is_not_listened_to(redis: Redis) -> None:
    bus, heard = joined(redis.url, "one")
    client = Client.from_url(redis.url)
    told = json.dumps(["other", "SessionEnded", {"identity": "CP1", "transaction_id": 5}]).encode()
    for count, text in enumerate((each.encode("latin-1") for each in NONSENSE.values()), 1):
        client.publish("charger_mgmt:tests:to:one", text)
        client.xadd("charger_mgmt:tests:facts", {"fact": text})
        client.xadd("charger_mgmt:tests:facts", {"something": "else"})
        client.publish("charger_mgmt:tests:to:one", told)
        client.xadd("charger_mgmt:tests:facts", {"fact": told})
        until(lambda count=count: len(heard) == 2 * count)  # type: ignore[misc]
    assert set(heard) == {SessionEnded("CP1", 5)}
    assert bus.available


def who_lives_is_asked_of_redis(redis: Redis) -> None:
    one, _ = joined(redis.url, "one")
    other, _ = joined(redis.url, "other")
    assert one.renewed_at < 0
    one.renew(30)
    assert one.renewed_at > 0
    assert other.living(["one", "two"]) == {"one"}
    one.give_up()
    assert other.living(["one", "two"]) == set()
    renewed_at = one.renewed_at
    redis.kill()
    one.renew(30)
    assert one.renewed_at == renewed_at
    assert other.living(["one"]) == set()
    assert not other.available


CASES: dict[str, Callable[[Redis], None]] = {
    case.__name__: case
    for case in (
        what_a_full_redis_does_not_take_waits,
        what_is_about_the_moment_is_not_told_late,
        what_is_large_is_told_now_or_not_at_all,
        what_waits_is_bounded_by_its_bytes_too,
        something_else_that_speaks_is_not_listened_to,
        who_lives_is_asked_of_redis,
    )
}

if __name__ == "__main__":
    with Redis() as running:
        CASES[sys.argv[1]](running)
