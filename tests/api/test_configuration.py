"""A charger's configuration keys: what it told, what they should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from sqlalchemy import update

from charger_mgmt.configuration import keeping
from charger_mgmt.database.models import ConfigurationValue
from charger_mgmt.ocppj import frames
from charger_mgmt.serving.process import process_of

from .conftest import Api, Charger
from .people import places
from .test_commands import until

Plug = Callable[..., Charger]
PATH = "/api/chargers/CP1/configuration"


def tells(*entries: tuple[str, str | None], unknown: tuple[str, ...] = ()) -> dict[str, Any]:
    keys = [
        {"key": name, "readonly": False} | ({} if value is None else {"value": value})
        for name, value in entries
    ]
    return {"configurationKey": keys, "unknownKey": list(unknown)}


def shown(api: Api, name: str) -> dict[str, Any] | None:
    return next((each for each in api.get(PATH).json if each["key"] == name), None)


def state(api: Api, name: str) -> str | None:
    found = shown(api, name)
    assert found is not None
    return found["state"]


def test_what_a_charger_tells_is_kept(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    assert api.get(PATH).json == []
    made.answers["GetConfiguration"] = tells(("HeartbeatInterval", "300"), ("Vendor.X", None))
    answer = api.post(f"{PATH}/refresh")
    assert (answer.status_code, answer.json["state"]) == (200, "accepted")
    assert made.asked == [("GetConfiguration", {})]
    found = shown(api, "HeartbeatInterval")
    assert found is not None
    assert (found["value"], found["readonly"], found["state"]) == ("300", False, None)
    assert found["toldAt"] is not None
    assert shown(api, "Vendor.X")["value"] is None
    made.answers["GetConfiguration"] = tells(("heartbeatinterval", "60"), unknown=("Vendor.X",))
    api.post("/api/chargers/CP1/commands/GetConfiguration", {"key": ["HeartbeatInterval", "Vendor.X"]})
    assert [(each["key"], each["value"]) for each in api.get(PATH).json] == [("heartbeatinterval", "60")]


def test_a_charger_that_tells_so_many_at_a_time_is_asked_for_the_others(api: Api, charger: Plug) -> None:
    made = charger("CP1")

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        names = payload.get("key") or ["GetConfigurationMaxKeys", "HeartbeatInterval", "ResetRetries"]
        assert len(names) <= 3
        return tells(*((name, "3") for name in names))

    made.answers["GetConfiguration"] = answer
    api.post(f"{PATH}/refresh")
    asked = [name for _, payload in made.asked for name in payload.get("key", ())]
    assert len(asked) == len(set(asked))
    assert "SendLocalListMaxLength" in asked
    assert {each["key"] for each in api.get(PATH).json} == set(keeping.KNOWN)


def test_a_desired_value_is_sent_at_once(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    answer = api.patch(PATH, {"desired": {"MeterValueSampleInterval": "60"}})
    assert answer.json[0]["state"] == "pending"
    until(lambda: state(api, "MeterValueSampleInterval") == "in sync")
    assert made.asked == [("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "60"})]
    found = shown(api, "MeterValueSampleInterval")
    assert (found["value"], found["desired"], found["desiredBy"], found["answer"]) == (
        "60", "60", "operator", "Accepted",
    )  # fmt: skip
    api.patch(PATH, {"desired": {"metervaluesampleinterval": None}})
    assert [each["state"] for each in api.get(PATH).json] == [None]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "Rejected"}, "refused"),
        ({"status": "NotSupported"}, "refused"),
        ({"status": "RebootRequired"}, "reboot required"),
        (frames.CallError("", "InternalError", "no"), "refused"),
    ],
)
def test_what_the_charger_says_to_it(api: Api, charger: Plug, answer: Any, expected: str) -> None:
    made = charger("CP1")
    made.answers["ChangeConfiguration"] = answer
    api.patch(PATH, {"desired": {"ResetRetries": "2"}})
    until(lambda: state(api, "ResetRetries") != "pending")
    assert state(api, "ResetRetries") == expected
    if expected == "reboot required":
        gevent.sleep(0.02)
        made.boots()
        assert state(api, "ResetRetries") == "in sync"


def waiting(api: Api) -> None:
    keeping.apply_waiting(process_of(api.app).central)


def test_a_charger_that_was_away_is_set_when_it_comes(api: Api, charger: Plug) -> None:
    api.post("/api/chargers", {"chargerId": "CP1"})
    api.patch(PATH, {"desired": {"ResetRetries": "2", "HeartbeatInterval": "60"}})
    waiting(api)
    assert state(api, "ResetRetries") == "pending"
    made = charger("CP1")
    waiting(api)
    gevent.sleep(0.05)
    assert made.asked == []  # it has not booted yet
    made.boots()
    waiting(api)
    until(lambda: state(api, "ResetRetries") == state(api, "HeartbeatInterval") == "in sync")
    assert [payload["key"] for _, payload in made.asked] == ["HeartbeatInterval", "ResetRetries"]
    waiting(api)
    gevent.sleep(0.05)
    assert len(made.asked) == 2


def test_a_value_that_somebody_has_changed_there_is_set_again(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.boots()
    api.patch(PATH, {"desired": {"ResetRetries": "2"}})
    until(lambda: state(api, "ResetRetries") == "in sync")
    made.answers["GetConfiguration"] = tells(("ResetRetries", "5"))
    api.post(f"{PATH}/refresh")
    assert (state(api, "ResetRetries"), shown(api, "ResetRetries")["value"]) == ("pending", "5")
    with api.app.app_context():
        from charger_mgmt.extensions import db

        with db.engine.begin() as conn:
            conn.execute(update(ConfigurationValue.__table__).values(tried_at=None))
    waiting(api)
    until(lambda: state(api, "ResetRetries") == "in sync")
    assert made.asked[-1] == ("ChangeConfiguration", {"key": "ResetRetries", "value": "2"})


def test_a_charger_that_is_to_be_left_alone_is(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.boots()
    api.patch("/api/chargers/CP1", {"automaticCalls": False})
    made.answers["ChangeConfiguration"] = None
    api.patch(PATH, {"desired": {"ResetRetries": "2"}})  # by hand it is sent all the same
    until(lambda: made.asked)
    waiting(api)
    gevent.sleep(0.05)
    assert len(made.asked) == 1


def test_passwords_are_neither_told_nor_set_here(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.answers["GetConfiguration"] = tells(("AuthorizationKey", "0123456789abcdef"), ("ResetRetries", "1"))
    api.post(f"{PATH}/refresh")
    assert shown(api, "AuthorizationKey")["value"] is None
    answer = api.patch(PATH, {"desired": {"authorizationkey": "0123456789abcdef"}})
    assert answer.status_code == 400
    assert "0123456789abcdef" not in api.get(PATH).text


@pytest.mark.parametrize(
    "desired",
    [
        None,
        {},
        [],
        {"": "x"},
        {"x" * 51: "1"},
        {"A": 1},
        {"A": "x" * 501},
        {"A": "1", "a": "2"},
        {"A": "a\nb"},
    ],
)
def test_what_cannot_be_is_refused(api: Api, charger: Plug, desired: Any) -> None:
    charger("CP1")
    answer = api.patch(PATH, {"desired": desired})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "desired")


def test_many_chargers_at_once(api: Api, charger: Plug) -> None:
    fleet = places(api, charger)
    names = ["AT-MINE", "AT-FOREIGN"]
    body = {"chargerIds": names, "desired": {"ResetRetries": "2"}}
    assert api.patch("/api/configuration", body).status_code == 204
    for name in names:
        until(lambda name=name: api.get(f"/api/chargers/{name}/configuration").json[0]["state"] == "in sync")
    from .people import person

    limited = person(api, "limited", "operator", [fleet.mine])
    assert api.patch("/api/configuration", body, headers=limited).status_code == 404
    assert api.patch("/api/configuration", body | {"chargerIds": ["UNKNOWN"]}).status_code == 404
