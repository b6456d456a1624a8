"""A session is stopped when it has taken enough, or has lasted long enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import gevent
import pytest
from sqlalchemy import update

from charger_mgmt import clock
from charger_mgmt.charging import limits
from charger_mgmt.database.models import LimitStop
from charger_mgmt.extensions import db
from charger_mgmt.serving.process import process_of

from .conftest import Api, Charger
from .test_commands import until

Plug = Callable[..., Charger]


def looks(api: Api) -> None:
    limits.enforce(process_of(api.app).central)
    gevent.sleep(0.05)


def stops(made: Charger) -> list[int]:
    return [payload["transactionId"] for action, payload in made.asked if action == "RemoteStopTransaction"]


@pytest.fixture
def made(charger: Plug) -> Charger:
    connected = charger("CP1")
    connected.boots()
    return connected


def test_a_session_that_has_taken_enough_is_stopped(api: Api, made: Charger) -> None:
    number = made.starts(meterStart=1000)["transactionId"]
    answer = api.post(f"/api/transactions/{number}/limits", {"kwh": 2.5})
    assert answer.json == {"kwh": 2.5, "minutes": None, "reached": None, "reachedAt": None}
    made.meters(number, 3499)
    looks(api)
    assert stops(made) == []
    made.meters(number, 3500)
    looks(api)
    assert stops(made) == [number]
    shown = api.get(f"/api/transactions/{number}/limits").json
    assert (shown["reached"], shown["reachedAt"] is not None) == ("energy", True)
    looks(api)
    assert stops(made) == [number]  # not again within a minute
    with api.app.app_context(), db.engine.begin() as conn:
        conn.execute(update(LimitStop.__table__).values(asked_at=clock.now() - timedelta(minutes=2)))
    looks(api)
    assert stops(made) == [number, number]  # it did not stop, so it is asked again
    made.stops(number, meterStop=3600)
    looks(api)
    assert len(stops(made)) == 2


def test_a_session_that_has_lasted_long_enough_is_stopped(api: Api, made: Charger) -> None:
    number = made.starts(clock.now() - timedelta(minutes=29))["transactionId"]
    api.post(f"/api/transactions/{number}/limits", {"minutes": 30})
    looks(api)
    assert stops(made) == []
    api.post(f"/api/transactions/{number}/limits", {"minutes": 29})
    looks(api)
    assert stops(made) == [number]
    assert api.get(f"/api/transactions/{number}/limits").json["reached"] == "time"


def test_a_limit_goes_with_a_start(api: Api, made: Charger) -> None:
    start = {"sessionId": "s", "connectorId": 1, "idTag": "CARD", "limitKwh": 1, "limitMinutes": 60}
    assert api.post("/api/transactions/CP1/start", start).status_code == 202
    looks(api)
    number = made.starts(idTag="CARD", meterStart=0)["transactionId"]
    looks(api)
    assert api.get(f"/api/transactions/{number}/limits").json["kwh"] == 1
    assert api.get(f"/api/transactions/{number}/limits").json["minutes"] == 60
    made.meters(number, 1000)
    looks(api)
    assert stops(made) == [number]


def test_a_start_that_never_became_a_session_leaves_no_limit(api: Api, made: Charger) -> None:
    start = {"sessionId": "s", "connectorId": 1, "idTag": "CARD", "limitKwh": 1}
    api.post("/api/transactions/CP1/start", start)
    other = made.starts(idTag="OTHER", connectorId=2, meterStart=0)["transactionId"]
    made.meters(other, 9000, connectorId=2)
    looks(api)
    assert stops(made) == []
    assert api.get(f"/api/transactions/{other}/limits").json["kwh"] is None


def test_a_limit_of_a_card_holds_for_each_of_its_sessions(api: Api, made: Charger) -> None:
    tag = api.post("/api/tags", {"idTag": "Card", "sessionKwh": 2, "sessionMinutes": 600})
    assert (tag.json["sessionKwh"], tag.json["sessionMinutes"]) == (2, 600)
    number = made.starts(idTag="CARD", meterStart=0)["transactionId"]
    assert api.get(f"/api/transactions/{number}/limits").json["kwh"] == 2
    made.meters(number, 1500)
    looks(api)
    assert stops(made) == []
    # The stricter one counts.
    api.post(f"/api/transactions/{number}/limits", {"kwh": 1.5})
    assert api.get(f"/api/transactions/{number}/limits").json["kwh"] == 1.5
    looks(api)
    assert stops(made) == [number]
    api.patch("/api/tags/CARD", {"sessionKwh": None})
    assert api.get("/api/tags/CARD").json["sessionKwh"] is None


def test_a_limit_is_taken_back(api: Api, made: Charger) -> None:
    number = made.starts(meterStart=0)["transactionId"]
    api.post(f"/api/transactions/{number}/limits", {"kwh": 1})
    api.post(f"/api/transactions/{number}/limits", {})
    made.meters(number, 5000)
    looks(api)
    assert stops(made) == []


def test_a_session_that_is_over_takes_no_limit(api: Api, made: Charger) -> None:
    number = made.starts(meterStart=0)["transactionId"]
    made.stops(number)
    assert api.post(f"/api/transactions/{number}/limits", {"kwh": 1}).json["code"] == "conflict"
    assert api.post("/api/transactions/999999/limits", {"kwh": 1}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"kwh": 0},
        {"kwh": -1},
        {"kwh": "1"},
        {"kwh": True},
        {"kwh": 1e9},
        {"minutes": 0},
        {"minutes": 1.5},
        {"hours": 1},
    ],
)
def test_a_limit_that_cannot_be_is_refused(api: Api, made: Charger, body: dict[str, Any]) -> None:
    number = made.starts(meterStart=0)["transactionId"]
    assert api.post(f"/api/transactions/{number}/limits", body).status_code == 400


def test_a_charger_that_is_away_is_asked_when_it_is_back(api: Api, made: Charger) -> None:
    number = made.starts(meterStart=0)["transactionId"]
    api.post(f"/api/transactions/{number}/limits", {"kwh": 1})
    made.meters(number, 2000)
    assert made.session is not None
    made.drop("gone")
    made.disconnects()
    looks(api)
    assert stops(made) == []
    made.is_open = True
    made.connects()
    made.plugged_in()
    with api.app.app_context(), db.engine.begin() as conn:
        conn.execute(update(LimitStop.__table__).values(asked_at=clock.now() - timedelta(minutes=2)))
    looks(api)
    until(lambda: stops(made) == [number])
