"""Clients that break every rule of decency, at once: nobody else may suffer, and memory has a bound."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.mariadb import MariaDB
from tests.support.messages import FROM_CHARGER
from tests.support.server import GunicornServer
from tests.wire.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, RawCharger, booted, frame

from .conftest import Scenario, must_be_quiet, started

pytestmark = [pytest.mark.wire, pytest.mark.mariadb, pytest.mark.alone]
#: Seconds in which everybody else is answered, whatever the rude ones do.
LATENCY = 2.0
#: MB by which the worker may grow under all of them together.
MEMORY = 300

Rude = Callable[[GunicornServer, random.Random, float], None]


def test_rude_neighbours(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url, CALL_TIMEOUT="1") as server:
        fleet = scenario.fleet(server.ocpp_url, chargers=50)
        fleet.is_at_work()
        before = memory(server)
        end = time.monotonic() + scenario.seconds + 4
        rude: list[Rude] = [
            floods,
            floods_with_stores,
            never_reads,
            sends_megabytes,
            talks_garbage,
            talks_garbage,
        ]
        rude += [breaks_frames, never_answers, comes_and_goes]
        threads = [
            threading.Thread(target=behaves, args=(one, server, random.Random(f"{scenario.seed} {n}"), end))
            for n, one in enumerate(rude)
        ]
        for thread in threads:
            thread.start()
        delays, grown = watch(server, before, end)
        for thread in threads:
            thread.join()
        longest = max(delays)
        scenario.note(
            f"{len(delays)} answers to a bystander, the slowest after {longest:.2f} s; {grown} MB grown"
        )
        fleet.is_at_work()
        scenario.settle(url, fleet.comes_home())
        assert longest < LATENCY
        assert grown < MEMORY
        must_be_quiet(server)


def watch(server: GunicornServer, before: int, end: float) -> tuple[list[float], int]:
    """How long a polite charger waited for each answer, and by how much the worker grew at most (MB)."""
    delays, most = [], before
    with booted(server, "BYSTANDER") as bystander:
        while time.monotonic() < end:
            began = time.monotonic()
            is_answered(bystander)
            delays.append(time.monotonic() - began)
            most = max(most, memory(server))
            time.sleep(0.02)
    return delays, most - before


def is_answered(charger: RawCharger) -> None:
    """A message from memory and one that is stored get their answers."""
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    for action, payload in (("Heartbeat", {}), ("StatusNotification", status)):
        message_id = f"{action}-{time.monotonic()}"
        charger.says(json.dumps([2, message_id, action, payload]))
        while True:
            answer = charger.hears_json()
            if answer[0] != 2:  # a call of the system's own
                assert (answer[0], answer[1]) == (3, message_id), answer
                break


def memory(server: GunicornServer) -> int:
    """The worker's resident memory in MB."""
    pages = int(Path(f"/proc/{server.worker_pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def behaves(one: Rude, server: GunicornServer, chance: random.Random, end: float) -> None:
    """Be rude again and again; being thrown out is part of it."""
    while time.monotonic() < end:
        with contextlib.suppress(OSError, EOFError, AssertionError):
            one(server, chance, end)


def call(action: str, payload: object, chance: random.Random) -> bytes:
    return frame(TEXT, json.dumps([2, str(chance.random()), action, payload]).encode())


def floods(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Heartbeats as fast as the line takes them; the answers are thrown away."""
    with booted(server, "FLOODER") as charger:
        reader = threading.Thread(target=reads_away, args=(charger,), daemon=True)
        reader.start()
        heartbeats = b"".join(call("Heartbeat", {}, chance) for _ in range(200))
        while time.monotonic() < end:
            charger.sends(heartbeats)


def reads_away(charger: RawCharger) -> None:
    with contextlib.suppress(OSError):
        while charger.socket.recv(65536):
            pass


def floods_with_stores(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Messages that need a commit, without waiting for the answers."""
    with booted(server, "HOARDER") as charger:
        threading.Thread(target=reads_away, args=(charger,), daemon=True).start()
        while time.monotonic() < end:
            sampled = [{"value": str(chance.random())}]
            reading = {"timestamp": "2026-01-01T00:00:00Z", "sampledValue": sampled}
            charger.sends(call("MeterValues", {"connectorId": 1, "meterValue": [reading]}, chance))


def never_reads(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Asks and never reads an answer."""
    with booted(server, "DEAF", receive_buffer=2048) as charger:
        charger.socket.settimeout(2)
        heartbeats = b"".join(call("Heartbeat", {}, chance) for _ in range(100))
        while time.monotonic() < end:
            charger.sends(heartbeats)


def sends_megabytes(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Frames just below the limit and, to end with, one above it."""
    with booted(server, "VERBOSE") as charger:
        for _ in range(10):
            charger.calls("DataTransfer", {"vendorId": "V", "data": "x" * 1_000_000})
        charger.sends(frame(TEXT, b"[" + b"x" * 1_100_000))
        charger.hears_close()


def talks_garbage(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Text that is nearly, hardly or not at all a call."""
    with booted(server, f"GARBAGE{chance.randint(1, 9)}") as charger:
        threading.Thread(target=reads_away, args=(charger,), daemon=True).start()
        while time.monotonic() < end:
            charger.sends(frame(chance.choice((TEXT, TEXT, BINARY)), garbage(chance)))


def garbage(chance: random.Random) -> bytes:
    action = chance.choice([*FROM_CHARGER, "Nonsense", "", 7, None])
    text = json.dumps(
        [chance.choice((2, 2, 2, 3, 4, 5, "2")), chance.choice(("a", 1, None)), action, value(chance)]
    )
    data = bytearray(text.encode())
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.1 else data)


#: Field names that the messages know, so that garbage gets past the first check.
_FIELDS = (
    "connectorId",
    "status",
    "errorCode",
    "timestamp",
    "meterStart",
    "meterStop",
    "idTag",
    "transactionId",
)
_FIELDS += (
    "meterValue",
    "sampledValue",
    "value",
    "vendorId",
    "data",
    "chargePointModel",
    "chargePointVendor",
    "unit",
)


def value(chance: random.Random, depth: int = 0) -> object:
    """A JSON value of any shape."""
    kind = chance.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return chance.choice((0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 1.5, 1e308))
    if kind == 1:
        return chance.choice((None, True, False))
    if kind < 6:
        return chance.choice(
            ("", "Available", "x" * 300, "\x00", "\ud800", "1970-01-01T00:00:00Z", "9e999", "é" * 20)
        )
    if kind == 6:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(_FIELDS): value(chance, depth + 1) for _ in range(chance.randrange(6))}


def breaks_frames(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Bytes that are no WebSocket frames, or the wrong ones."""
    with booted(server, "BREAKER") as charger:
        charger.sends(
            chance.choice(
                (
                    chance.randbytes(chance.randint(1, 2000)),
                    frame(TEXT, b"[]", masked=False),
                    frame(CONTINUATION, b"x"),
                    frame(TEXT, b"x", final=False) * 3,
                    frame(PING, b"x" * 126),
                    frame(TEXT, b"x", rsv=0x40),
                    frame(CLOSE, b"\x00"),
                )
            )
        )
        charger.is_ended()


def never_answers(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Takes the system's calls and says nothing, until it is dropped."""
    with booted(server, f"SILENT{chance.randint(1, 9)}") as charger:
        charger.is_ended()


def comes_and_goes(server: GunicornServer, chance: random.Random, end: float) -> None:
    """Dials, at times says something, and has gone."""
    with RawCharger((server.host, server.port)) as charger:
        charger.asks(f"/ocpp/VISITOR{chance.randint(1, 5)}")
        if chance.random() < 0.5:
            charger.sends(call("Heartbeat", {}, chance))
