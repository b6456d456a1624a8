"""The bus, on a real Redis: what is told when it is full, away or lied to."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from redis import Redis as Client

from charger_mgmt import bus as buses
from charger_mgmt.bus import Bus
from charger_mgmt.feed import ChargerChanged, CommandEnded, DoorTried, Happened, SessionEnded
from tests.faults.proxy import Proxy
from tests.live.support import until
from tests.support.redis import Redis

pytestmark = pytest.mark.wire

LARGE = "x" * (buses.LARGE + 1)


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as running:
        yield running


def joined(url: str, process_id: str) -> tuple[Bus, list[Happened]]:
    """A process on the bus, and what it hears."""
    bus, heard = Bus(url, "tests", process_id), []
    bus.heard = heard.append
    bus.start()
    until(lambda: bus.available)
    return bus, heard


def large(number: int) -> CommandEnded:
    return CommandEnded("CP1", number, "accepted", {"data": LARGE})


def test_what_a_full_redis_does_not_take_waits(redis: Redis) -> None:
    (tells, _), (_, heard) = joined(redis.url, "one"), joined(redis.url, "other")
    client = Client.from_url(redis.url)
    client.config_set("maxmemory", "1")
    tells.publish([SessionEnded("CP1", number) for number in range(3)])
    with pytest.raises(AssertionError):
        until(lambda: heard, seconds=1.5)
    assert tells.available
    client.config_set("maxmemory", "0")
    until(lambda: len(heard) == 3)
    assert [fact.transaction_id for fact in heard] == [0, 1, 2]


def test_what_is_about_the_moment_is_not_told_late(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buses, "_PASSED", 500)
    (tells, _), (_, heard) = joined(redis.url, "one"), joined(redis.url, "other")
    client = Client.from_url(redis.url)
    client.config_set("maxmemory", "1")
    tells.publish([DoorTried("CP1", "192.0.2.1"), SessionEnded("CP1", 1)])
    with pytest.raises(AssertionError):
        until(lambda: heard, seconds=1.5)
    client.config_set("maxmemory", "0")
    until(lambda: heard)
    tells.publish([DoorTried("CP2", "192.0.2.1")])
    until(lambda: len(heard) == 2)
    assert [type(fact) for fact in heard] == [SessionEnded, DoorTried]
    assert heard[1].identity == "CP2"


def test_what_is_large_is_told_now_or_not_at_all(redis: Redis) -> None:
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


def test_what_waits_is_bounded_by_its_bytes_too(redis: Redis) -> None:
    bus = Bus(redis.url, "tests", "one")  # it does not send
    text = "y" * (buses.LARGE - 1000)
    for number in range(3000):
        bus.publish([ChargerChanged(f"CP{number}", shut_out=text)])
    waiting = bus._waiting.take(10_000)
    size = sum(len(each.text) for each in waiting)
    assert buses.MOST_BYTES - buses.LARGE <= size <= buses.MOST_BYTES
    assert b"CP2999" in waiting[-1].text
    assert not bus._waiting


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "nonsense",
        "{}",
        '["x", "Unknown", {}]',
        '["x", "SessionEnded", {"identity": 1}]',
        "\xff",
    ],
    ids=["deep", "no-json", "another-shape", "unknown-fact", "wrong-type", "no-utf-8"],
)
def test_something_else_that_speaks_on_the_bus_is_not_listened_to(redis: Redis, text: str) -> None:
    bus, heard = joined(redis.url, "one")
    client = Client.from_url(redis.url)
    client.publish("charger_mgmt:tests:to:one", text.encode("latin-1"))
    client.xadd("charger_mgmt:tests:facts", {"fact": text.encode("latin-1")})
    client.xadd("charger_mgmt:tests:facts", {"something": "else"})
    told = json.dumps(["other", "SessionEnded", {"identity": "CP1", "transaction_id": 5}])
    client.publish("charger_mgmt:tests:to:one", told)
    client.xadd("charger_mgmt:tests:facts", {"fact": told})
    until(lambda: len(heard) == 2)
    assert heard == [SessionEnded("CP1", 5)] * 2
    assert bus.available


def test_who_lives_is_asked_of_redis_at_once(redis: Redis) -> None:
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
