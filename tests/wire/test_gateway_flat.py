"""The flat dialect at /ocpp, over a real server, with exactly the payloads of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import wait_until

from .raw import RawCharger, booted

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "CHARGER_ONBOARDING": "open"}


class FlatCharger(RawCharger):
    def tells(self, **message: Any) -> Any:
        self.says(json.dumps(message))
        return self.hears_json()


@pytest.fixture
def flat(server: Any) -> Iterator[FlatCharger]:
    with FlatCharger((server.host, server.port)) as charger:
        assert charger.asks("/ocpp", subprotocols=None).status == 101
        yield charger


def status_of(server: Any, charger: int | str) -> str:
    return server.get(f"/api/chargers/{charger}").json["status"]


def boots(flat: FlatCharger, charger: int | str) -> Any:
    return flat.tells(
        messageType="BootNotification", chargerId=charger, model="EVChargerX", vendor="ChargerCo"
    )


def test_the_five_messages_of_the_contract(server, flat) -> None:
    boot = boots(flat, 1)
    assert (boot["status"], boot["interval"]) == ("Accepted", 300)
    assert boot["currentTime"].endswith("Z")
    assert set(flat.tells(messageType="Heartbeat", chargerId=1)) == {"currentTime"}
    started = flat.tells(
        messageType="StartTransaction",
        chargerId=1,
        transactionId="TXN-456",
        timestamp="2025-03-30T12:10:00Z",
    )
    assert started == {"transactionId": "TXN-456", "status": "Accepted"}
    assert status_of(server, 1) == "Charging"
    stopped = flat.tells(
        messageType="StopTransaction",
        chargerId=1,
        transactionId="TXN-456",
        timestamp="2025-03-30T12:40:00Z",
    )
    assert stopped == {"transactionId": "TXN-456", "status": "Accepted"}
    assert status_of(server, 1) == "Available"
    reported = flat.tells(messageType="StatusNotification", chargerId=1, status="Faulted")
    assert reported == {"status": "Accepted"}
    assert status_of(server, 1) == "Faulted"


def test_one_socket_speaks_for_several_chargers_and_its_end_is_the_end_of_each(server) -> None:
    with FlatCharger((server.host, server.port)) as flat:
        assert flat.asks("/ocpp", subprotocols=None).status == 101
        for number in (11, 12, 13):
            assert boots(flat, number)["status"] == "Accepted"
            assert server.get(f"/api/chargers/{number}").json["connected"] is True

    def all_gone() -> bool:
        return not any(server.get(f"/api/chargers/{number}").json["connected"] for number in (11, 12, 13))

    wait_until(all_gone, seconds=5, what="all three are offline")


def test_an_identity_that_speaks_ocpp_j_cannot_be_spoken_for(server, flat) -> None:
    with booted(server, "J1"):
        answer = flat.tells(messageType="StartTransaction", chargerId="J1", transactionId="T")
        assert answer["error"]["code"] == "SecurityError"
    assert "error" in boots(flat, "J1")


def test_an_unknown_charger_is_asked_to_boot_first(server, flat) -> None:
    answer = flat.tells(messageType="Heartbeat", chargerId=21)
    assert "BootNotification" in answer["error"]["message"]
    assert server.get("/api/chargers/21").status == 404


def test_a_start_needs_no_boot(server, flat) -> None:
    answer = flat.tells(messageType="StartTransaction", chargerId=22, transactionId="EARLY")
    assert answer == {"transactionId": "EARLY", "status": "Accepted"}
    again = flat.tells(messageType="StartTransaction", chargerId=22, transactionId="EARLY")
    assert again == answer
    (session,) = server.get("/api/transactions/charger/22").json
    assert session["sessionId"] == "EARLY"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "FormationViolation"),
        ("[]", "FormationViolation"),
        ("{}", "OccurenceConstraintViolation"),
        ('{"messageType":"Heartbeat"}', "OccurenceConstraintViolation"),
        ('{"messageType":"Heartbeat","chargerId":-1}', "PropertyConstraintViolation"),
        ('{"messageType":"Dance","chargerId":1}', "NotImplemented"),
    ],
)
def test_bad_input_is_answered_with_an_error_object(flat, text, code) -> None:
    flat.says(text)
    assert flat.hears_json()["error"]["code"] == code
    assert boots(flat, 31)["status"] == "Accepted"


def test_bad_input_without_end_closes_the_socket(flat) -> None:
    for _ in range(20):
        flat.says("garbage")
    assert flat.hears_close() == 1008
