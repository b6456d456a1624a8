"""The gateway without a socket: text in, text out, on the application in memory."""

from __future__ import annotations

import json
from typing import Any

import gevent
import pytest
from flask import Flask
from sqlalchemy import select

from charger_mgmt.database.models import ChargerEvent, ChargerOddity
from charger_mgmt.dialects import Incoming
from charger_mgmt.dialects.ocpp16 import table
from charger_mgmt.dialects.ocpp16.form import OpenForm
from charger_mgmt.domain import dialect, facts
from charger_mgmt.gateway.admission import FLAT, Admitted
from charger_mgmt.gateway.dispatch import Dispatcher
from charger_mgmt.gateway.flat import FlatSession
from charger_mgmt.gateway.follow_ups import FollowUps
from charger_mgmt.gateway.session import Session
from charger_mgmt.intake import events
from charger_mgmt.intake.messages import Reply
from charger_mgmt.serving.handlers import HANDLERS
from charger_mgmt.serving.process import process_of
from tests.live.support import PipeSocket, until

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}
START = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"}


class Charger:
    """A charger whose text goes straight into the gateway."""

    def __init__(self, app: Flask, identity: str = "CP1", *, status_wait: float = 60) -> None:
        self.central = process_of(app).central
        self.gateway = process_of(app).gateway
        follow_ups = FollowUps(self.central, status_wait=status_wait)
        sources = self.gateway.connections.sources
        self.socket = PipeSocket()
        opened = self.gateway.connections.opened(identity, dialect.OCPP16, "192.0.2.1")
        self.session = Session(
            identity,
            charger_id=opened.charger_id,
            generation=opened.generation,
            registration=opened.registration,
            socket=self.socket,
            last_seen=self.central.last_seen,
            handle=Dispatcher(self.central, sources, follow_ups).take_call,
        )

    def says(self, text: str) -> Any:
        """What the text is answered; None: with the end of the socket."""
        self.session.take(text)
        until(lambda: self._answers() or not self.socket.is_open)
        for answer in self._answers():
            self.socket.sent.remove(answer)
            return json.loads(answer)
        return None

    def _answers(self) -> list[str]:
        return [text for text in self.socket.sent if not text.startswith("[2")]

    def calls(self, action: str, payload: Any) -> Any:
        return self.says(json.dumps([2, "id", action, payload]))


@pytest.fixture
def charger(app: Flask) -> Charger:
    return Charger(app)


def test_a_boot_opens_the_conversation(charger: Charger) -> None:
    assert charger.calls("Heartbeat", {})[2] == "SecurityError"
    assert charger.calls("BootNotification", BOOT)[2]["status"] == "Accepted"
    assert charger.calls("Heartbeat", {})[0] == 3
    assert charger.calls("StatusNotification", STATUS) == [3, "id", {}]


@pytest.mark.parametrize("action", ["StartTransaction", "StopTransaction", "MeterValues"])
@pytest.mark.parametrize("payload", [{}, {"transactionId": -1}, {"connectorId": "x", "odd": [1]}])
def test_money_is_answered_whatever_its_form_and_before_any_boot(charger: Charger, action, payload) -> None:
    assert charger.calls(action, payload)[0] == 3


def test_a_broken_stop_is_taken(charger: Charger) -> None:
    answer = charger.says('[2,"s","StopTransaction",{"transactionId":,"meterStop":5}]')
    assert answer[:2] == [3, "s"]


@pytest.mark.settings(charger_onboarding="approve")
def test_a_pending_charger_may_send_only_what_was_triggered(charger: Charger) -> None:
    assert charger.calls("BootNotification", BOOT)[2]["status"] == "Pending"
    assert charger.calls("StatusNotification", STATUS)[2] == "SecurityError"
    charger.session.triggered.add("StatusNotification")
    assert charger.calls("StatusNotification", STATUS)[0] == 3
    assert charger.calls("Heartbeat", {})[2] == "SecurityError"
    assert charger.calls("StartTransaction", START)[0] == 3


def test_every_call_is_a_sign_of_life(charger: Charger) -> None:
    charger.calls("Nonsense", {})
    assert charger.session.charger_id in charger.central.last_seen.take()


