"""Every message twice and more: with the same and with new ids, on two sockets at once, interleaved."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.mariadb import MariaDB
from tests.support.server import GunicornServer
from tests.wire.raw import CLOSE, TEXT, RawCharger, booted

from .conftest import Scenario, must_be_quiet, started

pytestmark = [pytest.mark.wire, pytest.mark.mariadb]
CHARGERS = 16
#: Seconds.
PATIENCE = 15.0


def test_everything_twice(scenario: Scenario, mariadb: MariaDB) -> None:
    url = mariadb.create_database()
    with started(url, COMMITTERS="4", BATCH_SIZE="8") as server:
        end = time.monotonic() + scenario.seconds

        def repeats(number: int) -> tuple[str, dict[str, Any]]:
            charger = Repeater(server, f"R{number:04d}", random.Random(f"{scenario.seed} {number}"))
            while time.monotonic() < end:
                charger.charges()
            return charger.identity, {"drained": True, "messages": charger.messages}

        with ThreadPoolExecutor(CHARGERS) as pool:
            ledger = dict(pool.map(repeats, range(CHARGERS)))
        account = scenario.settle(url, ledger)
        assert account.attempts > 3 * account.sent
        must_be_quiet(server)


class Repeater:
    """A charger that says everything on two sockets, on each of them twice."""

    def __init__(self, server: GunicornServer, identity: str, chance: random.Random) -> None:
        self.identity = identity
        self.messages: list[dict[str, Any]] = []
        self._server = server
        self._chance = chance
        self._count = 0
        self._register = 0
        with booted(server, identity):
            pass

    def charges(self) -> None:
        """One session: a start, two readings, a stop, and what the connector says of itself."""
        tag = self._new("T")
        start = {"connectorId": 1, "idTag": tag, "meterStart": self._register, "timestamp": now()}
        number = self._says("StartTransaction", start)["transactionId"]
        for _ in range(2):
            self._register += 1
            values = [{"value": f"{self._register}.{place}"} for place in range(3)]
            reading = {"timestamp": now(), "sampledValue": values}
            self._says("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [reading]})
        self._register += 1
        self._says(
            "StopTransaction", {"transactionId": number, "meterStop": self._register, "timestamp": now()}
        )
        report = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "info": self._new("S")}
        self._says("StatusNotification", report)

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self.identity}-{self._count}"

    def _says(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """On two sockets at once; all the answers that came must agree."""
        first_id = str(uuid.uuid4())
        answers: list[Any] = []
        attempts = 0
        while not answers:  # both sockets may lose their race against each other
            sockets = [self._dials(), self._dials()]
            ids = [first_id, first_id, str(uuid.uuid4()), str(uuid.uuid4())]
            self._chance.shuffle(ids)
            talks = [
                threading.Thread(target=self._talks, args=(socket, action, payload, pair, answers))
                for socket, pair in zip(sockets, (ids[:2], ids[2:]), strict=True)
            ]
            attempts += len(ids)
            for talk in talks:
                talk.start()
            for talk in talks:
                talk.join()
        assert all(answer == answers[0] for answer in answers), f"{action}: {answers}"
        message = {"action": action, "payload": payload, "must_arrive": True, "error": None}
        self.messages.append(message | {"attempts": attempts, "answer": answers[0]})
        return answers[0]

    def _dials(self) -> RawCharger:
        charger = RawCharger((self._server.host, self._server.port))
        assert charger.asks(f"/ocpp/{self.identity}").status == 101
        return charger

    @staticmethod
    def _talks(
        socket: RawCharger, action: str, payload: dict[str, Any], ids: list[str], answers: list[Any]
    ) -> None:
        unanswered = set(ids)  # a copy that comes while the first is in hand shares its answer
        deadline = time.monotonic() + PATIENCE
        with socket, contextlib.suppress(EOFError, ConnectionError):
            for message_id in ids:
                socket.says(json.dumps([2, message_id, action, payload]))
            while unanswered and (frame := socket.hears()).opcode != CLOSE:  # else the other has taken over
                if time.monotonic() > deadline:
                    answers.append(f"no answer within {PATIENCE} s")
                    return
                if frame.opcode == TEXT:
                    kind, message_id, *answer = json.loads(frame.payload)
                    if kind in (3, 4):
                        unanswered.discard(message_id)
                        answers.append(answer[0] if kind == 3 else answer)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
