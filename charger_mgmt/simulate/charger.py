"""FakeCharger: an OCPP-J 1.6 charger with verbs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from ..ocppj import frames
from ..ocppj.frames import Call, CallError, CallResult
from .configuration import ConfigurationKeys
from .holdings import Holdings
from .ledger import ChargingSession, Ledger, Message
from .remote import CentralSystemCalls
from .speaking import SpeakingCharger
from .transport import CallRefused, Clock, Transport, stamp

#: The session that runs on the connector.
RUNNING: Final = "running"


class FakeCharger(SpeakingCharger):
    """A charge point. Verbs return the Message (what was said and what was answered), or the session.

    Meters are in Wh; `at` is the charger's own time of an event (default: its clock). Connectors are
    numbered from 1; 0 is the charger's main part.
    """

    def __init__(
        self,
        identity: str,
        transport: Transport,
        *,
        clock: Clock | None = None,
        connectors: int = 2,
        vendor: str = "ChargerCo",
        model: str = "EVChargerX",
        firmware: str = "1.0.0",
        call_timeout: float = 30.0,
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__(identity, transport, clock=clock, call_timeout=call_timeout, ledger=ledger)
        self.boot_payload: dict[str, Any] = {
            "chargePointVendor": vendor,
            "chargePointModel": model,
            "chargePointSerialNumber": f"SN-{identity}"[:25],
            "firmwareVersion": firmware,
        }
        self.connectors = connectors
        self.configuration = ConfigurationKeys(connectors)
        #: What the last BootNotification was answered: Accepted, Pending, Rejected.
        self.registration: str | None = None
        #: The register of each connector, in Wh.
        self.registers = dict.fromkeys(range(1, connectors + 1), 0)
        #: The status and error code of each connector, as it is (reported or not).
        self.statuses = dict.fromkeys(range(connectors + 1), ("Available", "NoError"))
        #: The sessions that run, by connector.
        self.sessions: dict[int, ChargingSession] = {}
        #: Makes message ids; some makes count from 1 after every boot.
        self.message_ids: Callable[[], str] = lambda: str(uuid.uuid4())
        self.central_system = CentralSystemCalls(self)
        #: Connectors that become Unavailable once their session is over (section 5.2, Scheduled).
        self.out_of_service_next: set[int] = set()
        self._unreported: dict[int, Message] = {}

    # Core messages

    def boots(self, **payload: Any) -> Message:
        """BootNotification (section 4.2); dials in if it has to."""
        if not self.online:
            self.dials_in()
        return self._say(self._message("BootNotification", self.boot_payload | payload))

    def starts_up(self) -> Message:
        """Boot, and when accepted report connector 0 and every other (core errata 3.22)."""
        boot = self.boots()
        if boot.status == "Accepted":
            for connector, (status, error) in sorted(self.statuses.items()):
                self.reports(connector, status, error)
        return boot

    def heartbeats(self) -> Message:
        """Heartbeat (section 4.6)."""
        return self._say(self._message("Heartbeat", {}))

    def reports(
        self,
        connector: int,
        status: str,
        error: str = "NoError",
        *,
        at: datetime | None = None,
        **payload: Any,
    ) -> Message:
        """StatusNotification (section 4.9). Offline only the last status of a connector is kept."""
        at = at or self.clock.now()
        if status == "Available" and connector in self.out_of_service_next:
            self.out_of_service_next.discard(connector)
            status = "Unavailable"
        self.statuses[connector] = (status, error)
        body = {"connectorId": connector, "status": status, "errorCode": error, "timestamp": stamp(at)}
        message = self._message("StatusNotification", body | payload, at)
        if self.connections and not self.online:
            self._unreported[connector] = message
            return message
        return self._say(message)

    def authorizes(self, tag: str) -> Message:
        """Authorize (section 4.1)."""
        return self._say(self._message("Authorize", {"idTag": tag}))

    def transfers(self, vendor: str, message_id: str | None = None, data: str | None = None) -> Message:
        """DataTransfer (section 4.3)."""
        body = {"vendorId": vendor, "messageId": message_id, "data": data}
        return self._say(
            self._message("DataTransfer", {key: value for key, value in body.items() if value is not None})
        )

    # Transactions

    def starts(
        self,
        connector: int = 1,
        tag: str = "CARD-9",
        meter: int | None = None,
        *,
        at: datetime | None = None,
        reservation: int | None = None,
    ) -> ChargingSession:
        """StartTransaction (section 4.8); `meter` defaults to the connector's register."""
        at = at or self.clock.now()
        if meter is not None:
            self.registers[connector] = meter
        session = ChargingSession(connector, tag, self.registers.get(connector, 0), at)
        self.sessions[connector] = session
        body = {
            "connectorId": connector,
            "idTag": tag,
            "meterStart": session.meter_start,
            "timestamp": stamp(at),
        }
        if reservation is not None:
            body["reservationId"] = reservation
            self.central_system.holds.uses(reservation)
        session.start = self._message("StartTransaction", body, at, session)
        self._deliver(session.start)
        return session

    def meters(
        self,
        connector: int = 1,
        transaction: ChargingSession | int | str | None = RUNNING,
        wh: int | None = None,
        samples: Sequence[Mapping[str, Any]] | None = None,
        *,
        at: datetime | None = None,
    ) -> Message:
        """MeterValues (section 4.7): the energy register, or `samples` as sampledValue.

        `transaction`: a session, a transactionId, or None for values outside any transaction.
        """
        at = at or self.clock.now()
        if wh is not None:
            self.registers[connector] = wh
        if samples is None:
            samples = [
                {
                    "value": str(self.registers.get(connector, 0)),
                    "measurand": "Energy.Active.Import.Register",
                    "unit": "Wh",
                }
            ]
        body: dict[str, Any] = {
            "connectorId": connector,
            "meterValue": [{"timestamp": stamp(at), "sampledValue": [dict(sample) for sample in samples]}],
        }
        session, number = self._transaction(connector, transaction)
        if session is None and number is None:
            return self._say(self._message("MeterValues", body, at))
        if number is not None:
            body["transactionId"] = number
        return self._deliver(self._message("MeterValues", body, at, session))

    def stops(
        self,
        transaction: ChargingSession | int | str | None = RUNNING,
        meter: int | None = None,
        reason: str | None = "Local",
        *,
        connector: int = 1,
        tag: str | None = None,
        at: datetime | None = None,
        data: list[dict[str, Any]] | None = None,
    ) -> Message:
        """StopTransaction (section 4.10), of the session on `connector` if none is named."""
        at = at or self.clock.now()
        session, number = self._transaction(connector, transaction)
        if session is None and transaction == RUNNING:
            raise ValueError(f"no session runs on connector {connector}")
        if session is None:
            session = next((one for one in self.sessions.values() if one.transaction_id == number), None)
        where = session.connector if session else connector
        if meter is not None:
            self.registers[where] = meter
        body: dict[str, Any] = {"meterStop": self.registers.get(where, 0), "timestamp": stamp(at)}
        if number is not None:
            body["transactionId"] = number
        optional = {"reason": reason, "idTag": tag, "transactionData": data}
        body |= {key: value for key, value in optional.items() if value is not None}
        message = self._message("StopTransaction", body, at, session)
        if session is not None:
            session.ended, session.stop = True, message
            if self.sessions.get(session.connector) is session:
                del self.sessions[session.connector]
                self.central_system.holds.session_ends(session.connector)
        return self._deliver(message)

    def _transaction(
        self, connector: int, transaction: ChargingSession | int | str | None
    ) -> tuple[ChargingSession | None, int | None]:
        if isinstance(transaction, ChargingSession):
            return transaction, None
        if isinstance(transaction, str):
            return self.sessions.get(connector), None
        return None, transaction

    # Raw

    def sends(self, action: str, payload: Any) -> CallResult | CallError:
        """Any call, as it stands; the answer, whatever it is."""
        message = self._message(action, payload)
        try:
            self._say(message)
        except CallRefused as refusal:
            return CallError(message.message_ids[-1], refusal.code, refusal.description, {})
        return CallResult(message.message_ids[-1], message.answer)

    def sends_text(self, text: str, fenced: bool = True) -> Any:
        """Any text; what came in answer to it (a frame), or None.

        On a real connection a Heartbeat follows (`fenced`): answers come in order, so that what has not
        come before the Heartbeat's answer does not come at all.
        """
        self._dials_in_first_time()
        before = len(self.unexpected)
        self.transport.send(text)
        if fenced and not self.transport.synchronous:
            self.sends("Heartbeat", {})
        return self.unexpected[before] if len(self.unexpected) > before else None

    # The connection

    def comes_back(self) -> None:
        """Connect again, deliver the queue, then report the statuses that changed meanwhile."""
        super().comes_back()
        for connector in sorted(self._unreported):
            self._say(self._unreported.pop(connector))

    def loses_power(self) -> None:
        """Everything stops at once; what runs is remembered."""
        self.goes_offline()
        self.registration = None

    # How the central system's calls are answered

    @property
    def holds(self) -> Holdings:
        """What the central system has put there."""
        return self.central_system.holds

    @property
    def calls(self) -> list[Call]:
        """The calls that came in, oldest first."""
        return self.central_system.received

    def refuses(self, action: str) -> None:
        """From now on answer this call with Rejected."""
        self.central_system.answers(action, {"status": "Rejected"})

    def answers(self, action: str, payload: dict[str, Any]) -> None:
        """From now on answer this call with `payload`, and do nothing about it."""
        self.central_system.answers(action, payload)

    def errs(self, action: str, code: str = "InternalError", description: str = "") -> None:
        """From now on answer this call with a CALLERROR."""
        self.central_system.errs(action, code, description)

    def ignores(self, action: str) -> None:
        """From now on never answer this call."""
        self.central_system.ignores(action)

    def answers_late(self, action: str, after: float) -> None:
        """From now on answer this call properly, but `after` seconds late."""
        self.central_system.answers_late(action, after)

    def obeys(self, action: str) -> None:
        """Answer this call properly again."""
        self.central_system.obeys(action)

    def follows(self, chore: Callable[[], Any]) -> None:
        """Do it after the answer is out."""
        self._puts_off(chore)

    def replies(self, frame: CallResult | CallError) -> None:
        """Send an answer to a call of the central system."""
        self.transport.send(frames.encode(frame))

    # The dialect

    def _message(
        self, action: str, payload: Any, at: datetime | None = None, session: ChargingSession | None = None
    ) -> Message:
        return Message(action, payload, at or self.clock.now(), session=session)

    def _encoded(self, message: Message) -> tuple[str, str]:
        session = message.session
        if session is not None and message.action != "StartTransaction":
            # -1: the start never got through (core errata 3.18).
            known = session.transaction_id if session.transaction_id is not None else -1
            message.payload["transactionId"] = known
        message_id = self.message_ids()
        message.message_ids.append(message_id)
        # Not frames.encode, which writes no nulls: this charger says what it was told to say.
        return message_id, msgspec.json.encode([2, message_id, message.action, message.payload]).decode()

    def _learns(self, message: Message) -> None:
        if message.action == "BootNotification":
            self.registration = message.status
            if message.status == "Accepted":
                self.configuration["HeartbeatInterval"] = str(message["interval"])
        elif message.action == "StartTransaction" and message.session is not None:
            message.session.transaction_id = message["transactionId"]
            message.session.status = message.status

    @property
    def transaction_attempts(self) -> int:  # type: ignore[override]
        return int(self.configuration["TransactionMessageAttempts"])

    @property
    def transaction_retry_interval(self) -> float:  # type: ignore[override]
        return float(self.configuration["TransactionMessageRetryInterval"])

    @property
    def heartbeat_interval(self) -> int:
        """Seconds between Heartbeats, as the central system said."""
        return int(self.configuration["HeartbeatInterval"])

    def receives(self, text: str) -> None:
        """One text message from the central system."""
        frame = frames.decode(text)
        waiting = self._waiting
        if isinstance(frame, CallResult) and waiting is not None and frame.id == waiting.key:
            waiting.answer = frame.payload
            waiting.done.set()
        elif isinstance(frame, CallError) and waiting is not None and frame.id == waiting.key:
            waiting.error = (frame.code, frame.description)
            waiting.done.set()
        elif isinstance(frame, Call):
            self.central_system.receives(frame)
        else:
            self.unexpected.append(frame)
