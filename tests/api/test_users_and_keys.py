"""Accounts, keys, log-ins and sites, as admins and their owners work with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import Result
from flask import Flask

from charger_mgmt import clock

from ..support.server import PASSWORD as OPERATORS
from ..support.server import USERNAME
from .conftest import Api, Charger
from .people import PASSWORD, bearer, key, log_in, person, places
from .test_auth import log_in as try_log_in

Flask_ = Callable[..., Result]
Plug = Callable[..., Charger]


def later(**parts: float) -> str:
    return (clock.now() + timedelta(**parts)).isoformat().replace("+00:00", "Z")


def fields(answer: Any) -> set[str]:
    return {each["field"] for each in answer.json["errors"]}


def test_an_account_from_its_beginning_to_its_end(api: Api) -> None:
    made = api.post("/api/users", {"username": "ann", "role": "operator", "password": PASSWORD})
    assert made.status_code == 201
    assert made.headers["Location"] == "/api/users/ann"
    shown = api.get("/api/users/ann").json
    assert shown == made.json
    assert {name: shown[name] for name in ("username", "role", "sites", "active", "hasPassword", "issuer")} == {
        "username": "ann", "role": "operator", "sites": None, "active": True, "hasPassword": True, "issuer": None,
    }  # fmt: skip
    assert [each["username"] for each in api.get("/api/users").json] == ["ann", USERNAME]
    assert [each["username"] for each in api.get("/api/users?role=operator").json] == ["ann"]
    headers = bearer(log_in(api, "ann")["accessToken"])
    assert api.patch("/api/users/ann", {"active": False}).json["active"] is False
    assert api.get("/api/auth/me", headers=headers).status_code == 401
    assert [each["username"] for each in api.get("/api/users?active=false").json] == ["ann"]
    assert try_log_in(api, "ann", PASSWORD).status_code == 401
    assert api.patch("/api/users/ann", {"active": True}).json["active"] is True
    assert api.get("/api/auth/me", headers=headers).status_code == 401
    assert try_log_in(api, "ann", PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"username", "role"}),
        ({"username": "ann", "role": "boss"}, {"role"}),
        ({"username": "ann", "role": "viewer", "password": "short"}, {"password"}),
        ({"username": "ann", "role": "viewer", "password": "annannann"}, {"password"}),
        ({"username": "ann", "role": "viewer", "sites": [99]}, {"sites"}),
        ({"username": "ann", "role": "viewer", "sites": ["1"]}, {"sites"}),
        ({"username": "ann", "role": "viewer", "sites": [True]}, {"sites"}),
        ({"username": "ann", "role": "viewer", "sites": "1"}, {"sites"}),
        ({"username": "ann", "role": "viewer", "sites": [10**30]}, {"sites"}),
        ({"username": "ann", "role": "viewer", "admin": True}, {"admin"}),
    ],
)
def test_a_bad_account_is_refused_by_its_fields(api: Api, body: dict[str, Any], wrong: set[str]) -> None:
    answer = api.post("/api/users", body)
    assert answer.status_code == 400
    assert fields(answer) == wrong


def test_a_name_is_taken_once(api: Api) -> None:
    body = {"username": "ann", "role": "viewer"}
    assert api.post("/api/users", body).status_code == 201
    assert api.post("/api/users", body | {"role": "admin"}).status_code == 409
    assert api.get("/api/users/ann").json["role"] == "viewer"


def test_a_reset_link_gives_a_password_once(api: Api) -> None:
    api.post("/api/users", {"username": "ann", "role": "viewer"})
    assert try_log_in(api, "ann", "").status_code == 400
    assert try_log_in(api, "ann", "x").status_code == 401
    made = api.post("/api/users/ann/reset-link")
    assert made.status_code == 201
    link = urlsplit(made.json["link"])
    assert (link.path, link.fragment) == ("/password", made.json["resetToken"])
    reset = {"resetToken": made.json["resetToken"], "password": "password"}
    assert fields(api.post("/api/auth/password-reset", reset, token=False)) == {"password"}
    reset["password"] = PASSWORD
    assert api.post("/api/auth/password-reset", reset, token=False).status_code == 204
    assert try_log_in(api, "ann", PASSWORD).status_code == 200
    assert fields(api.post("/api/auth/password-reset", reset, token=False)) == {"resetToken"}


def test_a_reset_link_ends_with_what_makes_it_senseless(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def token() -> str:
        return api.post("/api/users/ann/reset-link").json["resetToken"]

    def use(token: str) -> int:
        body = {"resetToken": token, "password": "yet another good one"}
        return api.post("/api/auth/password-reset", body, token=False).status_code

    headers = person(api, "ann", "viewer")
    first, second = token(), token()
    change = {"oldPassword": PASSWORD, "password": "another good password"}
    assert api.post("/api/auth/password", change, headers=headers).status_code == 204
    assert (use(first), use(second)) == (400, 400)  # the password has changed
    third = token()
    api.patch("/api/users/ann", {"active": False})
    assert use(third) == 400
    assert api.post("/api/users/ann/reset-link").status_code == 409
    api.patch("/api/users/ann", {"active": True})
    fourth = token()
    for made_up in ("", "x", fourth[:-2], fourth + "x", "a.b.c"):
        assert use(made_up) == 400
    import itsdangerous.timed

    now = itsdangerous.timed.time.time()
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 3700)
    assert use(fourth) == 400
    monkeypatch.undo()
    assert use(fourth) == 204


def test_a_reset_link_does_not_keep_others_busy(api: Api) -> None:
    """Passwords that take long to judge, and are refused, can be tried ten times a minute."""
    person(api, "ann", "viewer")
    token = api.post("/api/users/ann/reset-link").json["resetToken"]
    body = {"resetToken": token, "password": "password"}
    answers = [api.post("/api/auth/password-reset", body, token=False).status_code for _ in range(11)]
    assert answers == [400] * 10 + [429]


def test_a_device_token_is_no_reset_token(api: Api) -> None:
    """They are signed with the same secret, each for its own purpose."""
    device = log_in(api, USERNAME, OPERATORS)["deviceToken"]
    body = {"resetToken": device, "password": "yet another good one"}
    assert api.post("/api/auth/password-reset", body, token=False).status_code == 400


def test_the_page_of_a_reset_link_asks_nobody_else(api: Api) -> None:
    page = api.client.get("/password")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_ones_own_password(api: Api) -> None:
    headers = person(api, "ann", "viewer")
    other = bearer(log_in(api, "ann")["accessToken"])
    change = {"oldPassword": "not this one", "password": "another good password"}
    assert api.post("/api/auth/password", change, headers=headers).json["code"] == "login-refused"
    change["oldPassword"] = PASSWORD
    assert fields(api.post("/api/auth/password", change | {"password": "annann"}, headers=headers)) == {
        "password"
    }
    assert api.post("/api/auth/password", change, headers=headers).status_code == 204
    for old in (headers, other):
        assert api.get("/api/auth/me", headers=old).status_code == 401
    assert try_log_in(api, "ann", PASSWORD).status_code == 401
    assert try_log_in(api, "ann", "another good password").status_code == 200


def test_with_a_stolen_token_nobody_guesses_the_password(api: Api) -> None:
    headers = person(api, "ann", "viewer")
    guess = {"oldPassword": "a guess", "password": "another good password"}
    answers = [api.post("/api/auth/password", guess, headers=headers).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_a_key_cannot_change_what_is_a_persons_own(api: Api) -> None:
    headers = key(api, "admin")
    change = {"oldPassword": OPERATORS, "password": "another good password"}
    assert api.post("/api/auth/password", change, headers=headers).status_code == 403
    assert api.delete("/api/auth/log-ins/1", headers=headers).status_code == 403
    assert api.get("/api/auth/log-ins", headers=headers).status_code == 403
    assert api.post("/api/auth/logout", {"everywhere": True}, headers=headers).status_code == 403
    assert api.get("/api/auth/me").status_code == 200


def test_ones_own_log_ins(api: Api) -> None:
    headers = person(api, "ann", "viewer")
    api.client.environ_base["REMOTE_ADDR"] = "192.0.2.9"
    answer = api.post(
        "/api/auth/login",
        {"username": "ann", "password": PASSWORD},
        token=False,
        headers={"User-Agent": "a browser"},
    )
    other = bearer(answer.json["accessToken"])
    newest, first = api.get("/api/auth/log-ins", headers=headers).json
    assert (newest["address"], newest["userAgent"], newest["current"]) == ("192.0.2.9", "a browser", False)
    assert first["current"] is True
    assert api.delete(f"/api/auth/log-ins/{newest['logInId']}", headers=headers).status_code == 204
    assert api.get("/api/auth/me", headers=other).status_code == 401
    assert api.get("/api/auth/me", headers=headers).status_code == 200
    assert api.delete(f"/api/auth/log-ins/{newest['logInId']}", headers=headers).status_code == 404
    theirs = api.get(f"/api/users/{USERNAME}/log-ins").json[0]["logInId"]
    assert api.delete(f"/api/auth/log-ins/{theirs}", headers=headers).status_code == 404  # somebody else's


def test_an_admin_ends_somebodys_log_ins(api: Api) -> None:
    headers = [person(api, "ann", "viewer"), bearer(log_in(api, "ann")["accessToken"])]
    newest, _ = api.get("/api/users/ann/log-ins").json
    assert api.delete(f"/api/users/ann/log-ins/{newest['logInId']}").status_code == 204
    assert [api.get("/api/auth/me", headers=each).status_code for each in headers] == [200, 401]
    assert api.delete("/api/users/ann/log-ins").status_code == 204
    assert api.get("/api/auth/me", headers=headers[0]).status_code == 401
    assert api.get("/api/users/ann/log-ins").json == []


def test_a_key_from_its_beginning_to_its_end(api: Api, rows: Callable[..., Any]) -> None:
    from charger_mgmt.database.models import ApiKey

    person(api, "meter reader", "operator")
    body = {"username": "meter reader", "name": "billing", "role": "viewer", "expiresAt": later(days=3)}
    made = api.post("/api/keys", body)
    assert made.status_code == 201
    secret = made.json["key"]
    assert secret.startswith("cmk_")
    assert len(secret) >= 47
    assert secret not in json.dumps([list(map(str, row)) for row in rows(ApiKey)])
    (shown,) = api.get("/api/keys").json
    assert "key" not in shown
    assert (shown["lastUsedAt"], shown["lastUsedFrom"], shown["createdBy"]) == (None, None, USERNAME)
    api.client.environ_base["REMOTE_ADDR"] = "192.0.2.9"
    assert api.get("/api/chargers", headers=bearer(secret)).status_code == 200
    shown = api.get(f"/api/keys/{shown['keyId']}").json
    assert shown["lastUsedAt"] is not None
    assert shown["lastUsedFrom"] == "192.0.2.9"
    changed = api.patch(
        f"/api/keys/{shown['keyId']}", {"role": "operator", "name": "x", "expiresAt": later(days=9)}
    )
    assert (changed.json["role"], changed.json["name"]) == ("operator", "x")
    assert api.get("/api/keys?username=meter%20reader").json == [changed.json]
    assert api.get("/api/keys?username=nobody").status_code == 404
    assert api.delete(f"/api/keys/{shown['keyId']}").status_code == 204
    assert api.get("/api/chargers", headers=bearer(secret)).status_code == 401
    assert api.get(f"/api/keys/{shown['keyId']}").json["endedAt"] is not None
    assert api.patch(f"/api/keys/{shown['keyId']}", {"name": "y"}).status_code == 409
    assert api.delete(f"/api/keys/{shown['keyId']}").status_code == 204


@pytest.mark.parametrize(
    ("change", "status", "wrong"),
    [
        ({"username": "nobody"}, 404, set()),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, 400, {"expiresAt"}),
        ({"expiresAt": "2099-01-01T00:00:00Z"}, 400, {"expiresAt"}),
        ({"expiresAt": "soon"}, 400, {"expiresAt"}),
        ({"sites": [99]}, 400, {"sites"}),
        ({"role": "root"}, 400, {"role"}),
        ({"name": ""}, 400, {"name"}),
    ],
)
def test_a_bad_key_is_refused_by_its_fields(
    api: Api, change: dict[str, Any], status: int, wrong: set[str]
) -> None:
    answer = api.post("/api/keys", {"username": USERNAME, "name": "k", "role": "viewer"} | change)
    assert answer.status_code == status
    if status == 400:
        assert fields(answer) == wrong


def test_a_disabled_accounts_keys_stay_ended(api: Api) -> None:
    person(api, "ann", "viewer")
    headers = key(api, "viewer", username="ann")
    for active in (False, True):
        api.patch("/api/users/ann", {"active": active})
        assert api.get("/api/auth/me", headers=headers).status_code == 401


def test_a_site_from_its_beginning_to_its_end(api: Api, charger: Plug) -> None:
    body = {
        "name": "Harbour", "address": "Quay 1", "city": "Hamburg", "postalCode": "20457", "country": "DE",
        "latitude": 53.541, "longitude": 9.984, "timeZone": "Europe/Berlin",
    }  # fmt: skip
    made = api.post("/api/sites", body)
    assert made.status_code == 201
    number = made.json["siteId"]
    assert made.headers["Location"] == f"/api/sites/{number}"
    assert body.items() <= made.json.items()
    assert made.json["chargers"] == 0
    assert api.post("/api/sites", body).status_code == 409
    charger("CP1")
    assert api.patch("/api/chargers/CP1", {"siteId": number}).json["siteId"] == number
    assert api.get("/api/chargers").json[0]["siteId"] == number
    assert api.get(f"/api/sites/{number}").json["chargers"] == 1
    assert api.delete(f"/api/sites/{number}").status_code == 409
    assert api.patch(f"/api/sites/{number}", {"city": None, "name": "Port"}).json["city"] is None
    api.post("/api/users", {"username": "ann", "role": "viewer", "sites": [number]})
    api.patch("/api/chargers/CP1", {"siteId": None})
    assert api.delete(f"/api/sites/{number}").status_code == 204
    assert api.get("/api/users/ann").json["sites"] == []
    assert api.get(f"/api/sites/{number}").status_code == 404
    again = api.post("/api/sites", body).json["siteId"]
    assert again != number  # who was limited to the old one must not see the new one


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"name"}),
        ({"name": "x", "timeZone": "Mars/Olympus"}, {"timeZone"}),
        ({"name": "x", "timeZone": "../../etc/passwd"}, {"timeZone"}),
        ({"name": "x", "latitude": 91}, {"latitude"}),
        ({"name": "x", "country": "Germany"}, {"country"}),
        ({"name": "x", "colour": "red"}, {"colour"}),
    ],
)
def test_a_bad_site_is_refused_by_its_fields(api: Api, body: dict[str, Any], wrong: set[str]) -> None:
    assert fields(api.post("/api/sites", body)) == wrong


def test_a_charger_that_is_removed_leaves_its_site_in_peace(api: Api, charger: Plug) -> None:
    fleet = places(api, charger)
    limited = person(api, "limited", "viewer", [fleet.mine])
    api.post(f"/api/transactions/{fleet.sessions['AT-MINE']}/close", {"reason": "gone"})
    assert api.delete("/api/chargers/AT-MINE").status_code == 204
    assert [each["identity"] for each in api.get("/api/transactions", headers=limited).json] == ["AT-MINE"]
    assert api.get("/api/transactions/charger/AT-MINE", headers=limited).status_code == 200
    assert api.get("/api/chargers/AT-MINE", headers=limited).status_code == 404
    assert api.get(f"/api/sites/{fleet.mine}").json["chargers"] == 0
    assert api.delete(f"/api/sites/{fleet.mine}").status_code == 204


@pytest.fixture
def flask(app: Flask, api: Api) -> Flask_:
    def run(*arguments: str, fails: bool = False) -> Result:
        done = app.test_cli_runner().invoke(args=list(arguments))
        assert (done.exit_code != 0) == fails, done.output
        return done

    return run


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")  # numbers begin at 1
def test_everything_can_be_done_by_command(api: Api, flask: Flask_, charger: Plug) -> None:
    charger("CP1")
    assert "Site 1: Harbour" in flask("site", "create", "Harbour", "--time-zone", "Europe/Berlin").output
    flask("site", "create", "Lake", "--time-zone", "Mars/Olympus", fails=True)
    flask("site", "change", "1", "--city", "Hamburg", "--latitude", "53.5", "--country", "DE")
    assert api.get("/api/sites/1").json["latitude"] == 53.5
    flask("site", "change", "1", "--country", "Germany", fails=True)
    flask("charger", "site", "CP1", "1")
    assert "Hamburg" in (listed := flask("site", "list").output)
    assert listed.splitlines()[1].split()[-1] == "1"
    flask("site", "remove", "1", fails=True)
    flask("user", "create", "ann", "--password", PASSWORD, "--role", "operator", "--site", "1")
    assert api.get("/api/users/ann").json["sites"] == [1]
    flask("user", "create", "robot", "--no-password")
    flask("user", "role", "robot", "operator")
    flask("user", "sites", "ann")
    assert api.get("/api/users/ann").json["sites"] == []
    flask("user", "sites", "ann", "--everything")
    assert api.get("/api/users/ann").json["sites"] is None
    assert "robot" in (listed := flask("user", "list").output)
    assert f"{USERNAME}  admin" in listed
    made = flask("key", "create", "robot", "the robot's", "--role", "operator", "--days", "2").output
    secret = made.split()[2]
    assert api.get("/api/auth/me", headers=bearer(secret)).json["role"] == "operator"
    flask("key", "change", "1", "--role", "viewer")
    assert api.get("/api/auth/me", headers=bearer(secret)).json["role"] == "viewer"
    assert secret not in flask("key", "list").output
    flask("key", "end", "1")
    assert api.get("/api/auth/me", headers=bearer(secret)).status_code == 401
    token = log_in(api, "ann")["accessToken"]
    assert "log-in" in flask("user", "log-ins", "ann").output
    flask("user", "log-out", "ann")
    assert api.get("/api/auth/me", headers=bearer(token)).status_code == 401
    link = flask("user", "reset-link", "ann").output.split()[0]
    reset = {"resetToken": link.partition("#")[2], "password": "another good password"}
    assert api.post("/api/auth/password-reset", reset, token=False).status_code == 204
    flask("user", "disable", "ann")
    flask("user", "enable", "ann")
    flask("charger", "site", "CP1")
    flask("site", "remove", "1")
    assert "user disable" in flask("audit", "list").output
    exported = [json.loads(line) for line in flask("audit", "export").output.splitlines()]
    assert {"site create", "key end", "user log-out"} <= {each["action"] for each in exported}
    for hidden in (secret, PASSWORD, reset["resetToken"]):
        assert hidden not in json.dumps(exported)


def test_the_last_admin_stays_by_command_too(flask: Flask_) -> None:
    for arguments in (
        ("disable", USERNAME),
        ("role", USERNAME, "viewer"),
        ("sites", USERNAME, "--site", "1"),
    ):
        flask("user", *arguments, fails=True)
