"""Who gets in, and who does not."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

import jwt
import pytest
from flask import Flask
from sqlalchemy import Engine

from charger_mgmt import clock
from charger_mgmt.access import accounts, log_in_rows, user_rows
from charger_mgmt.access.throttle import LoginThrottle
from charger_mgmt.errors import Conflict, InvalidInput, NotFound, TooManyAttempts
from charger_mgmt.extensions import db

from ..support.server import PASSWORD, USERNAME
from .conftest import Api

SECRET = "tests-only-secret-" + "x" * 32


def disable(engine: Engine, username: str) -> None:
    """By hand: the last admin cannot be disabled."""
    with engine.begin() as conn:
        row = user_rows.by_name(conn, username)
        user_rows.change(conn, row.id, active=False)
        log_in_rows.end_all(conn, row.id, clock.now())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_in(api: Api, username: str = USERNAME, password: str = PASSWORD):
    return api.post("/api/auth/login", {"username": username, "password": password}, token=False)


def test_log_in_gives_tokens(api: Api) -> None:
    tokens = log_in(api).json
    assert tokens["expiresIn"] == 900
    assert api.get("/api/chargers", headers=bearer(tokens["accessToken"])).status_code == 200


@pytest.mark.parametrize(("username", "password"), [(USERNAME, "wrong password"), ("nobody", PASSWORD)])
def test_wrong_name_and_wrong_password_look_alike(api: Api, username: str, password: str) -> None:
    answer = log_in(api, username, password)
    assert (answer.status_code, answer.json["code"]) == (401, "login-refused")
    assert answer.json["detail"] == "Unknown username or wrong password."


def test_usernames_count_case(api: Api) -> None:
    assert log_in(api, USERNAME.upper()).status_code == 401


def guesses(api: Api, count: int, username: str = USERNAME) -> list[int]:
    return [log_in(api, username, "a guess").status_code for _ in range(count)]


def from_address(api: Api, address: str) -> None:
    api.client.environ_base["REMOTE_ADDR"] = address


def test_guessing_is_slowed_down(api: Api) -> None:
    assert guesses(api, 10) == [401] * 10
    answer = log_in(api)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_somebody_else_is_not_slowed_down(api: Api) -> None:
    guesses(api, 11, "somebody")
    assert log_in(api).status_code == 200


def test_a_known_device_is_let_in_while_others_guess_from_the_same_address(api: Api) -> None:
    device = log_in(api).json["deviceToken"]
    assert guesses(api, 11)[-1] == 429
    known = {"username": USERNAME, "password": PASSWORD, "deviceToken": device}
    assert api.post("/api/auth/login", known, token=False).status_code == 200
    assert log_in(api).status_code == 429


def test_a_device_of_somebody_else_or_a_made_up_one_helps_nobody(api: Api, app: Flask) -> None:
    with app.app_context():
        accounts.create(db.engine, "ann", "a good password", role="admin")
    anns = log_in(api, "ann", "a good password").json["deviceToken"]
    guesses(api, 10)
    for device in (anns, "noise", anns + "x", "."):
        known = {"username": USERNAME, "password": PASSWORD, "deviceToken": device}
        assert api.post("/api/auth/login", known, token=False).status_code == 429


def test_a_device_cannot_guess_for_ever_either(api: Api) -> None:
    device = log_in(api).json["deviceToken"]
    guess = {"username": USERNAME, "password": "a guess", "deviceToken": device}
    answers = [api.post("/api/auth/login", guess, token=False).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_one_source_cannot_try_a_password_on_everybody(api: Api) -> None:
    answers = [log_in(api, f"user{number}", "Summer2026!").status_code for number in range(61)]
    assert answers == [401] * 60 + [429]
    from_address(api, "198.51.100.7")
    assert log_in(api).status_code == 200


def test_guesses_from_everywhere_shut_out_strangers_and_not_the_owner(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    from_address(api, "192.0.2.1")
    assert log_in(api).status_code == 200  # the owner's place
    for number in range(10):
        from_address(api, f"198.51.100.{number}")
        guesses(api, 10)
    from_address(api, "198.51.100.200")
    assert log_in(api).status_code == 429
    from_address(api, "192.0.2.1")
    assert log_in(api).status_code == 200
    assert re.search(r"log-in from 198\.51\.100\.3 as user \d+ failed", caplog.text)
    assert USERNAME not in caplog.text
    assert "a guess" not in caplog.text


def test_a_throttle_forgets_after_its_window() -> None:
    time = [0.0]
    throttle = LoginThrottle(monotonic=lambda: time[0])
    for _ in range(10):
        throttle.begin("a", "address", None, lambda: False)
    with pytest.raises(TooManyAttempts):
        throttle.begin("a", "address", None, lambda: False)
    time[0] = 61
    throttle.begin("a", "address", None, lambda: False)


def test_a_throttle_keeps_a_bounded_memory() -> None:
    throttle = LoginThrottle(most_keys=30)
    for number in range(100):
        for exists in (True, False):
            throttle.begin(f"user {number}", f"address {number}", None, lambda: False, exists=exists)
        throttle.begin("x", "y", f"device {number}", lambda: False)
    assert {kind: len(seen) for kind, seen in throttle._seen.items()} == dict.fromkeys(
        ("pair", "source", "account", "name", "device"), 30
    )


def test_made_up_names_do_not_push_out_what_is_counted_for_a_real_one() -> None:
    throttle = LoginThrottle(most_keys=30)
    for number in range(100):
        throttle.begin("real", f"address {number}", None, lambda: False)
        throttle.begin(f"made up {number}", f"another {number}", None, lambda: False, exists=False)
    with pytest.raises(TooManyAttempts):
        throttle.begin("real", "a further address", None, lambda: False)


def test_an_ipv6_network_is_one_source(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(10):
        from_address(api, f"2001:db8::{number}:1")
        guesses(api, 1)
    from_address(api, "2001:db8::ffff:1")
    assert log_in(api).status_code == 429
    assert "log-in from 2001:db8::/64 as" in caplog.text
    assert "too many attempts" in caplog.text


def test_refresh_gives_a_new_access_token(api: Api) -> None:
    refresh_token = log_in(api).json["refreshToken"]
    answer = api.post("/api/auth/refresh", headers=bearer(refresh_token))
    assert api.get("/api/chargers", headers=bearer(answer.json["accessToken"])).status_code == 200


def test_an_access_token_does_not_refresh(api: Api) -> None:
    assert api.post("/api/auth/refresh").status_code == 401


def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    assert api.get("/api/chargers", headers=bearer(log_in(api).json["refreshToken"])).status_code == 401


def test_a_refresh_token_is_good_for_one_use(api: Api) -> None:
    first = log_in(api).json["refreshToken"]
    second = api.post("/api/auth/refresh", headers=bearer(first)).json
    third = api.post("/api/auth/refresh", headers=bearer(second["refreshToken"])).json
    assert api.get("/api/chargers", headers=bearer(third["accessToken"])).status_code == 200
    # Somebody has a copy of the first: nobody can tell who is who, so the log-in ends.
    assert api.post("/api/auth/refresh", headers=bearer(first)).status_code == 401
    for token in (second["accessToken"], third["accessToken"]):
        assert api.get("/api/chargers", headers=bearer(token)).status_code == 401
    assert api.post("/api/auth/refresh", headers=bearer(third["refreshToken"])).status_code == 401
    assert api.get("/api/chargers").status_code == 200  # another log-in of the same account


def test_logging_out_ends_this_log_in(api: Api) -> None:
    tokens = log_in(api).json
    assert api.post("/api/auth/logout", headers=bearer(tokens["accessToken"])).status_code == 204
    assert api.get("/api/chargers", headers=bearer(tokens["accessToken"])).status_code == 401
    assert api.post("/api/auth/refresh", headers=bearer(tokens["refreshToken"])).status_code == 401
    assert api.get("/api/chargers").status_code == 200


def test_logging_out_everywhere_ends_every_log_in(api: Api) -> None:
    tokens = log_in(api).json
    assert api.post("/api/auth/logout", {"everywhere": True}).status_code == 204
    assert api.get("/api/chargers").status_code == 401
    assert api.get("/api/chargers", headers=bearer(tokens["accessToken"])).status_code == 401


def _disable(engine: Engine) -> None:
    disable(engine, USERNAME)


def _new_password(engine: Engine) -> None:
    accounts.set_password(engine, USERNAME, "another password")


@pytest.mark.parametrize("change", [_disable, _new_password])
def test_what_was_given_out_before_ends_at_once_and_stays_ended(
    api: Api, app: Flask, change: Callable[[Engine], None]
) -> None:
    tokens = log_in(api).json
    with app.app_context():
        change(db.engine)
    for _ in range(2):
        assert api.get("/api/chargers").status_code == 401
        assert api.get("/api/chargers", headers=bearer(tokens["accessToken"])).status_code == 401
        assert api.post("/api/auth/refresh", headers=bearer(tokens["refreshToken"])).status_code == 401
        with app.app_context():
            accounts.change(db.engine, USERNAME, {"active": True})


def test_a_disabled_account_cannot_log_in_until_it_is_enabled(api: Api, app: Flask) -> None:
    with app.app_context():
        disable(db.engine, USERNAME)
    assert log_in(api).status_code == 401
    with app.app_context():
        accounts.change(db.engine, USERNAME, {"active": True})
    assert log_in(api).status_code == 200


def claims(api: Api) -> dict[str, str]:
    return jwt.decode(api.auth["Authorization"][7:], SECRET, ["HS256"])


def tampered(account: str = "1", log_in: str = "x") -> dict[str, str]:
    good = {
        "sub": account,
        "log": log_in,
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
        "without an end": "Bearer "
        + jwt.encode({k: v for k, v in good.items() if k != "exp"}, SECRET, "HS256"),
        "without a log-in": "Bearer "
        + jwt.encode({k: v for k, v in good.items() if k != "log"}, SECRET, "HS256"),
        "a log-in of nobody": "Bearer " + jwt.encode(good | {"log": "x"}, SECRET, "HS256"),
        "a log-in that is no text": "Bearer " + jwt.encode(good | {"log": [1]}, SECRET, "HS256"),
        "endless": "Bearer " + "a" * 20_000,
    }


@pytest.mark.parametrize("kind", tampered())
def test_a_bad_token_is_401(api: Api, kind: str) -> None:
    authorization = tampered(claims(api)["sub"], claims(api)["log"])[kind].encode().decode("latin-1")
    answer = api.get("/api/chargers", headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_tamperer_with_the_right_key_gets_in(api: Api) -> None:
    """The cases above fail for the reason they name, not for the form of their token."""
    good = {"type": "access", "fresh": False, "jti": "x", "iat": 1, "nbf": 1, "exp": 4_000_000_000}
    token = jwt.encode(good | {"sub": claims(api)["sub"], "log": claims(api)["log"]}, SECRET, "HS256")
    assert api.get("/api/chargers", headers=bearer(token)).status_code == 200


def test_every_route_asks_for_a_token_but_the_named_ones(app: Flask, api: Api) -> None:
    """The guard: a new route is behind the token unless it is named here."""
    open_routes = {
        "/",
        "/password",
        "/api/auth/login",
        "/api/auth/password-reset",
        "/api/auth/provider",
        "/api/auth/provider/callback",
        "/health/live",
        "/health/ready",
    }
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
        accounts.create(db.engine, "ann", "a good password", role="admin")
        with pytest.raises(Conflict):
            accounts.create(db.engine, "ann", "another password", role="admin")
        with pytest.raises(InvalidInput):
            accounts.create(db.engine, "bob", "short", role="admin")
        with pytest.raises(InvalidInput):
            accounts.create(db.engine, " bob", "a good password", role="admin")
        with pytest.raises(InvalidInput):
            accounts.create(db.engine, "system", "a good password", role="admin")
        for easy in ("password", "12345678", "Passw0rd!", "qwertyuiop", "carlcarl", "aaaaaaaaaaaa"):
            with pytest.raises(InvalidInput, match="too easy to guess"):
                accounts.create(db.engine, "carl", easy, role="admin")
        with pytest.raises(NotFound):
            accounts.set_password(db.engine, "bob", "a good password")


def test_a_new_password_replaces_the_old(api: Api, app: Flask) -> None:
    with app.app_context():
        accounts.set_password(db.engine, USERNAME, "another password")
    assert log_in(api).status_code == 401
    assert log_in(api, password="another password").status_code == 200
