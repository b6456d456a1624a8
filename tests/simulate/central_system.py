"""The other side for the fake charger's own tests: a central system that does as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from charger_mgmt.simulate.transport import ConnectionLost, HandshakeRefused, Receiver


class HandClock:
    """A clock that moves when it is told to, or slept on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.time += timedelta(seconds=seconds)


class ObedientCentralSystem:
    """A transport whose far end is here. Answers every call, unless a test decides otherwise."""

    synchronous = True
    primitives = threading

    def __init__(self) -> None:
        self.charger: Receiver | None = None
        self.frames: list[list[Any]] = []
        self.answers: list[list[Any]] = []
        self.refuses_handshake = False
        #: The connection is over before `open` has returned, as when the database goes away just then.
        self.hangs_up_at_once = False
        #: Action → what becomes of it: "silence", "error", "lost" or a payload.
        self.rules: dict[str, Any] = {}
        self.jobs: list[Callable[[], Any]] = []
        self._transaction_id = 100
        self._call_id = 0

    # The transport

    def open(self, receiver: Receiver) -> None:
        if self.refuses_handshake:
            raise HandshakeRefused(503, {}, b"")
        if self.hangs_up_at_once:
            receiver.loses_connection(1006, "")
        else:
            self.charger = receiver

    def close(self) -> None:
        self.charger = None

    drop = close

    def later(self, job: Callable[[], Any], after: float = 0.0) -> None:
        self.jobs.append(job)

    def send(self, text: str) -> None:
        if self.charger is None:
            raise ConnectionLost("closed")
        frame = json.loads(text)
        if frame[0] != 2:
            self.answers.append(frame)
            return
        self.frames.append(frame)
        self._answer(*frame[1:])

    def _answer(self, message_id: str, action: str, payload: dict[str, Any]) -> None:
        assert self.charger is not None
        rule = self.rules.get(action)
        if rule == "silence":
            return
        if rule == "error":
            self._tell([4, message_id, "InternalError", "", {}])
        elif rule == "lost":
            charger, self.charger = self.charger, None
            charger.loses_connection(1006, "")
        else:
            self._tell([3, message_id, rule or self._usual(action)])

    def _usual(self, action: str) -> dict[str, Any]:
        now = "2026-03-01T12:00:00Z"
        if action == "BootNotification":
            return {"status": "Accepted", "currentTime": now, "interval": 120}
        if action == "StartTransaction":
            self._transaction_id += 1
            return {"transactionId": self._transaction_id, "idTagInfo": {"status": "Accepted"}}
        return {
            "Authorize": {"idTagInfo": {"status": "Accepted"}},
            "Heartbeat": {"currentTime": now},
            "StopTransaction": {"idTagInfo": {"status": "Accepted"}},
        }.get(action, {})

    def _tell(self, frame: list[Any]) -> None:
        assert self.charger is not None
        self.charger.receives(json.dumps(frame))

    # What a test sees and does

    def calls(self, action: str, payload: dict[str, Any]) -> Any:
        """Call the charger; what it answered, or None."""
        self._call_id += 1
        before = len(self.answers)
        self._tell([2, f"cs-{self._call_id}", action, payload])
        return self.answers[before][2] if len(self.answers) > before else None

    @property
    def actions(self) -> list[str]:
        """What the charger called, in order."""
        return [frame[2] for frame in self.frames]

    def payloads(self, action: str) -> list[dict[str, Any]]:
        return [frame[3] for frame in self.frames if frame[2] == action]
