"""An operator starts and ends sessions, and is told no more than what is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from flask import Flask
from sqlalchemy import event

from charger_mgmt.database.models import Command, Tag, Transaction
from charger_mgmt.extensions import db
from charger_mgmt.ocppj import frames
from charger_mgmt.serving.process import process_of

from .conftest import Api, Charger
from .test_commands import until

Plug = Callable[..., Charger]
Rows = Callable[[Any], list[Any]]
START = "/api/transactions/CP1/start"
SESSION = {"sessionId": "ABC123"}


def starts_when_asked(made: Charger, **fields: Any) -> None:
    """The charger accepts a remote start and sends its StartTransaction right after."""

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        gevent.spawn(made.starts, idTag=payload["idTag"], connectorId=payload.get("connectorId", 1), **fields)
        return {"status": "Accepted"}

    made.answers["RemoteStartTransaction"] = answer


def stops_when_asked(made: Charger) -> None:
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        gevent.spawn(made.stops, payload["transactionId"], reason="Remote")
        return {"status": "Accepted"}

    made.answers["RemoteStopTransaction"] = answer


def test_a_start_is_201_when_the_charger_has_started(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    starts_when_asked(made)
    answer = api.post(START, SESSION)
    assert answer.status_code == 201
    assert answer.json["message"] == "Transaction started"
    shown = api.get(f"/api/transactions/{answer.json['transactionId']}").json
    assert (shown["sessionId"], shown["status"], shown["idTagStatus"]) == (
        "ABC123",
        "In Progress",
        "Accepted",
    )


def test_a_start_takes_three_transactions_and_asks_the_database_for_nothing(
    api: Api, app: Flask, charger: Plug
) -> None:
    """Its row, sent, answered; before it the token's check, and within it the charger's own message."""
    made = charger("CP1")
    starts_when_asked(made)
    begun: list[int] = []
    with app.app_context():
        engines = [db.engine, process_of(app).central.database.engine]
    for engine in engines:
        event.listen(engine, "begin", lambda _conn: begun.append(1))
    assert api.post(START, SESSION).status_code == 201
    assert len(begun) == 3 + 1 + 1


def test_the_one_use_tag_is_short_and_good_for_this_start_only(api: Api, charger: Plug, rows: Rows) -> None:
    made = charger("CP1")
    starts_when_asked(made)
    api.post(START, SESSION)
    ((_, payload),) = made.asked
    assert len(payload["idTag"]) == 16
    (tag,) = rows(Tag)
    assert (tag.id_tag, tag.command_id) == (payload["idTag"], rows(Command)[0].id)
    second = made.sends(
        "StartTransaction",
        {"connectorId": 2, "idTag": payload["idTag"], "meterStart": 5, "timestamp": "2026-01-01T00:00:00Z"},
    )
    assert second.payload["idTagInfo"]["status"] == "Invalid"


def test_the_operators_tag_and_connector_are_used(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    starts_when_asked(made)
    answer = api.post(START, SESSION | {"connectorId": 2, "idTag": "CARD-9"})
    assert made.asked == [("RemoteStartTransaction", {"idTag": "CARD-9", "connectorId": 2})]
    assert answer.status_code == 201


def test_the_only_connector_is_named(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.reports(0, "Available")
    made.reports(1, "Available")
    starts_when_asked(made)
    api.post(START, SESSION)
    assert made.asked[0][1]["connectorId"] == 1


def test_one_of_several_connectors_is_not_guessed(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.reports(1, "Available")
    made.reports(2, "Available")
    starts_when_asked(made)
    api.post(START, SESSION)
    assert "connectorId" not in made.asked[0][1]


@pytest.mark.settings(operator_wait=1.0)
def test_accepted_is_not_started(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    answer = api.post(START, SESSION)
    assert (answer.status_code, answer.json["message"]) == (202, "Start accepted by the charger")
    assert answer.json["transactionId"] is None
    href = answer.headers["Link"][1:].partition(">")[0]
    transaction_id = made.starts(idTag=made.asked[0][1]["idTag"])["transactionId"]
    assert api.get(href).json["transactionId"] == transaction_id
    assert api.get(f"/api/transactions/{transaction_id}").json["sessionId"] == "ABC123"


@pytest.mark.settings(operator_wait=1.0)
def test_the_same_session_while_its_start_is_pending_is_not_sent_twice(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    first = api.post(START, SESSION)
    second = api.post(START, SESSION)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json == first.json
    assert len(made.asked) == 1
    transaction_id = made.starts(idTag=made.asked[0][1]["idTag"])["transactionId"]
    third = api.post(START, SESSION)
    assert (third.status_code, third.json["transactionId"]) == (200, transaction_id)
    assert len(made.asked) == 1


def test_two_requests_at_once_are_one_start(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    starts_when_asked(made)
    both = [gevent.spawn(api.post, START, SESSION) for _ in range(2)]
    gevent.joinall(both, timeout=10)
    assert len({answer.value.json["transactionId"] for answer in both}) == 1
    assert {answer.value.status_code for answer in both} <= {200, 201}
    assert len(made.asked) == 1


def test_the_same_session_again_is_the_same_transaction(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    starts_when_asked(made)
    first, second = api.post(START, SESSION), api.post(START, SESSION)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json["transactionId"] == first.json["transactionId"]
    assert len(made.asked) == 1


def test_the_same_session_on_another_charger_is_another(api: Api, charger: Plug) -> None:
    for name in ("CP1", "CP2"):
        starts_when_asked(charger(name))
    first, second = (api.post(f"/api/transactions/{name}/start", SESSION) for name in ("CP1", "CP2"))
    assert first.json["transactionId"] != second.json["transactionId"]


def test_a_refusal_is_409_and_may_be_tried_again(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    answer = api.post(START, SESSION)
    assert (answer.status_code, answer.json["code"]) == (409, "command-refused")
    assert api.get(answer.json["command"]["href"]).json["state"] == "rejected"
    starts_when_asked(made)
    assert api.post(START, SESSION).status_code == 201


def test_an_offline_charger_is_409(api: Api, charger: Plug, rows: Rows) -> None:
    charger("CP1").drop()
    answer = api.post(START, SESSION)
    assert (answer.status_code, answer.json["code"]) == (409, "charger-offline")
    assert rows(Tag) == []


@pytest.mark.settings(charger_onboarding="approve")
def test_a_pending_charger_is_409(api: Api, charger: Plug) -> None:
    charger("CP1").boots()
    assert api.post(START, SESSION).status_code == 409


def test_an_error_of_the_charger_is_502(api: Api, charger: Plug) -> None:
    charger("CP1").answers["RemoteStartTransaction"] = frames.CallError("", "InternalError", "broken", {})
    answer = api.post(START, SESSION)
    assert (answer.status_code, answer.json["code"]) == (502, "charger-error")


@pytest.mark.parametrize(
    (),
    [
        pytest.param(marks=pytest.mark.settings(call_timeout=0.1), id="the call's time"),
        pytest.param(marks=pytest.mark.settings(operator_wait=0.2), id="the operator's"),
    ],
)
def test_silence_is_504_with_a_link_to_the_command(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.answers["RemoteStartTransaction"] = None
    answer = api.post(START, SESSION)
    assert (answer.status_code, answer.json["code"]) == (504, "outcome-unknown")
    assert answer.json["command"]["href"] in answer.headers["Link"]
    # The charger did start: its session is the operator's after all.
    until(lambda: made.asked)  # the operator may have given up before it was sent
    transaction_id = made.starts(idTag=made.asked[0][1]["idTag"])["transactionId"]
    assert api.post(START, SESSION).json["transactionId"] == transaction_id


@pytest.mark.settings(call_timeout=0.3)
def test_a_start_that_comes_without_an_answer_is_a_start(api: Api, charger: Plug) -> None:
    made = charger("CP1")

    def start_but_do_not_answer(payload: dict[str, Any]) -> None:
        made.starts(idTag=payload["idTag"])["transactionId"]

    made.answers["RemoteStartTransaction"] = start_but_do_not_answer
    assert api.post(START, SESSION).status_code == 201


def test_an_end_is_200_when_the_charger_has_stopped(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    transaction_id = made.starts()["transactionId"]
    stops_when_asked(made)
    answer = api.post(f"/api/transactions/{transaction_id}/end")
    assert made.asked == [("RemoteStopTransaction", {"transactionId": transaction_id})]
    assert (answer.status_code, answer.json["message"]) == (200, "Transaction ended")
    assert api.get(f"/api/transactions/{transaction_id}").json["status"] == "Completed"


@pytest.mark.settings(operator_wait=1.0)
def test_a_stop_that_is_accepted_has_not_happened(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    transaction_id = made.starts()["transactionId"]
    answer = api.post(f"/api/transactions/{transaction_id}/end")
    assert (answer.status_code, answer.json["message"]) == (202, "Stop accepted by the charger")
    assert api.get(f"/api/transactions/{transaction_id}").json["status"] == "In Progress"


def test_what_has_ended_is_ended(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    transaction_id = made.starts()["transactionId"]
    made.stops(transaction_id)
    answer = api.post(f"/api/transactions/{transaction_id}/end")
    assert (answer.status_code, answer.json["status"]) == (200, "Completed")
    assert made.asked == []


@pytest.mark.settings(call_timeout=0.1)
def test_a_stop_of_a_silent_refusing_failing_or_absent_charger(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    end = f"/api/transactions/{made.starts()['transactionId']}/end"
    for given, expected in (
        ({"status": "Rejected"}, (409, "command-refused")),
        (frames.CallError("", "InternalError", "", {}), (502, "charger-error")),
        (None, (504, "outcome-unknown")),
    ):
        made.answers["RemoteStopTransaction"] = given
        answer = api.post(end)
        assert (answer.status_code, answer.json["code"]) == expected
    made.drop()
    answer = api.post(end)
    assert (answer.status_code, answer.json["code"]) == (409, "charger-offline")
    assert "force" in answer.json["detail"]


def test_a_session_whose_charger_is_gone_can_be_given_up(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    transaction_id = made.starts()["transactionId"]
    made.drop()
    answer = api.post(f"/api/transactions/{transaction_id}/end", {"force": True})
    assert (answer.status_code, answer.json["status"]) == (200, "Interrupted")
    assert "closed-by-operator" in api.get(f"/api/transactions/{transaction_id}").json["flags"]
    made.stops(transaction_id)
    assert api.get(f"/api/transactions/{transaction_id}").json["status"] == "Completed"


def test_a_session_ends_by_its_own_name(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    starts_when_asked(made)
    stops_when_asked(made)
    transaction_id = api.post(START, SESSION).json["transactionId"]
    answer = api.post("/api/transactions/ABC123/end")
    assert (answer.status_code, answer.json["transactionId"]) == (200, transaction_id)
    assert api.post("/api/transactions/ABC123/end").json["status"] == "Completed"
    assert api.post("/api/transactions/abc123/end").status_code == 404


def test_a_name_that_fits_several_open_sessions_is_409(api: Api, charger: Plug) -> None:
    for name in ("1", "2"):
        charger(name, flat=True).sends(
            "BootNotification", {"chargePointModel": "X", "chargePointVendor": "Y"}
        )
        api.post(f"/api/transactions/{name}/start", SESSION)
    answer = api.post("/api/transactions/ABC123/end")
    assert (answer.status_code, answer.json["code"]) == (409, "ambiguous-session")


def test_digits_are_always_a_transaction_id(api: Api, charger: Plug) -> None:
    flat = charger("1", flat=True)
    flat.sends("BootNotification", {"chargePointModel": "X", "chargePointVendor": "Y"})
    for digits in ("4711", "0", "00065", "٦٥"):
        refused = api.post("/api/transactions/1/start", {"sessionId": digits})
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (400, "sessionId")
    assert api.post("/api/transactions/4711/end").status_code == 404


@pytest.mark.parametrize("spelled", ["0{}", "000{}", "+{}", "{}.0", "-{}"])
def test_an_id_is_written_in_one_way(api: Api, charger: Plug, spelled: str) -> None:
    started = charger("CP1").starts()["transactionId"]
    for call in ("end", "close"):
        answer = api.post(
            f"/api/transactions/{spelled.format(started)}/{call}",
            {"reason": "x"} if call == "close" else None,
        )
        assert answer.status_code == 404
    assert api.get(f"/api/transactions/{spelled.format(started)}").status_code == 404
    assert api.get(f"/api/transactions/{started}").json["status"] == "In Progress"


@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid"])
def test_a_start_that_we_would_refuse_does_not_reach_the_charger(
    api: Api, charger: Plug, status: str
) -> None:
    made = charger("CP1")
    api.post("/api/tags", {"idTag": "CARD-9", "status": status})
    answer = api.post("/api/transactions/CP1/start", {"sessionId": "ABC123", "idTag": "card-9"})
    assert (answer.status_code, answer.json["code"], answer.json["idTagStatus"]) == (
        409,
        "tag-refused",
        status,
    )
    assert made.asked == []


def test_a_sessions_id_that_is_used_up_by_an_interrupted_session_is_409(api: Api, charger: Plug) -> None:
    flat = charger("1", flat=True)
    flat.sends("BootNotification", {"chargePointModel": "X", "chargePointVendor": "Y"})
    started = api.post("/api/transactions/1/start", {"sessionId": "ABC123"}).json["transactionId"]
    closed = api.post(f"/api/transactions/{started}/close", {"reason": "the box was replaced"})
    assert (closed.status_code, closed.json["status"]) == (200, "Interrupted")
    row = api.get(f"/api/transactions/{started}").json
    assert row["closeReason"] == "the box was replaced"
    assert "closed-by-operator" in row["flags"]
    assert api.post("/api/transactions/1/start", {"sessionId": "ABC123"}).status_code == 409
    assert api.post(f"/api/transactions/{started}/end").status_code == 409


def test_the_end_of_an_interrupted_session_asks_its_charger(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    started = made.starts()["transactionId"]
    api.post(f"/api/transactions/{started}/close", {"reason": "lost"})
    made.answers["RemoteStopTransaction"] = {"status": "Rejected"}
    assert api.post(f"/api/transactions/{started}/end").json["code"] == "command-refused"
    assert [action for action, _ in made.asked] == ["RemoteStopTransaction"]


class TestFlatCharger:
    """It has no messages from us: the operator's word is recorded at once."""

    @pytest.fixture
    def flat(self, charger: Plug) -> Charger:
        made = charger("1", flat=True)
        made.sends("BootNotification", {"chargePointModel": "EVChargerX", "chargePointVendor": "ChargerCo"})
        return made

    def test_the_payloads_that_the_user_fixed(self, api: Api, flat: Charger) -> None:
        started = api.post("/api/transactions/1/start", {"sessionId": "ABC123"})
        assert (started.status_code, started.json["message"]) == (201, "Transaction started")
        assert api.get("/api/chargers/1").json["status"] == "Charging"
        ended = api.post(f"/api/transactions/{started.json['transactionId']}/end")
        assert (ended.status_code, ended.json["message"], ended.json["status"]) == (
            200,
            "Transaction ended",
            "Completed",
        )
        assert api.get("/api/chargers/1").json["status"] == "Available"

    def test_the_same_session_is_one_transaction(self, api: Api, flat: Charger, rows: Rows) -> None:
        answers = [api.post("/api/transactions/1/start", SESSION) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 200]
        assert len(rows(Transaction)) == 1

    def test_a_busy_connector_is_409(self, api: Api, flat: Charger) -> None:
        api.post("/api/transactions/1/start", SESSION)
        answer = api.post("/api/transactions/1/start", {"sessionId": "ABC124"})
        assert (answer.status_code, answer.json["code"]) == (409, "charger-busy")

    @pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
    def test_a_charger_that_cannot_charge_is_409(self, api: Api, flat: Charger, status: str) -> None:
        flat.reports(1, status)
        answer = api.post("/api/transactions/1/start", SESSION)
        assert (answer.status_code, answer.json["code"]) == (409, "charger-busy")

    def test_a_charger_that_is_no_longer_accepted_is_409(self, api: Api, flat: Charger) -> None:
        api.patch("/api/chargers/1", {"approved": False})
        flat.boots()
        answer = api.post("/api/transactions/1/start", SESSION)
        assert (answer.status_code, answer.json["code"]) == (409, "conflict")

    def test_a_session_that_is_given_up_frees_the_connector(self, api: Api, flat: Charger) -> None:
        transaction_id = api.post("/api/transactions/1/start", SESSION).json["transactionId"]
        api.post(f"/api/transactions/{transaction_id}/end", {"force": True})
        assert api.get("/api/chargers/1").json["status"] == "Available"

    def test_commands_cannot_reach_it(self, api: Api, flat: Charger) -> None:
        assert api.post("/api/chargers/1/commands/ClearCache").status_code == 409


@pytest.mark.settings(operator_wait=1.0)
def test_a_wait_holds_no_connection(api: Api, charger: Plug) -> None:
    """While an operator waits, a charger's message is stored: on SQLite an open transaction would stop it."""
    made = charger("CP1")
    made.answers["RemoteStartTransaction"] = None
    waiting = gevent.spawn(api.post, START, SESSION)
    until(lambda: made.unanswered)
    made.reports(1, "Available")
    assert api.get("/api/chargers/CP1").json["status"] == "Available"
    assert not waiting.ready()
    made.drop()
    waiting.join(timeout=5)
    assert waiting.value.status_code == 504
