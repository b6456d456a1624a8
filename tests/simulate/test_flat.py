"""The flat charger: plain objects, answers in order, the same queue."""

import json
import threading
from datetime import UTC, datetime

import pytest

from charger_mgmt.simulate.flat import FlatCharger
from charger_mgmt.simulate.transport import CallRefused, NotAnswered, Receiver


class FlatCentralSystem:
    """A transport whose far end is here."""

    synchronous = True
    primitives = threading

    def __init__(self) -> None:
        self.charger: Receiver | None = None
        self.objects: list[dict] = []
        self.says: list[dict | None] = []

    def open(self, receiver):
        self.charger = receiver

    def close(self):
        self.charger = None

    drop = close

    def later(self, job, after=0.0):
        job()

    def send(self, text):
        request = json.loads(text)
        self.objects.append(request)
        answer = self.says.pop(0) if self.says else {"status": "Accepted", "interval": 90}
        if answer is not None:
            self.charger.receives(json.dumps(answer))


@pytest.fixture
def central_system():
    return FlatCentralSystem()


@pytest.fixture
def flat(central_system, clock):
    return FlatCharger(1, central_system, clock=clock)


def test_it_boots_as_the_dialect_says(flat, central_system):
    assert flat.boots().status == "Accepted"
    assert central_system.objects == [
        {"messageType": "BootNotification", "chargerId": 1, "model": "EVChargerX", "vendor": "ChargerCo"}
    ]
    assert flat.heartbeat_interval == 90


def test_a_session_has_the_chargers_own_id(flat, central_system):
    flat.starts("TXN-456", at=datetime(2025, 3, 30, 12, 10, tzinfo=UTC))
    flat.stops("TXN-456")
    start, stop = central_system.objects
    assert start == {
        "messageType": "StartTransaction",
        "chargerId": 1,
        "transactionId": "TXN-456",
        "timestamp": "2025-03-30T12:10:00.000Z",
    }
    assert (stop["messageType"], stop["transactionId"]) == ("StopTransaction", "TXN-456")


def test_offline_it_queues_and_replays_in_order(flat, central_system):
    flat.boots()
    flat.goes_offline()
    session = flat.starts()
    flat.stops(session)
    flat.comes_back()
    assert [one["messageType"] for one in central_system.objects[1:]] == [
        "StartTransaction",
        "StopTransaction",
    ]
    assert session.status == "Accepted"


def test_an_error_object_is_a_refusal(flat, central_system):
    central_system.says = [
        {"messageType": "Heartbeat", "error": {"code": "SecurityError", "message": "boot first"}}
    ]
    with pytest.raises(CallRefused, match="SecurityError: boot first"):
        flat.heartbeats()


def test_silence_ends_the_connection_because_answers_have_no_ids(flat, central_system):
    flat.boots()
    central_system.says = [None]
    with pytest.raises(NotAnswered):
        flat.heartbeats()
    assert not flat.online
