"""The PyPI package `ocpp` over `websockets` as the charger: it validates our answers and our calls."""

import asyncio
import contextlib
import queue
import threading
from datetime import UTC, datetime

import pytest
import websockets
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import (
    Action,
    AuthorizationStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    ConfigurationStatus,
    Reason,
    RegistrationStatus,
    RemoteStartStopStatus,
    TriggerMessageStatus,
)

from .operator import steers_a_session

pytestmark = pytest.mark.peer
#: The calls that the system makes by itself come at once, so that they are validated too.
SERVER_ENVIRON = {"FOLLOW_UP_DELAY": "0"}
METER_START, METER_STOP = 500, 12_840


def now() -> str:
    return datetime.now(UTC).isoformat()


class Charger(ChargePoint):
    """A charge point with one connector; tells how far it is."""

    def __init__(self, identity, connection, tell):
        super().__init__(identity, connection, response_timeout=10)
        self.tell = tell
        self.transaction_id = None
        self.over = asyncio.Event()

    async def reports(self, connector, status):
        await self.call(
            call.StatusNotification(connector, ChargePointErrorCode.no_error, status, timestamp=now()),
            suppress=False,
        )

    async def begins(self):
        boot = await self.call(
            call.BootNotification("ocpp", "Peer", firmware_version="2.1.0"), suppress=False
        )
        assert boot.status == RegistrationStatus.accepted
        for connector in (0, 1):
            await self.reports(connector, ChargePointStatus.available)
        heartbeat = await self.call(call.Heartbeat(), suppress=False)
        self.tell("ready", status=boot.status, interval=boot.interval, currentTime=heartbeat.current_time)

    @on(Action.remote_start_transaction)
    def start_is_accepted(self, id_tag, **_):
        return call_result.RemoteStartTransaction(RemoteStartStopStatus.accepted)

    @after(Action.remote_start_transaction)
    async def charges(self, id_tag, **_):
        with self.telling():
            authorization = await self.call(call.Authorize(id_tag), suppress=False)
            assert authorization.id_tag_info["status"] == AuthorizationStatus.accepted
            await self.reports(1, ChargePointStatus.preparing)
            started = await self.call(call.StartTransaction(1, id_tag, METER_START, now()), suppress=False)
            self.transaction_id = started.transaction_id
            await self.reports(1, ChargePointStatus.charging)
            sample = {"value": "6100", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
            meter_value = [{"timestamp": now(), "sampled_value": [sample]}]
            await self.call(call.MeterValues(1, meter_value, self.transaction_id), suppress=False)
            self.tell("charging", transactionId=self.transaction_id)

    @on(Action.remote_stop_transaction)
    def stop_is_accepted(self, transaction_id):
        known = transaction_id == self.transaction_id
        return call_result.RemoteStopTransaction(
            RemoteStartStopStatus.accepted if known else RemoteStartStopStatus.rejected
        )

    @after(Action.remote_stop_transaction)
    async def stops(self, transaction_id):
        with self.telling():
            stop = call.StopTransaction(METER_STOP, now(), transaction_id, reason=Reason.remote)
            await self.call(stop, suppress=False)
            await self.reports(1, ChargePointStatus.finishing)
            await self.reports(1, ChargePointStatus.available)
            self.tell("stopped")
            self.over.set()

    @on(Action.change_configuration)
    def keeps_its_configuration(self, **_):
        return call_result.ChangeConfiguration(ConfigurationStatus.not_supported)

    @on(Action.trigger_message)
    def is_not_triggered(self, **_):
        return call_result.TriggerMessage(TriggerMessageStatus.not_implemented)

    @contextlib.contextmanager
    def telling(self):
        """A fault inside a task of the library would go unseen."""
        try:
            yield
        except Exception as fault:
            self.tell("fault", message=repr(fault))
            raise


class PackageCharger:
    """The charger on an event loop in a thread of its own."""

    def __init__(self, url, identity):
        self.url, self.identity = url, identity
        self.told: queue.Queue = queue.Queue()
        self.subprotocol = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._lives()), daemon=True)
        self._thread.start()

    async def _lives(self):
        try:
            async with websockets.connect(
                f"{self.url}/{self.identity}", subprotocols=["ocpp1.6"]
            ) as connection:
                self.subprotocol = connection.subprotocol
                charger = Charger(self.identity, connection, self._tell)
                listening = asyncio.create_task(charger.start())
                await charger.begins()
                await asyncio.wait_for(charger.over.wait(), 60)
                listening.cancel()
        except Exception as fault:
            self._tell("fault", message=repr(fault))

    def _tell(self, event, **detail):
        self.told.put({"event": event, **detail})

    def until(self, event):
        try:
            told = self.told.get(timeout=30)
        except queue.Empty:
            raise AssertionError(f"the charger never got as far as {event!r}") from None
        assert told["event"] == event, told
        return told

    def ends(self):
        self._thread.join(70)


@pytest.fixture
def peer(server, request):
    charger = PackageCharger(server.ocpp_url, f"PKG-{request.node.name[-12:].strip('[]')}")
    yield charger
    charger.ends()


def test_a_session_started_and_stopped_from_afar(server, peer):
    session = steers_a_session(server, peer)
    assert session["energyWh"] == 12_340
    assert session["reason"] == "Remote"
    assert peer.subprotocol == "ocpp1.6"