def test_a_call_that_cannot_even_be_refused_ends_the_socket(charger: Charger, monkeypatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("a defect")

    charger.calls("BootNotification", BOOT)
    monkeypatch.setattr(type(charger.session.conversation), "result", fails)
    monkeypatch.setattr(type(charger.session.conversation), "error", fails)
    assert charger.calls("StartTransaction", START) is None
    assert not charger.socket.is_open


def test_when_the_database_is_away_the_socket_is_dropped_without_an_answer(charger: Charger) -> None:
    charger.central.database.available = False
    assert charger.calls("StartTransaction", START) is None
    assert not charger.socket.is_open
    assert charger.socket.closed_with is None


@pytest.mark.settings(follow_up_delay=0.0)
def test_a_charger_that_reports_no_status_after_its_boot_is_asked_for_it(app: Flask) -> None:
    charger = Charger(app, status_wait=0.01)
    charger.central.registry.add(charger.session)
    charger.calls("BootNotification", BOOT)
    reader = gevent.spawn(charger.session.serve)
    for key in ("TransactionMessageAttempts", "TransactionMessageRetryInterval", None):
        until(lambda: charger.socket.sent)
        _, number, action, payload = json.loads(charger.socket.sent.pop())
        assert (action, payload.get("key")) == ("ChangeConfiguration" if key else "TriggerMessage", key)
        charger.socket.says(json.dumps([3, number, {"status": "Accepted"}]))
    assert payload == {"requestedMessage": "StatusNotification"}
    charger.socket.ends()
    reader.join(timeout=5)


@pytest.mark.settings(follow_up_delay=0.0)
def test_a_charger_that_boots_in_a_loop_is_set_up_once(app: Flask) -> None:
    charger = Charger(app)
    charger.central.registry.add(charger.session)
    for _ in range(5):
        charger.calls("BootNotification", BOOT)
    until(lambda: charger.socket.sent)
    gevent.sleep(0.05)
    assert [json.loads(text)[2] for text in charger.socket.sent] == ["ChangeConfiguration"]
    charger.session.end()


@pytest.mark.settings(automatic_calls=False)
def test_automatic_calls_can_be_switched_off(app: Flask) -> None:
    charger = Charger(app, status_wait=0)
    charger.central.registry.add(charger.session)
    charger.calls("BootNotification", BOOT)
    gevent.sleep(0.05)
    assert charger.socket.sent == []


def test_a_flat_session_needs_no_socket_either(app: Flask) -> None:
    gateway = process_of(app).gateway
    session = FlatSession(
        process_of(app).central,
        gateway,
        PipeSocket(),
        Admitted(FLAT, None),
        gateway.places.take(known=True),
    )
    answer = session.answer('{"messageType":"BootNotification","chargerId":1,"vendor":"V","model":"M"}')
    assert answer is not None
    assert json.loads(answer)["status"] == "Accepted"


class DoorOpened(facts.Fact, frozen=True):
    """Somebody has opened the charger's door, and how often that was."""

    times: int


def test_a_message_that_is_added_in_one_place_works_from_end_to_end(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row with its reader, and a function: docs/extending.md."""
    schema = {
        "type": "object",
        "properties": {"times": {"type": "integer"}},
        "required": ["times"],
        "additionalProperties": False,
    }
    row = Incoming(
        action="DoorOpened",
        form=OpenForm(action="DoorOpened", schema=schema),
        fact=DoorOpened,
        read=lambda payload: DoorOpened(payload["times"]),
        answer=lambda payload, outcome: {"status": "Noted"},
    )

    def handler(conn: Any, messages: Any, now: Any, settings: Any) -> list[Reply]:
        events.journal(conn, [(each, each.action, {"times": each.fact.times}) for each in messages])
        return [Reply() for _ in messages]

    monkeypatch.setitem(table.INCOMING, row.action, row)
    monkeypatch.setitem(HANDLERS, DoorOpened, handler)
    charger = Charger(app)
    charger.calls("BootNotification", BOOT)
    assert charger.calls("DoorOpened", {"times": "3", "odd": 1}) == [3, "id", {"status": "Noted"}]
    assert charger.calls("DoorOpened", {})[2] == "OccurenceConstraintViolation"
    with charger.central.database.engine.connect() as conn:
        journal = conn.execute(select(ChargerEvent.kind, ChargerEvent.detail)).all()
        odd = conn.execute(select(ChargerOddity.action, ChargerOddity.kind)).all()
    assert ("DoorOpened", {"times": 3}) in journal
    assert set(odd) == {("DoorOpened", "extra-field"), ("DoorOpened", "text-as-number")}
