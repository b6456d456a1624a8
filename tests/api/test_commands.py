"""Calls to a charger, by hand: each is a row with its life."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import gevent
import pytest
from flask import Flask

from charger_mgmt import clock
from charger_mgmt.chargers import passwords
from charger_mgmt.commands import outbox
from charger_mgmt.commands.calls import CALLS
from charger_mgmt.database.models import Charger as ChargerRow
from charger_mgmt.database.models import Command
from charger_mgmt.errors import ChargerGone, ChargerOffline, NotFound
from charger_mgmt.gateway import delivery
from charger_mgmt.ocppj import frames
from charger_mgmt.serving.process import process_of

from .conftest import Api, Charger
from .test_chargers import follow

Plug = Callable[..., Charger]
Rows = Callable[[Any], list[Any]]
VALID = {
    "ChangeAvailability": {"connectorId": 0, "type": "Inoperative"},
    "ChangeConfiguration": {"key": "HeartbeatInterval", "value": "300"},
    "ClearCache": {},
    "DataTransfer": {"vendorId": "ChargerCo", "data": "x"},
    "GetConfiguration": {"key": ["HeartbeatInterval"]},
    "RemoteStartTransaction": {"idTag": "CARD-9", "connectorId": 1},
    "RemoteStopTransaction": {"transactionId": 4711},
    "Reset": {"type": "Soft"},
    "TriggerMessage": {"requestedMessage": "Heartbeat"},
    "UnlockConnector": {"connectorId": 1},
    "CancelReservation": {"reservationId": 1},
    "CertificateSigned": {"certificateChain": "PEM"},
    "ClearChargingProfile": {},
    "DeleteCertificate": {
        "certificateHashData": {
            "hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1",
        }
    },
    "ExtendedTriggerMessage": {"requestedMessage": "Heartbeat"},
    "GetCompositeSchedule": {"connectorId": 0, "duration": 60},
    "GetDiagnostics": {"location": "ftp://127.0.0.1/in"},
    "GetInstalledCertificateIds": {"certificateType": "ManufacturerRootCertificate"},
    "GetLocalListVersion": {},
    "GetLog": {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "ftp://127.0.0.1/in"}},
    "InstallCertificate": {"certificateType": "ManufacturerRootCertificate", "certificate": "PEM"},
    "ReserveNow": {"connectorId": 1, "expiryDate": "2030-01-01T00:00:00Z", "idTag": "A", "reservationId": 1},
    "SendLocalList": {"listVersion": 1, "updateType": "Full"},
    "SetChargingProfile": {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
            },
        },
    },
    "SignedUpdateFirmware": {
        "requestId": 1,
        "firmware": {
            "location": "https://127.0.0.1/fw", "retrieveDateTime": "2030-01-01T00:00:00Z",
            "signingCertificate": "PEM", "signature": "c2ln",
        },
    },
    "UpdateFirmware": {"location": "https://127.0.0.1/fw", "retrieveDate": "2030-01-01T00:00:00Z"},
}  # fmt: skip


#: The yes of an action, where that is not Accepted.
ANSWERS: dict[str, dict[str, Any]] = {
    "GetConfiguration": {},
    "UnlockConnector": {"status": "Unlocked"},
    "GetDiagnostics": {"fileName": "x"},
    "GetLocalListVersion": {"listVersion": 3},
    "UpdateFirmware": {},
}


def until(condition: Callable[[], Any], seconds: float = 5) -> Any:
    """Let greenlets run until the condition holds."""
    deadline = clock.monotonic() + seconds
    while not (value := condition()):
        assert clock.monotonic() < deadline, "it did not happen in time"
        gevent.sleep(0.01)
    return value


@pytest.mark.parametrize("action", VALID)
def test_each_action_reaches_the_charger_and_its_record_is_the_answer(
    api: Api, charger: Plug, action: str
) -> None:
    made = charger("CP1")
    made.answers[action] = ANSWERS.get(action, {"status": "Accepted"})
    answer = api.post(f"/api/chargers/CP1/commands/{action}", VALID[action])
    assert made.asked == [(action, VALID[action])]
    assert answer.status_code == 200
    assert answer.json.items() >= {
        "action": action, "payload": VALID[action], "state": "accepted", "response": made.answers[action],
        "requestedBy": "operator", "chargerId": "CP1",
    }.items()  # fmt: skip
    assert answer.json["createdAt"] <= answer.json["sentAt"] <= answer.json["answeredAt"]
    assert api.get(f"/api/chargers/CP1/commands/{answer.json['commandId']}").json == answer.json


@pytest.mark.parametrize("levels", [15, 40, 200])
def test_an_answer_nested_deeper_than_any_database_takes_is_an_answer_all_the_same(
    api: Api, charger: Plug, levels: int
) -> None:
    made, answer = charger("CP1"), "1.5"
    for _ in range(levels):
        answer = f'{{"a": {answer}}}'
    made.answers["ClearCache"] = frames.read_json(f'{{"status": "Accepted", "more": {answer}}}')
    record = api.post("/api/chargers/CP1/commands/ClearCache", {}).json
    assert (record["state"], record["response"]["status"]) == ("accepted", "Accepted")
    assert record["answeredAt"] is not None


def test_a_password_that_the_charger_repeats_in_its_refusal_is_not_kept(
    api: Api, charger: Plug, rows: Rows
) -> None:
    secret = "0001020304050607FFFF"
    charger("CP1").answers["ChangeConfiguration"] = frames.CallError(
        "", "PropertyConstraintViolation", f"{secret} is too short"
    )
    payload = {"key": "AuthorizationKey", "value": secret}
    record = api.post("/api/chargers/CP1/commands/ChangeConfiguration", payload).json
    assert (record["state"], record["errorDescription"]) == ("error", "*** is too short")
    assert secret not in str(rows(Command))


def test_every_action_is_tried_here() -> None:
    assert set(VALID) == set(CALLS)


def test_an_unknown_action_is_404_and_names_the_known_ones(api: Api, charger: Plug) -> None:
    charger("CP1")
    answer = api.post("/api/chargers/CP1/commands/reset", {"type": "Soft"})
    assert answer.status_code == 404
    assert "RemoteStartTransaction" in answer.json["detail"]


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Reset", {}),
        ("Reset", {"type": "soft"}),
        ("Reset", {"type": "Soft", "why": "x"}),
        ("RemoteStartTransaction", {"idTag": "x" * 21}),
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": 300}),
        ("GetConfiguration", {"key": "HeartbeatInterval"}),
        ("DataTransfer", {"vendorId": "x", "data": json.loads("[" * 400 + "]" * 400)}),
    ],
)
def test_an_invalid_payload_is_not_sent(
    api: Api, charger: Plug, action: str, payload: dict[str, Any]
) -> None:
    made = charger("CP1")
    assert api.post(f"/api/chargers/CP1/commands/{action}", payload).status_code == 400
    assert made.asked == []
    assert api.get("/api/chargers/CP1/commands").json == []


@pytest.mark.parametrize("connector_id", [0, 99, 2**31, 2**63, -1])
def test_what_looks_pointless_is_sent_all_the_same(api: Api, charger: Plug, connector_id: int) -> None:
    made = charger("CP1")
    payload = {"connectorId": connector_id, "type": "Operative"}
    assert api.post("/api/chargers/CP1/commands/ChangeAvailability", payload).status_code == 200
    assert made.asked == [("ChangeAvailability", payload)]


@pytest.mark.parametrize(
    ("action", "response", "state"),
    [
        ("Reset", {"status": "Rejected"}, "rejected"),
        ("ChangeAvailability", {"status": "Scheduled"}, "accepted"),
        ("ChangeConfiguration", {"status": "RebootRequired"}, "accepted"),
        ("ChangeConfiguration", {"status": "NotSupported"}, "rejected"),
        ("UnlockConnector", {"status": "Unlocked"}, "accepted"),
        ("UnlockConnector", {"status": "UnlockFailed"}, "rejected"),
        ("GetConfiguration", {"configurationKey": [{"key": "a", "readonly": True}]}, "accepted"),
        ("DataTransfer", {"status": "UnknownVendorId"}, "rejected"),
        ("TriggerMessage", {"status": "NotImplemented"}, "rejected"),
    ],
)
def test_a_no_is_not_a_yes(
    api: Api, charger: Plug, action: str, response: dict[str, Any], state: str
) -> None:
    charger("CP1").answers[action] = response
    answer = api.post(f"/api/chargers/CP1/commands/{action}", VALID[action])
    assert (answer.status_code, answer.json["state"], answer.json["response"]) == (200, state, response)


def test_an_error_of_the_charger_is_in_the_record(api: Api, charger: Plug) -> None:
    charger("CP1").answers["Reset"] = frames.CallError("", "NotSupported", "no \x00 reset", {})
    answer = api.post("/api/chargers/CP1/commands/Reset", {"type": "Hard"})
    assert (answer.status_code, answer.json["state"], answer.json["errorCode"]) == (
        200,
        "error",
        "NotSupported",
    )


def test_an_offline_charger_is_409(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.drop()
    answer = api.post("/api/chargers/CP1/commands/ClearCache")
    assert (answer.status_code, answer.json["code"]) == (409, "charger-offline")


@pytest.mark.settings(operator_wait=0.2)
def test_an_answer_that_is_not_there_yet_is_202(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.answers["Reset"] = None
    answer = api.post("/api/chargers/CP1/commands/Reset", {"type": "Soft"})
    assert (answer.status_code, answer.json["state"]) == (202, "sent")
    made.answers_late({"status": "Accepted"})
    href = answer.headers["Link"][1:].partition(">")[0]
    until(lambda: api.get(href).json["state"] == "accepted")


@pytest.mark.settings(call_timeout=0.1)
def test_a_time_out_is_unknown_and_a_late_answer_still_counts(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.answers["Reset"] = None
    answer = api.post("/api/chargers/CP1/commands/Reset", {"type": "Soft"})
    assert (answer.status_code, answer.json["code"]) == (504, "outcome-unknown")
    href = answer.json["command"]["href"]
    assert href in answer.headers["Link"]
    assert api.get(href).json["state"] == "timed out"
    made.answers_late({"status": "Rejected"})
    until(lambda: api.get(href).json["state"] == "late answer")
    assert api.get(href).json["response"] == {"status": "Rejected"}


def test_a_socket_that_dies_ends_the_wait_at_once(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.answers["Reset"] = lambda _payload: made.drop()
    began = clock.monotonic()
    answer = api.post("/api/chargers/CP1/commands/Reset", {"type": "Hard"})
    assert (answer.status_code, answer.json["code"]) == (504, "outcome-unknown")
    assert clock.monotonic() - began < 5
    assert api.get(answer.json["command"]["href"]).json["state"] == "charger gone"


def test_calls_go_out_one_at_a_time_in_order(api: Api, charger: Plug, app: Flask) -> None:
    made = charger("CP1")
    made.answers["Reset"] = None
    central = process_of(app).central
    for kind in ("Soft", "Hard"):
        outbox.send(central, "CP1", "Reset", {"type": kind}, requested_by="test", wait=0)
    until(lambda: made.unanswered)
    assert [payload["type"] for _, payload in made.asked] == ["Soft"]
    states = [row["state"] for row in api.get("/api/chargers/CP1/commands").json]
    assert states == ["queued", "sent"]
    made.answers_late({"status": "Accepted"})
    until(lambda: len(made.asked) == 2)


def test_what_stood_in_line_past_its_deadline_is_not_sent(
    api: Api, charger: Plug, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = charger("CP1")
    made.answers["Reset"] = None
    central = process_of(app).central
    outbox.send(central, "CP1", "Reset", {"type": "Soft"}, requested_by="test", wait=0)
    until(lambda: made.unanswered)
    monkeypatch.setattr(outbox, "DELIVER_WITHIN", timedelta(0))
    outbox.send(central, "CP1", "Reset", {"type": "Hard"}, requested_by="test", wait=0)
    made.answers_late({"status": "Accepted"})
    late = until(lambda: [r for r in api.get("/api/chargers/CP1/commands").json if r["state"] == "error"])
    assert (late[0]["payload"], late[0]["errorCode"]) == ({"type": "Hard"}, "NotSent")
    assert [payload["type"] for _, payload in made.asked] == ["Soft"]


@pytest.mark.settings(charger_onboarding="approve")
@pytest.mark.parametrize("action", ["RemoteStartTransaction", "RemoteStopTransaction"])
def test_a_pending_charger_gets_no_remote_start_or_stop(api: Api, charger: Plug, action: str) -> None:
    made = charger("CP1")
    assert made.boots()["status"] == "Pending"
    assert api.post(f"/api/chargers/CP1/commands/{action}", VALID[action]).status_code == 409
    assert api.post("/api/chargers/CP1/commands/GetConfiguration", {}).status_code == 200
    assert [action for action, _ in made.asked] == ["GetConfiguration"]


def test_an_accepted_charger_is_not_asked_to_boot(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.boots()
    trigger = {"requestedMessage": "BootNotification"}
    assert api.post("/api/chargers/CP1/commands/TriggerMessage", trigger).status_code == 409
    assert api.post("/api/chargers/CP1/commands/TriggerMessage", VALID["TriggerMessage"]).status_code == 200


KEY = "30313233343536373839616263646566"


@pytest.mark.parametrize("name", ["AuthorizationKey", "authorizationkey"])
def test_an_authorization_key_is_sent_but_never_kept(
    api: Api, charger: Plug, rows: Rows, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    made = charger("CP1")
    answer = api.post("/api/chargers/CP1/commands/ChangeConfiguration", {"key": name, "value": KEY})
    assert made.asked == [("ChangeConfiguration", {"key": name, "value": KEY})]
    assert answer.json["payload"] == {"key": name, "value": "***"}
    assert KEY not in answer.text + repr(rows(Command)) + caplog.text
    assert passwords.matches(rows(ChargerRow)[0].password_hash, b"0123456789abcdef")


@pytest.mark.parametrize("status", ["Rejected", "NotSupported", "RebootRequired"])
def test_a_refused_authorization_key_changes_nothing(
    api: Api, charger: Plug, rows: Rows, status: str
) -> None:
    charger("CP1").answers["ChangeConfiguration"] = {"status": status}
    api.post("/api/chargers/CP1/commands/ChangeConfiguration", {"key": "AuthorizationKey", "value": KEY})
    assert rows(ChargerRow)[0].password_hash is None


def test_a_bad_authorization_key_is_not_quoted_back(api: Api, charger: Plug) -> None:
    charger("CP1")
    secret = KEY * 20
    answer = api.post(
        "/api/chargers/CP1/commands/ChangeConfiguration", {"key": "AuthorizationKey", "value": secret}
    )
    assert answer.status_code == 400
    assert KEY not in answer.text


def test_a_key_that_a_charger_tells_is_hidden(api: Api, charger: Plug, rows: Rows) -> None:
    entry = {"key": "AuthorizationKey", "readonly": False, "value": KEY}
    charger("CP1").answers["GetConfiguration"] = {"configurationKey": [entry]}
    answer = api.post("/api/chargers/CP1/commands/GetConfiguration", {})
    assert answer.json["response"]["configurationKey"][0]["value"] == "***"
    assert KEY not in repr(rows(Command))


#: Where else chargers have repeated a key: all of these are kept without it.
REPEATED = [
    {"status": "Accepted", "value": KEY},
    {"status": "Accepted", "info": {"deep": [{"er": f"set to {KEY.upper()}"}]}},
    {"status": "Accepted", KEY: True},
    {"status": "Accepted", "note": "0123456789abcdef"},
    {"status": "Rejected", "unknownKey": [f"AuthorizationKey={KEY}"]},
]


@pytest.mark.parametrize("said", REPEATED)
def test_a_key_that_comes_back_anywhere_in_an_answer_is_hidden(
    api: Api, charger: Plug, rows: Rows, said: dict[str, Any]
) -> None:
    charger("CP1").answers["ChangeConfiguration"] = said
    key = {"key": "AuthorizationKey", "value": KEY}
    answer = api.post("/api/chargers/CP1/commands/ChangeConfiguration", key)
    for text in (answer.text, repr(rows(Command))):
        assert KEY.lower() not in text.lower()
        assert "0123456789abcdef" not in text
    assert answer.json["response"]["status"] == said["status"]


@pytest.mark.parametrize("field", ["code", "description"])
def test_a_key_in_an_error_is_hidden(api: Api, charger: Plug, rows: Rows, field: str) -> None:
    said = frames.CallError("", **({"code": "InternalError", "description": "no"} | {field: f"bad {KEY}"}))
    charger("CP1").answers["ChangeConfiguration"] = said
    key = {"key": "AuthorizationKey", "value": KEY}
    answer = api.post("/api/chargers/CP1/commands/ChangeConfiguration", key)
    assert answer.json["state"] == "error"
    assert KEY not in answer.text + repr(rows(Command))


@pytest.mark.parametrize(
    "said",
    [
        {"configurationKey": [{"key": "Foo", "readonly": False, "value": KEY}]},
        {"configurationKey": [{"key": " authorizationKEY ", "readonly": True, "value": "x", "old": "y"}]},
        {"unknownKey": [f"AuthorizationKey: {KEY}"]},
        {"unknownKey": ["0123456789abcdef"]},
        {"more": {"AuthorizationKey": "anything"}},
    ],
)
def test_a_key_that_is_stored_is_found_in_whatever_a_charger_tells(
    api: Api, charger: Plug, rows: Rows, said: dict[str, Any]
) -> None:
    api.post("/api/chargers", {"chargerId": "CP1", "password": KEY})
    charger("CP1").answers["GetConfiguration"] = said
    answer = api.post("/api/chargers/CP1/commands/GetConfiguration", {})
    assert answer.status_code == 200
    kept = answer.text + repr([row.response for row in rows(Command)])
    for secret in (KEY, "0123456789abcdef", '"x"', '"y"', "anything"):
        assert secret not in kept
    assert "***" in kept


def test_commands_are_listed_newest_first_in_pages(api: Api, charger: Plug) -> None:
    charger("CP1").answers["Reset"] = {"status": "Rejected"}
    for action in ("ClearCache", "Reset", "GetConfiguration"):
        api.post(f"/api/chargers/CP1/commands/{action}", VALID[action])
    pages = follow(api, "/api/chargers/CP1/commands?limit=2")
    assert [[row["action"] for row in page] for page in pages] == [
        ["GetConfiguration", "Reset"],
        ["ClearCache"],
    ]
    assert [row["action"] for row in api.get("/api/chargers/CP1/commands?state=rejected").json] == ["Reset"]
    assert len(api.get("/api/chargers/CP1/commands?action=Reset").json) == 1


def test_a_command_belongs_to_its_charger(api: Api, charger: Plug) -> None:
    charger("CP1")
    charger("CP2")
    made = api.post("/api/chargers/CP1/commands/ClearCache").json
    assert api.get(f"/api/chargers/CP2/commands/{made['commandId']}").status_code == 404


def test_half_a_character_in_an_answer_is_kept_readably(api: Api, charger: Plug) -> None:
    charger("CP1").answers["DataTransfer"] = {"status": "Accepted", "data": "\ud800\x00"}
    answer = api.post("/api/chargers/CP1/commands/DataTransfer", VALID["DataTransfer"])
    assert answer.json["response"]["data"] == "\ufffd\\x00"


def test_what_a_dead_process_left_is_put_right(api: Api, charger: Plug, app: Flask, rows: Rows) -> None:
    made = charger("CP1")
    made.answers["Reset"] = None
    central = process_of(app).central
    for kind in ("Soft", "Hard"):
        outbox.send(central, "CP1", "Reset", {"type": kind}, requested_by="test", wait=0)
    until(lambda: made.unanswered)
    delivery.put_right(central)
    assert [row.state for row in rows(Command)] == ["sent", "queued"]
    central.process_id = "the next process"
    delivery.put_right(central)
    assert [row.state for row in rows(Command)] == ["timed out", "charger gone"]
    made.answers_late({"status": "Accepted"})  # the old process was alive after all
    until(lambda: rows(Command)[0].state == "late answer")


def test_the_service_names_what_is_wrong(app: Flask, api: Api, charger: Plug) -> None:
    central = process_of(app).central
    with pytest.raises(NotFound):
        outbox.send(central, "CP1", "ClearCache", {}, requested_by="test", wait=0)
    charger("CP1").drop()
    with pytest.raises(ChargerOffline):
        outbox.send(central, "CP1", "ClearCache", {}, requested_by="test", wait=0)


class _Unsure:
    """The central system of a process that hands a command over and does not learn whether it was heard."""

    def __init__(self, central: Any, *, hears: bool) -> None:
        self._central, self._hears = central, hears
        self.sent = lambda: False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._central, name)

    def deliver(self, command: Any) -> None:
        if self._hears:
            self._central.deliver(command)
            until(self.sent)
        raise ChargerGone("it did not say")


@pytest.mark.parametrize("hears", [True, False])
def test_a_call_whose_owner_has_heard_of_it_is_never_called_unsent(
    app: Flask, api: Api, charger: Plug, rows: Rows, hears: bool
) -> None:
    made = charger("CP1")
    made.answers["ClearCache"] = {"status": "Accepted"}
    central = _Unsure(process_of(app).central, hears=hears)
    central.sent = lambda: bool(made.asked)
    outcome = outbox.send(central, "CP1", "ClearCache", {}, requested_by="operator", wait=3)
    (row,) = rows(Command)
    if hears:
        assert (outcome.state, outcome.error, row.state) == ("accepted", None, "accepted")
    else:
        assert isinstance(outcome.error, ChargerGone)
        assert (row.state, row.error_code, made.asked) == ("error", "NotSent", [])
