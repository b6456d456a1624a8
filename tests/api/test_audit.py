"""Who did what to what when, from where, with what result."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, update

from charger_mgmt import clock
from charger_mgmt.access import door
from charger_mgmt.database.models import AuditEntry
from charger_mgmt.database.models import Charger as ChargerRow
from charger_mgmt.extensions import db

from ..support.server import PASSWORD, USERNAME
from .conftest import Api, Charger
from .people import MINE, bearer, key, log_in, person, places

Plug = Callable[..., Charger]


def entries(api: Api, query: str = "") -> list[dict[str, Any]]:
    """Newest first; the log-in of the one who asks left out."""
    return api.get(f"/api/audit{query}").json


def last(api: Api) -> dict[str, Any]:
    return entries(api, "?limit=1")[0]


def brief(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry[name] for name in ("username", "by", "action", "target", "result"))


def test_an_act_is_kept_with_who_and_what_and_where(api: Api) -> None:
    api.client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    api.post("/api/chargers", {"chargerId": "CP1", "name": "At the gate", "password": "0123456789abcdef"})
    entry = last(api)
    assert brief(entry) == (USERNAME, "log-in", "createCharger", "/api/chargers", "done")
    assert entry["details"] == {"chargerId": "CP1", "name": "At the gate", "password": "***"}
    assert (entry["address"], entry["keyId"]) == ("192.0.2.7", None)


LATER = (clock.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
PROFILE = {
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_000}],
    },
}
ACTS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("POST", "/api/chargers", {"chargerId": "NEW"}, "createCharger"),
    ("PATCH", f"/api/chargers/{MINE}", {"strict": True}, "changeCharger"),
    ("POST", f"/api/chargers/{MINE}/commands/Reset", {"type": "Soft"}, "sendCommand"),
    ("DELETE", "/api/chargers/AT-NONE/connectors/2", None, "removeConnector"),
    ("POST", f"/api/transactions/{MINE}/start", {"sessionId": "s", "connectorId": 2}, "startTransaction"),
    ("POST", "/api/transactions/1/limits", {"kwh": 5}, "limitTransaction"),
    ("POST", "/api/transactions/1/end", {"force": True}, "endTransaction"),
    ("POST", "/api/transactions/2/close", {"reason": "gone"}, "closeTransaction"),
    (
        "POST",
        "/api/reservations",
        {"chargerId": "AT-FOREIGN", "idTag": "A", "connectorId": 2, "expiryDate": LATER},
        "makeReservation",
    ),
    ("POST", "/api/reservations/1/cancel", None, "cancelReservation"),
    ("PATCH", f"/api/chargers/{MINE}/configuration", {"desired": {"A": "1"}}, "changeConfiguration"),
    ("POST", f"/api/chargers/{MINE}/configuration/refresh", None, "refreshConfiguration"),
    (
        "PATCH",
        "/api/configuration",
        {"chargerIds": [MINE], "desired": {"A": None}},
        "changeConfigurationOfMany",
    ),
    ("PATCH", f"/api/chargers/{MINE}/local-list", {"wanted": False}, "changeLocalList"),
    ("POST", f"/api/chargers/{MINE}/local-list/sync", None, "syncLocalList"),
    ("PATCH", "/api/local-lists", {"chargerIds": [MINE], "wanted": False}, "changeLocalLists"),
    ("POST", "/api/charging-profiles", {"name": "Eco", "profile": PROFILE}, "createChargingProfile"),
    (
        "POST",
        f"/api/chargers/{MINE}/charging-profiles",
        {"connectorId": 1, "libraryId": 1},
        "installChargingProfile",
    ),
    ("DELETE", f"/api/chargers/{MINE}/charging-profiles/1000001", None, "clearChargingProfile"),
    ("DELETE", "/api/charging-profiles/1", None, "removeChargingProfile"),
    ("POST", f"/api/chargers/{MINE}/limit", {"kilowatts": 11}, "limitCharger"),
    ("DELETE", f"/api/chargers/{MINE}/limit", None, "unlimitCharger"),
    ("POST", f"/api/chargers/{MINE}/composite-schedule", {"duration": 60}, "askCompositeSchedule"),
    ("POST", "/api/tags", {"idTag": "CARD"}, "createTag"),
    ("PATCH", "/api/tags/CARD", {"status": "Blocked"}, "changeTag"),
    ("POST", "/api/sites", {"name": "Third"}, "createSite"),
    ("PATCH", "/api/sites/3", {"city": "Here"}, "changeSite"),
    ("DELETE", "/api/sites/3", None, "removeSite"),
    (
        "POST",
        "/api/users",
        {"username": "ann", "role": "viewer", "password": "a good password"},
        "createUser",
    ),
    ("PATCH", "/api/users/ann", {"role": "operator"}, "changeUser"),
    ("POST", "/api/users/ann/reset-link", None, "makeResetLink"),
    ("DELETE", "/api/users/ann/log-ins", None, "endLogIns"),
    ("POST", "/api/keys", {"username": "ann", "name": "k", "role": "viewer"}, "createKey"),
    ("PATCH", "/api/keys/1", {"name": "kk"}, "changeKey"),
    ("DELETE", "/api/keys/1", None, "endKey"),
    ("POST", f"/api/chargers/{MINE}/disconnect", None, "disconnectCharger"),
]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")  # numbers begin at 1
def test_every_act_has_one_entry_and_every_failure_too(api: Api, charger: Plug) -> None:
    places(api, charger)
    charger("AT-NONE").reports(2, "Available")
    viewer = person(api, "looker", "viewer")
    for method, path, body, action in ACTS:
        for headers, who in ((viewer, "looker"), (api.auth, USERNAME)):
            before = last(api)["id"]
            answer = api.call(method, path, json=body, headers=headers)
            kept = [each for each in entries(api, "?limit=10") if each["id"] > before]
            assert len(kept) == 1, (action, answer.text, kept)
            result = "done" if answer.status_code < 300 else answer.json["code"]
            assert result == ("forbidden" if who == "looker" else "done"), (action, answer.text)
            assert brief(kept[0]) == (who, "log-in", action, path, result)


def test_no_act_is_left_out(api: Api, app: Flask) -> None:
    """Whatever changes something is among the acts above, or has a test of its own here."""
    own = {
        "login",
        "refresh",
        "logout",
        "endMyLogIn",
        "changeMyPassword",
        "resetPassword",
        "endLogIn",
        "removeCharger",
    }
    changing = {
        view.__name__
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api") and {"POST", "PATCH", "DELETE"} & (rule.methods or set())
        for view in [app.view_functions[rule.endpoint]]
    }
    named = {
        "".join(f"_{char.lower()}" if char.isupper() else char for char in each)
        for each in own | {act[3] for act in ACTS}
    }
    assert changing == named


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PATCH", "/api/chargers/CP1", {"strict": "yes"}, 400, "invalid-input"),
        ("PATCH", "/api/chargers/UNKNOWN", {"strict": True}, 404, "not-found"),
        ("POST", "/api/chargers", {"chargerId": "CP1"}, 409, "conflict"),
        ("POST", "/api/chargers/CP1/commands/Reset", {"type": "Soft"}, 409, "charger-offline"),
    ],
)
def test_what_failed_is_kept_with_why(
    api: Api, method: str, path: str, body: Any, status: int, code: str
) -> None:
    api.post("/api/chargers", {"chargerId": "CP1"})
    assert api.call(method, path, json=body).status_code == status
    assert (last(api)["result"], last(api)["target"]) == (code, path)


def test_a_command_that_was_ordered_and_refused_has_both(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    answer = api.post("/api/transactions/CP1/start", {"sessionId": "s", "connectorId": 1})
    assert answer.status_code == 409
    refused, ordered = entries(api, "?limit=2")
    assert (refused["result"], ordered["result"]) == ("command-refused", "done")
    number = ordered["details"]["commandId"]
    assert api.get(f"/api/chargers/CP1/commands/{number}").json["requestedBy"] == USERNAME
    assert ordered["details"].items() >= {"sessionId": "s", "connectorId": 1, "commandId": number}.items()


def test_log_ins_are_kept_and_no_name_that_nobody_has(api: Api) -> None:
    person(api, "ann", "viewer")
    assert brief(last(api)) == ("ann", "log-in", "login", "/api/auth/login", "done")
    for username, known in (("ann", "ann"), ("my secret password", None)):
        wrong = {"username": username, "password": "a guess at it"}
        assert api.post("/api/auth/login", wrong, token=False).status_code == 401
        entry = last(api)
        assert brief(entry) == (None, None, "login", "/api/auth/login", "login-refused")
        assert entry["details"]["username"] == known
        assert entry["details"]["password"] == "***"


def test_a_refresh_is_no_act_but_its_failure_is(api: Api) -> None:
    tokens = log_in(api, USERNAME, PASSWORD)
    before = last(api)["id"]
    assert api.post("/api/auth/refresh", headers=bearer(tokens["refreshToken"])).status_code == 200
    assert last(api)["id"] == before
    assert api.post("/api/auth/refresh", headers=bearer(tokens["refreshToken"])).status_code == 401
    assert brief(last(api))[2:] == ("refresh", "/api/auth/refresh", "not-authenticated")
    assert last(api)["username"] == USERNAME


def test_what_is_ones_own_is_kept(api: Api) -> None:
    headers = person(api, "ann", "viewer")
    number = api.get("/api/auth/log-ins", headers=headers).json[0]["logInId"]
    change = {"oldPassword": "a wrong one", "password": "another good one"}
    assert api.post("/api/auth/password", change, headers=headers).status_code == 401
    assert brief(last(api)) == ("ann", "log-in", "changeMyPassword", "/api/auth/password", "login-refused")
    assert last(api)["details"] == {"oldPassword": "***", "password": "***"}
    assert api.delete(f"/api/auth/log-ins/{number}", headers=headers).status_code == 204
    assert brief(last(api))[2:] == ("endMyLogIn", f"/api/auth/log-ins/{number}", "done")


def test_reading_is_no_act_but_reading_what_one_may_not_is(api: Api) -> None:
    viewer = person(api, "ann", "viewer")
    before = last(api)["id"]
    for path in ("/api/chargers", "/api/chargers/UNKNOWN", "/api/auth/me"):
        api.get(path, headers=viewer)
    assert last(api)["id"] == before
    assert api.get("/api/users", headers=viewer).status_code == 403
    assert brief(last(api)) == ("ann", "log-in", "listUsers", "/api/users", "forbidden")


def test_who_has_no_token_cannot_fill_the_trail(api: Api) -> None:
    before = last(api)["id"]
    for method, path, body, _ in ACTS:
        assert api.call(method, path, json=body, token=False).status_code == 401
    assert (
        api.post("/api/auth/password-reset", {"resetToken": "x", "password": "y"}, token=False).status_code
        == 400
    )
    assert api.get("/api/auth/provider/callback", token=False).status_code == 404
    assert last(api)["id"] == before


def test_an_account_that_is_refused_without_end_does_not_fill_the_trail(api: Api) -> None:
    viewer = person(api, "ann", "viewer")
    before = last(api)["id"]
    for _ in range(100):
        assert api.get("/api/users", headers=viewer).status_code == 403
    kept = [each for each in entries(api, "?limit=1000") if each["id"] > before]
    assert 60 <= len(kept) <= 100  # a minute may end meanwhile
    assert api.post("/api/auth/logout", headers=viewer).status_code == 204
    assert brief(last(api))[2:] == ("logout", "/api/auth/logout", "done")  # acts are always kept


def test_who_is_nobody_does_not_fill_the_trail_by_logging_in(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MOST_OF_STRANGERS", 30)
    before = last(api)["id"]
    for body in ({"username": "x", "bad": 1}, {}, {"username": "x", "password": 5}):
        for _ in range(20):
            assert api.post("/api/auth/login", body, token=False).status_code == 400
    assert api.client.post("/api/auth/login", data=b"x").status_code == 415
    assert last(api)["id"] == before  # no log-in at all
    for number in range(50):
        api.client.environ_base["REMOTE_ADDR"] = f"2001:db8:{number:x}::1"
        body = {"username": f"made up {number}", "password": "x" * 1000}
        assert api.client.post("/api/auth/login", json=body).status_code == 401
    strangers = [each for each in entries(api, "?limit=1000") if each["id"] > before]
    assert 30 <= len(strangers) < 50  # so many in a minute, one of which may end meanwhile
    # Made-up names do not push out what happens to real ones.
    wrong = {"username": USERNAME, "password": "a guess"}
    assert api.post("/api/auth/login", wrong, token=False).status_code == 401
    assert last(api)["details"]["username"] == USERNAME


def test_a_key_is_named(api: Api) -> None:
    headers = key(api, "admin")
    api.post("/api/sites", {"name": "Harbour"}, headers=headers)
    assert (last(api)["username"], last(api)["by"]) == (USERNAME, "key")
    assert last(api)["keyId"] == api.get("/api/keys").json[0]["keyId"]


def test_a_change_says_what_was_before(api: Api) -> None:
    person(api, "ann", "viewer")
    api.patch("/api/users/ann", {"role": "operator", "active": False})
    details = last(api)["details"]
    assert details["before"] == {"role": "viewer", "active": True}
    assert (details["role"], details["active"]) == ("operator", False)


def test_padding_hides_nothing(api: Api) -> None:
    api.post("/api/chargers", {"chargerId": "CP1"})
    padding = {f"pad{number}": "x" * 500 for number in range(90)}
    body = {"desired": padding | {"HeartbeatInterval": "999999"}}
    assert api.patch("/api/chargers/CP1/configuration", body).status_code == 200
    kept = last(api)["details"]["desired"]
    assert (kept["HeartbeatInterval"], kept["pad1"]) == ("999999", "x" * 60 + "…")


def test_the_trail_is_searched(api: Api, charger: Plug) -> None:
    places(api, charger)
    assert {each["action"] for each in entries(api, "?action=createSite")} == {"createSite"}
    assert {each["username"] for each in entries(api, f"?username={USERNAME}")} == {USERNAME}
    assert {each["target"] for each in entries(api, f"?q=/{MINE}")} == {f"/api/chargers/{MINE}"}
    assert entries(api, "?result=forbidden") == []
    assert entries(api, "?from=2099-01-01T00:00:00Z") == []
    assert len(entries(api, "?to=2099-01-01T00:00:00Z")) == len(entries(api))
    assert entries(api, "?q=%25") == []


def test_the_trail_is_exported_whole(api: Api) -> None:
    for number in range(7):
        api.post("/api/sites", {"name": f"Site {number}"})
    answer = api.get("/api/audit/export?action=createSite")
    assert answer.mimetype == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == entries(api, "?action=createSite")
    assert len(lines) == 7


def test_there_is_no_way_to_change_an_entry(app: Flask, backend: str) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/audit")]
    assert {method for rule in rules for method in rule.methods or ()} == {"GET", "HEAD", "OPTIONS"}


def test_an_act_that_is_not_stored_has_no_entry_and_no_entry_is_stored_without_it(
    api: Api, app: Flask, rows: Callable[..., Any]
) -> None:
    """The database refuses the commit: neither is there, and the failure is."""
    armed = True

    def refuse(_conn: Any) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise RuntimeError("the disk is full")

    with app.app_context():
        engine = db.engine
    event.listen(engine, "commit", refuse)
    try:
        answer = api.client.post("/api/chargers", json={"chargerId": "CP1"}, headers=api.auth)
    finally:
        event.remove(engine, "commit", refuse)
    assert answer.status_code == 500
    assert rows(ChargerRow) == []
    kept = [row for row in rows(AuditEntry) if row.action == "createCharger"]
    assert [row.result for row in kept] == ["internal-error"]


def test_the_entry_stands_in_the_commit_of_its_act(api: Api, app: Flask, rows: Callable[..., Any]) -> None:
    """The database refuses the entry: then the act is not stored either."""
    with app.app_context():
        engine = db.engine
    refused = []

    def refuse(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO audit") and not refused:
            refused.append(statement)
            raise RuntimeError("no entry")

    event.listen(engine, "before_cursor_execute", refuse)
    try:
        answer = api.client.post("/api/chargers", json={"chargerId": "CP1"}, headers=api.auth)
    finally:
        event.remove(engine, "before_cursor_execute", refuse)
    assert (answer.status_code, len(refused)) == (500, 1)
    assert rows(ChargerRow) == []


@pytest.mark.settings(retain_audit_days=1)
def test_the_trail_is_kept_as_long_as_is_said(api: Api, app: Flask) -> None:
    api.post("/api/sites", {"name": "Harbour"})
    with app.app_context(), db.engine.begin() as conn:
        conn.execute(update(AuditEntry.__table__).values(at=clock.now() - timedelta(days=2)))
    api.post("/api/sites", {"name": "Lake"})
    app.test_cli_runner().invoke(args=["retention"])
    assert [each["details"]["name"] for each in entries(api) if each["action"] == "createSite"] == ["Lake"]


def test_commands_of_the_shell_are_kept(api: Api, app: Flask) -> None:
    run = app.test_cli_runner().invoke
    assert run(args=["user", "create", "ann", "--password", "a good password"]).exit_code == 0
    entry = last(api)
    assert (entry["username"], entry["by"], entry["action"], entry["target"], entry["result"]) == (
        None, "command line", "user create", "ann", "done",
    )  # fmt: skip
    assert "@" in entry["address"]
    assert entry["details"] == {"password": "***", "role": "viewer"}
    assert run(args=["user", "role", "nobody", "admin"]).exit_code == 1
    assert (last(api)["action"], last(api)["target"], last(api)["result"]) == (
        "user role", "nobody admin", "not-found",
    )  # fmt: skip
    assert "a good password" not in json.dumps(entries(api))
    assert run(args=["user", "reset-link", "ann"]).exit_code == 0
    assert (last(api)["action"], last(api)["target"], last(api)["result"]) == (
        "user reset-link",
        "ann",
        "done",
    )
