"""FlatCharger: a charger that speaks the flat dialect, plain JSON objects at /ocpp."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from .ledger import ChargingSession, Ledger, Message
from .speaking import SpeakingCharger
from .transport import CallRefused, Clock, NotAnswered, Transport, stamp


class FlatCharger(SpeakingCharger):
    """The five messages of the flat dialect, with FakeCharger's verbs.

    The dialect has no message ids: an answer belongs to the oldest open request, and there is one at a
    time. A session's id is the charger's own text ("TXN-1").
    """

    def __init__(
        self,
        charger_id: int | str,
        transport: Transport,
        *,
        clock: Clock | None = None,
        vendor: str = "ChargerCo",
        model: str = "EVChargerX",
        call_timeout: float = 30.0,
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__(str(charger_id), transport, clock=clock, call_timeout=call_timeout, ledger=ledger)
        self.charger_id = charger_id
        self.vendor = vendor
        self.model = model
        self.registration: str | None = None
        #: Seconds between Heartbeats, as the central system said.
        self.heartbeat_interval = 300
        self.session: ChargingSession | None = None
        self._session_count = 0
        self._last_error: dict[str, Any] = {}

    def boots(self, **fields: Any) -> Message:
        if not self.online:
            self.dials_in()
        return self._say(
            self._message("BootNotification", {"model": self.model, "vendor": self.vendor} | fields)
        )

    def heartbeats(self) -> Message:
        return self._say(self._message("Heartbeat", {}))

    def reports(self, status: str, **fields: Any) -> Message:
        return self._say(self._message("StatusNotification", {"status": status} | fields))

    def starts(
        self, transaction: str | None = None, *, at: datetime | None = None, **fields: Any
    ) -> ChargingSession:
        """StartTransaction under the charger's own id (default: TXN-1, TXN-2, …)."""
        at = at or self.clock.now()
        self._session_count += 1
        name = transaction or f"TXN-{self._session_count}"
        session = ChargingSession(1, str(fields.get("idTag", "")), int(fields.get("meterStart", 0)), at, name)
        self.session = session
        body = {"transactionId": name, "timestamp": stamp(at)} | fields
        session.start = self._message("StartTransaction", body, at, session)
        self._deliver(session.start)
        return session

    def stops(
        self,
        transaction: ChargingSession | str | None = None,
        *,
        at: datetime | None = None,
        **fields: Any,
    ) -> Message:
        """StopTransaction; of the last session that it started, if none is named."""
        at = at or self.clock.now()
        session = transaction if isinstance(transaction, ChargingSession) else self.session
        name = transaction if isinstance(transaction, str) else session and session.transaction_id
        message = self._message(
            "StopTransaction", {"transactionId": name, "timestamp": stamp(at)} | fields, at
        )
        if session is not None and session.transaction_id == name:
            session.ended, session.stop = True, message
        return self._deliver(message)

    def sends(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Any object, as it stands; the answer, whatever it is."""
        message = Message("raw", dict(fields), self.clock.now())
        try:
            return dict(self._say(message).answer or {})
        except CallRefused:
            return dict(self._last_error)

    def _message(
        self,
        action: str,
        fields: dict[str, Any],
        at: datetime | None = None,
        session: ChargingSession | None = None,
    ) -> Message:
        payload = {"messageType": action, "chargerId": self.charger_id} | fields
        return Message(action, payload, at or self.clock.now(), session=session)

    def _encoded(self, message: Message) -> tuple[str, str]:
        return "", msgspec.json.encode(message.payload).decode()

    def _exchange(self, message: Message) -> None:
        try:
            super()._exchange(message)
        except NotAnswered:
            # Without message ids a late answer would pass for the next one's: begin anew.
            self.online = False
            self.transport.drop()
            raise

    def _learns(self, message: Message) -> None:
        if message.action == "BootNotification":
            self.registration = message.status
            if message.status == "Accepted":
                self.heartbeat_interval = int(message["interval"])
        elif message.action == "StartTransaction" and message.session is not None:
            message.session.status = message.status

    def receives(self, text: str) -> None:
        """The answer to the open request; an object with `error` is a refusal."""
        waiting = self._waiting
        try:
            answer = msgspec.json.decode(text)
        except msgspec.DecodeError:
            answer = None
        if waiting is None or not isinstance(answer, dict):
            self.unexpected.append(text)
        elif "error" in answer:
            self._last_error = answer
            error = answer["error"]
            waiting.error = (str(error["code"]), str(error["message"]))
            waiting.done.set()
        else:
            waiting.answer = answer
            waiting.done.set()
