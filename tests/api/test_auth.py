"""Who gets in, and who does not."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from flask import Flask

from charger_mgmt.errors import Conflict, InvalidInput, NotFound
from charger_mgmt.extensions import db
from charger_mgmt.services import accounts

from ..support.server import PASSWORD, USERNAME
from .conftest import Api

SECRET = "tests-only-secret-" + "x" * 32


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_in(api: Api, username: str = USERNAME, password: str = PASSWORD):
    return api.post("/api/auth/login", {"username": username, "password": password}, token=False)


def test_log_in_gives_tokens(api: Api) -> None:
    tokens = log_in(api).json
    assert tokens["expiresIn"] == 3600
    assert api.get("/api/chargers", headers=bearer(tokens["accessToken"])).status_code == 200


@pytest.mark.parametrize(("username", "password"), [(USERNAME, "wrong password"), ("nobody", PASSWORD)])
def test_wrong_name_and_wrong_password_look_alike(api: Api, username: str, password: str) -> None:
    answer = log_in(api, username, password)
    assert (answer.status_code, answer.json["code"]) == (401, "login-refused")
    assert answer.json["detail"] == "Unknown username or wrong password."


def test_usernames_count_case(api: Api) -> None:
    assert log_in(api, USERNAME.upper()).status_code == 401


def test_guessing_is_slowed_down(api: Api) -> None:
    for _ in range(10):
        assert log_in(api, password="a guess").status_code == 401
    answer = log_in(api)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_somebody_else_is_not_slowed_down(api: Api) -> None:
    for _ in range(11):
        log_in(api, "somebody", "a guess")
    assert log_in(api).status_code == 200


def test_a_throttle_forgets_after_its_window() -> None:
    time = [0.0]
    throttle = accounts.LoginThrottle(attempts=1, window=60, monotonic=lambda: time[0])
    throttle.begin("a", "address")
    with pytest.raises(accounts.TooManyAttempts):
        throttle.begin("a", "address")
    time[0] = 61
    throttle.begin("a", "address")


def test_a_throttle_keeps_a_bounded_memory() -> None:
    throttle = accounts.LoginThrottle(most_keys=3)
    for number in range(10):
        throttle.begin(f"user {number}", "address")
    assert len(throttle._seen) == 3


def test_refresh_gives_a_new_access_token(api: Api) -> None:
    refresh_token = log_in(api).json["refreshToken"]
    answer = api.post("/api/auth/refresh", headers=bearer(refresh_token))
    assert api.get("/api/chargers", headers=bearer(answer.json["accessToken"])).status_code == 200


def test_an_access_token_does_not_refresh(api: Api) -> None:
    assert api.post("/api/auth/refresh").status_code == 401


def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    assert api.get("/api/chargers", headers=bearer(log_in(api).json["refreshToken"])).status_code == 401


def test_a_disabled_account_is_shut_out_at_once(api: Api, app: Flask) -> None:
    refresh_token = log_in(api).json["refreshToken"]
    with app.app_context():
        accounts.set_active(db.engine, USERNAME, False)
    assert api.get("/api/chargers").status_code == 401
    assert api.post("/api/auth/refresh", headers=bearer(refresh_token)).status_code == 401
    assert log_in(api).status_code == 401


def tampered() -> dict[str, str]:
    good = {
        "sub": "1",
        "type": "access",
        "fresh": False,
        "jti": "x",
        "iat": 1,
        "nbf": 1,
        "exp": 4_000_000_000,
    }
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(good).encode()).decode().rstrip("=")
    return {
        "no token": "",
        "one word": "Bearer",
        "another scheme": "Basic b3A6cHc=",
        "noise": "Bearer abc",
        "dots": "Bearer ..",
        "not ASCII": "Bearer é.é.é",
        "unsigned": f"Bearer {unsigned}.{body}.",
        "another key": "Bearer " + jwt.encode(good, "y" * 40, "HS256"),
        "another algorithm": "Bearer " + jwt.encode(good, SECRET * 2, "HS512"),
        "expired": "Bearer " + jwt.encode(good | {"exp": 2}, SECRET, "HS256"),
        "not valid yet": "Bearer " + jwt.encode(good | {"nbf": 4_000_000_000}, SECRET, "HS256"),
        "unknown account": "Bearer " + jwt.encode(good | {"sub": "999999"}, SECRET, "HS256"),
        "an account that is no number": "Bearer " + jwt.encode(good | {"sub": "1 OR 1=1"}, SECRET, "HS256"),
        "an enormous account": "Bearer " + jwt.encode(good | {"sub": "9" * 60}, SECRET, "HS256"),
        "no account": "Bearer " + jwt.encode({k: v for k, v in good.items() if k != "sub"}, SECRET, "HS256"),
        "endless": "Bearer " + "a" * 20_000,
    }


@pytest.mark.parametrize("kind", tampered())
def test_a_bad_token_is_401(api: Api, kind: str) -> None:
    answer = api.get("/api/chargers", headers={"Authorization": tampered()[kind].encode().decode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_tamperer_with_the_right_key_gets_in(api: Api) -> None:
    """The cases above fail for the reason they name, not for the form of their token."""
    good = {"type": "access", "fresh": False, "jti": "x", "iat": 1, "nbf": 1, "exp": 4_000_000_000}
    account = jwt.decode(api.auth["Authorization"][7:], SECRET, ["HS256"])["sub"]
    token = jwt.encode(good | {"sub": account}, SECRET, "HS256")
    assert api.get("/api/chargers", headers=bearer(token)).status_code == 200


def test_every_route_asks_for_a_token_but_the_named_ones(app: Flask, api: Api) -> None:
    """The guard: a new route is behind the token unless it is named here."""
    open_routes = {"/", "/api/auth/login", "/health/live", "/health/ready"}
    for_chargers = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/ocpp")]
    checked = 0
    for rule in app.url_map.iter_rules():
        if rule.rule in open_routes or rule in for_chargers or rule.endpoint == "static":
            continue
        path = "".join(f"{1}" if dynamic else part for dynamic, part in rule._trace).lstrip("|")
        for method in (rule.methods or set()) - {"OPTIONS"}:
            answer = api.client.open(path, method=method)
            assert answer.status_code == 401, (rule.rule, method, answer.text)
            checked += 1
    assert checked >= 20


def test_accounts_refuse_what_cannot_work(app: Flask) -> None:
    with app.app_context():
        accounts.create(db.engine, "ann", "a good password")
        with pytest.raises(Conflict):
            accounts.create(db.engine, "ann", "another password")
        with pytest.raises(InvalidInput):
            accounts.create(db.engine, "bob", "short")
        with pytest.raises(InvalidInput):
            accounts.create(db.engine, " bob", "a good password")
        with pytest.raises(InvalidInput):
            accounts.create(db.engine, "system", "a good password")
        with pytest.raises(NotFound):
            accounts.set_password(db.engine, "bob", "a good password")


def test_a_new_password_replaces_the_old(api: Api, app: Flask) -> None:
    with app.app_context():
        accounts.set_password(db.engine, USERNAME, "another password")
    assert log_in(api).status_code == 401
    assert log_in(api, password="another password").status_code == 200
