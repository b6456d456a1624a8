"""Who may do what: every route by every role, at one's own sites and at others', with every kind of token."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from flask import Flask
from sqlalchemy import update

from charger_mgmt import clock
from charger_mgmt.access import accounts
from charger_mgmt.database.models import ApiKey, LogIn
from charger_mgmt.extensions import db

from ..support.server import USERNAME
from .conftest import DOCUMENT, Api, Charger
from .people import FOREIGN, MINE, NOWHERE, Places, bearer, key, log_in, person, places

Plug = Callable[..., Charger]
#: What decides is not the database's.
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

ROLES = ("viewer", "operator", "admin")
#: operationId → the least role, as an operator would expect it; "anyone" with a token; None: nobody is asked.
LEAST = {
    "login": None, "refresh": None, "resetPassword": None, "beginSignIn": None, "endSignIn": None,
    "live": None, "ready": None,
    "logout": "anyone", "showMe": "anyone", "listMyLogIns": "anyone", "endMyLogIn": "anyone",
    "changeMyPassword": "anyone", "openapi": "anyone",
    "listChargers": "viewer", "showCharger": "viewer", "listStatusChanges": "viewer", "listMeterValues": "viewer",
    "listEvents": "viewer", "listOddities": "viewer", "listCommands": "viewer", "showCommand": "viewer",
    "listTransactions": "viewer", "listTransactionsOfCharger": "viewer", "showTransaction": "viewer",
    "listTags": "viewer", "showTag": "viewer", "listInbox": "viewer", "listProcesses": "viewer",
    "listSites": "viewer", "showSite": "viewer",
    "listChargingProfiles": "viewer", "showChargingProfile": "viewer", "listInstalledProfiles": "viewer",
    "showLimit": "viewer", "createChargingProfile": "operator", "removeChargingProfile": "operator",
    "installChargingProfile": "operator", "clearChargingProfile": "operator", "askCompositeSchedule": "operator",
    "limitCharger": "operator", "unlimitCharger": "operator",
    "showLimits": "viewer", "limitTransaction": "operator",
    "showConformance": "viewer", "listMessages": "viewer", "listMessagesOfCharger": "viewer",
    "showLocalList": "viewer", "changeLocalList": "operator", "syncLocalList": "operator", "changeLocalLists": "operator",
    "listReservations": "viewer", "showReservation": "viewer", "listConfiguration": "viewer",
    "makeReservation": "operator", "cancelReservation": "operator",
    "changeConfiguration": "operator", "changeConfigurationOfMany": "operator", "refreshConfiguration": "operator",
    "startTransaction": "operator", "endTransaction": "operator", "closeTransaction": "operator",
    "sendCommand": "operator", "disconnectCharger": "operator", "createTag": "operator", "changeTag": "operator",
    "createCharger": "admin", "changeCharger": "admin", "removeCharger": "admin", "removeConnector": "admin",
    "createSite": "admin", "changeSite": "admin", "removeSite": "admin",
    "listUsers": "admin", "createUser": "admin", "showUser": "admin", "changeUser": "admin", "makeResetLink": "admin",
    "listLogIns": "admin", "endLogIns": "admin", "endLogIn": "admin",
    "listKeys": "admin", "createKey": "admin", "showKey": "admin", "changeKey": "admin", "endKey": "admin",
    "listAudit": "admin", "exportAudit": "admin",
}  # fmt: skip
#: What concerns the whole fleet: nobody who is limited to sites may do it.
WHOLE_FLEET = {
    "createTag", "changeTag", "createChargingProfile", "removeChargingProfile", "listProcesses", "createSite", "removeSite",
    "listUsers", "createUser", "showUser", "changeUser", "makeResetLink", "listLogIns", "endLogIns", "endLogIn",
    "listKeys", "createKey", "showKey", "changeKey", "endKey", "listAudit", "exportAudit",
}  # fmt: skip
OPERATIONS = [
    (path, method.upper(), operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


def path_of(path: str, charger: str, session: int, site: int) -> str:
    values = {
        "chargerId": charger, "transactionId": session, "siteId": site, "action": "Reset", "command": "Reset",
        "commandId": 1, "idTag": "TAG", "connectorId": 1, "username": "nobody", "logInId": 1, "keyId": 99,
        "reservationId": 999, "libraryId": 99, "profileId": 99,
    }  # fmt: skip
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    assert "{" not in path, path
    return path


def ask(api: Api, method: str, path: str, headers: dict[str, str]) -> Any:
    body = {"json": {}} if method in ("POST", "PATCH") else {}
    return api.client.open(path, method=method, headers=headers, **body)


@pytest.fixture
def fleet(api: Api, charger: Plug) -> Places:
    return places(api, charger)


def test_the_table_names_every_operation_and_the_document_says_the_same(backend: str) -> None:
    said = {
        operation["operationId"]: None
        if operation.get("security") == []
        else operation.get("x-role", "anyone")
        for _, _, operation in OPERATIONS
    }
    assert said | {"refresh": None} == LEAST


@pytest.mark.parametrize("by", ["token", "key"])
@pytest.mark.parametrize("role", ROLES)
def test_every_route_by_every_role(api: Api, fleet: Places, role: str, by: str) -> None:
    headers = person(api, "somebody", role) if by == "token" else key(api, role)
    for path, method, operation in OPERATIONS:
        least = LEAST[operation["operationId"]]
        if least is None or operation["operationId"] == "logout":
            continue
        answer = ask(api, method, path_of(path, MINE, fleet.sessions[MINE], fleet.mine), headers)
        may = least == "anyone" or ROLES.index(role) >= ROLES.index(least)
        own = by == "key" and operation["operationId"] in ("endMyLogIn", "changeMyPassword", "listMyLogIns")
        # An empty body is a bad one for most (400), and much is not there (404): these got in.
        expected = (403,) if not may else (400, 403) if own else (200, 201, 202, 204, 400, 404, 409, 502, 504)
        assert answer.status_code in expected, (operation["operationId"], role, answer.text)
        if answer.status_code == 403:
            assert answer.json["code"] == "forbidden"


@pytest.mark.parametrize("by", ["token", "key"])
@pytest.mark.parametrize("role", ROLES)
def test_every_route_at_a_foreign_site(api: Api, fleet: Places, role: str, by: str) -> None:
    """404 for what one may not see, in the words of what is not there at all."""
    sites = [fleet.mine]
    headers = person(api, "limited", role, sites) if by == "token" else key(api, role, sites)
    for path, method, operation in OPERATIONS:
        name = operation["operationId"]
        least = LEAST[name]
        if least in (None, "anyone") or ROLES.index(role) < ROLES.index(least):
            continue
        if name in WHOLE_FLEET:
            answer = ask(api, method, path_of(path, MINE, 1, fleet.mine), headers)
            assert answer.status_code == 403, (name, answer.text)
        if not any(part in path for part in ("{chargerId}", "{transactionId}", "{siteId}")):
            continue
        if name in WHOLE_FLEET:
            continue
        foreign, unknown = (
            ask(api, method, path_of(path, *where), headers)
            for where in ((FOREIGN, fleet.sessions[FOREIGN], fleet.foreign), ("UNKNOWN", 999_999, 999_999))
        )
        hidden = ("UNKNOWN", "999999")
        if name == "closeTransaction":  # the body is looked at first
            foreign, unknown = (
                api.client.post(f"/api/transactions/{number}/close", json={"reason": "x"}, headers=headers)
                for number in (fleet.sessions[FOREIGN], 999_999)
            )
        assert foreign.status_code == unknown.status_code == 404, (name, foreign.text, unknown.text)
        said = foreign.json["detail"]
        for ours, theirs in zip((FOREIGN, str(fleet.sessions[FOREIGN])), hidden, strict=True):
            said = said.replace(ours, theirs)
        if "{siteId}" not in path:
            assert said == unknown.json["detail"], name
        nowhere = ask(api, method, path_of(path, NOWHERE, fleet.sessions[NOWHERE], 999), headers)
        if name != "closeTransaction":
            assert nowhere.status_code == 404, (name, nowhere.text)


def test_lists_hold_what_is_at_ones_sites(api: Api, fleet: Places) -> None:
    limited = person(api, "limited", "viewer", [fleet.mine])
    for headers, expected in ((limited, {MINE}), (api.auth, {MINE, FOREIGN, NOWHERE})):
        for path in ("/api/chargers", "/api/transactions"):
            listed = api.get(path, headers=headers).json
            assert {each["identity"] for each in listed} == expected
    assert [each["name"] for each in api.get("/api/sites", headers=limited).json] == ["Mine"]
    assert api.get(f"/api/chargers?siteId={fleet.foreign}", headers=limited).json == []
    assert api.get(f"/api/transactions?siteId={fleet.foreign}", headers=limited).json == []
    assert [each["identity"] for each in api.get(f"/api/chargers?siteId={fleet.foreign}").json] == [FOREIGN]
    assert [each["identity"] for each in api.get(f"/api/transactions?siteId={fleet.foreign}").json] == [
        FOREIGN
    ]
    assert api.get(f"/api/transactions?chargerId={FOREIGN}", headers=limited).status_code == 404
    assert api.get(f"/api/inbox?chargerId={FOREIGN}", headers=limited).status_code == 404
    nothing = person(api, "nowhere", "admin", [])
    assert api.get("/api/chargers", headers=nothing).json == []
    assert api.get("/api/transactions", headers=nothing).json == []
    assert api.get("/api/sites", headers=nothing).json == []


def test_the_inbox_holds_what_is_at_ones_sites(api: Api, charger: Plug) -> None:
    fleet = places(api, charger)
    for identity in (MINE, FOREIGN):
        charger(identity).stops(77_777)
    limited = person(api, "limited", "viewer", [fleet.mine])
    assert {each["identity"] for each in api.get("/api/inbox").json} == {MINE, FOREIGN}
    assert {each["identity"] for each in api.get("/api/inbox", headers=limited).json} == {MINE}


def test_a_session_is_found_by_its_name_at_ones_sites_only(api: Api, charger: Plug) -> None:
    """Two sites have named a session alike: who sees one of them means that one."""
    fleet = places(api, charger)
    flat = {identity: charger(identity, flat=True) for identity in ("1", "2")}
    for identity, site in (("1", fleet.mine), ("2", fleet.foreign)):
        flat[identity].boots()
        api.patch(f"/api/chargers/{identity}", {"siteId": site})
        assert api.post(f"/api/transactions/{identity}/start", {"sessionId": "same"}).status_code == 201
    limited = person(api, "limited", "operator", [fleet.mine])
    assert api.post("/api/transactions/same/end").json["code"] == "ambiguous-session"
    ended = api.post("/api/transactions/same/end", headers=limited)
    assert (ended.status_code, ended.json["chargerId"]) == (200, 1)
    assert api.post("/api/transactions/same/end").json["chargerId"] == 2
    other = person(api, "other", "operator", [])
    assert api.post("/api/transactions/same/end", headers=other).status_code == 404


def test_reservations_and_configurations_at_ones_sites(api: Api, charger: Plug) -> None:
    fleet = places(api, charger)
    until_ = (clock.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    numbers = {}
    for identity in (MINE, FOREIGN):
        body = {"chargerId": identity, "idTag": "A", "connectorId": 2, "expiryDate": until_}
        numbers[identity] = api.post("/api/reservations", body).json["reservationId"]
    limited = person(api, "limited", "operator", [fleet.mine])
    assert [each["identity"] for each in api.get("/api/reservations", headers=limited).json] == [MINE]
    assert api.get(f"/api/reservations?chargerId={FOREIGN}", headers=limited).status_code == 404
    foreign, mine = (f"/api/reservations/{numbers[identity]}" for identity in (FOREIGN, MINE))
    assert api.get(foreign, headers=limited).status_code == 404
    assert api.post(f"{foreign}/cancel", headers=limited).status_code == 404
    assert api.post(f"{mine}/cancel", headers=limited).status_code == 200
    body = {"chargerId": FOREIGN, "idTag": "A", "connectorId": 1, "expiryDate": until_}
    assert api.post("/api/reservations", body, headers=limited).status_code == 404
    desired = {"chargerIds": [MINE, FOREIGN], "desired": {"ResetRetries": "2"}}
    assert api.patch("/api/configuration", desired, headers=limited).status_code == 404
    assert api.get(f"/api/chargers/{MINE}/configuration", headers=limited).json == []


def test_a_card_that_nobody_entered_is_known_where_it_was_seen(api: Api, fleet: Places) -> None:
    limited = person(api, "limited", "viewer", [fleet.mine])
    assert api.get(f"/api/tags/TAG-{MINE}", headers=limited).status_code == 200
    assert api.get(f"/api/tags/TAG-{FOREIGN}", headers=limited).status_code == 404
    assert api.get(f"/api/tags/TAG-{FOREIGN}").status_code == 200


def test_nobody_gives_away_or_takes_chargers_beyond_their_sites(api: Api, fleet: Places) -> None:
    limited = person(api, "limited", "admin", [fleet.mine])
    for wrong in (fleet.foreign, None, 999):
        answer = api.patch(f"/api/chargers/{MINE}", {"siteId": wrong}, headers=limited)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "siteId")
    for body in ({}, {"siteId": None}, {"siteId": fleet.foreign}):
        answer = api.post("/api/chargers", {"chargerId": "NEW"} | body, headers=limited)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "siteId")
    made = api.post("/api/chargers", {"chargerId": "NEW", "siteId": fleet.mine}, headers=limited)
    assert (made.status_code, made.json["siteId"]) == (201, fleet.mine)
    assert api.patch(f"/api/chargers/{MINE}", {"name": "ours"}, headers=limited).status_code == 200
    assert api.patch(f"/api/sites/{fleet.mine}", {"city": "Here"}, headers=limited).status_code == 200
    assert api.patch("/api/chargers/NEW", {"siteId": 999}).json["errors"][0]["field"] == "siteId"
    # Nor the history of one that was removed elsewhere.
    for identity in (FOREIGN, NOWHERE):
        api.post(f"/api/transactions/{fleet.sessions[identity]}/close", {"reason": "gone"})
        assert api.delete(f"/api/chargers/{identity}").status_code == 204
        body = {"chargerId": identity, "siteId": fleet.mine}
        assert api.post("/api/chargers", body, headers=limited).status_code == 409
        assert api.get(f"/api/transactions/{fleet.sessions[identity]}", headers=limited).status_code == 404


def test_a_new_limit_holds_from_the_next_request_on(api: Api, fleet: Places) -> None:
    headers = person(api, "somebody", "operator")
    assert api.get(f"/api/chargers/{FOREIGN}", headers=headers).status_code == 200
    api.patch("/api/users/somebody", {"sites": [fleet.mine]})
    assert api.get(f"/api/chargers/{FOREIGN}", headers=headers).status_code == 404
    api.patch("/api/users/somebody", {"role": "viewer", "sites": None})
    assert api.get(f"/api/chargers/{FOREIGN}", headers=headers).status_code == 200
    assert api.post(f"/api/chargers/{FOREIGN}/disconnect", headers=headers).status_code == 403


def test_old_sessions_of_some_chargers_are_found_page_by_page(api: Api, charger: Plug) -> None:
    """They are looked for in ever longer spans of time; no span may lose or repeat one."""
    fleet = places(api, charger)
    made = charger(MINE)
    hours = [1, 5, 7, 40, 47, 49, 60, 300, 450, 500, 3000, 3500, 3600, 8000, 20_000]
    expected = [fleet.sessions[MINE]]
    for ago in hours:
        began = clock.now() - timedelta(hours=ago)
        number = made.starts(began, idTag=f"T{ago}", connectorId=ago)["transactionId"]
        made.stops(number, began + timedelta(minutes=30), meterStop=2000)
        expected.append(number)
    limited = person(api, "limited", "viewer", [fleet.mine])
    for limit in (1, 2, 5, 100):
        seen: list[int] = []
        path: str | None = f"/api/transactions?limit={limit}"
        while path is not None:
            answer = api.get(path, headers=limited)
            seen += [each["transactionId"] for each in answer.json]
            link = answer.headers.get("Link")
            path = link[1:].partition(">")[0] if link else None
        assert seen == expected, limit
    for since, until in ((48, 0), (500, 40), (4000, 3400), (30_000, 7_000)):
        span = [clock.now() - timedelta(hours=hour) for hour in (since, until)]
        query = "&".join(
            f"{name}={moment.isoformat().replace('+00:00', 'Z')}"
            for name, moment in zip(("from", "to"), span, strict=True)
        )
        mine = api.get(f"/api/transactions?{query}", headers=limited).json
        all_of_mine = api.get(f"/api/transactions?{query}&chargerId={MINE}").json
        assert mine == all_of_mine


def lapsed(app: Flask, model: Any, **values: Any) -> None:
    with app.app_context(), db.engine.begin() as conn:
        conn.execute(update(model.__table__).values(**values))


def ended_tokens(api: Api, app: Flask) -> dict[str, str]:
    """Tokens that were good once, and some that never were, by what is wrong with them."""
    secret = "tests-only-secret-" + "x" * 32
    person(api, "leaver", "admin")
    tokens: dict[str, str] = {}
    tokens["expired key"] = key(api, "admin")["Authorization"][7:]
    lapsed(app, ApiKey, expires_at=clock.now())
    tokens["key of a disabled account"] = key(api, "admin", username="leaver")["Authorization"][7:]
    tokens["disabled account"] = log_in(api, "leaver")["accessToken"]
    api.patch("/api/users/leaver", {"active": False})
    made = api.post("/api/keys", {"username": USERNAME, "name": "x", "role": "admin"}).json
    api.delete(f"/api/keys/{made['keyId']}")
    tokens["ended key"] = made["key"]
    person(api, "goer", "admin")
    tokens["logged out"] = log_in(api, "goer")["accessToken"]
    api.post("/api/auth/logout", headers=bearer(tokens["logged out"]))
    twice = log_in(api, "goer")
    new = api.post("/api/auth/refresh", headers=bearer(twice["refreshToken"])).json
    assert api.post("/api/auth/refresh", headers=bearer(twice["refreshToken"])).status_code == 401
    tokens["of a log-in that was refreshed twice"] = new["accessToken"]
    tokens["refresh token for an access token"] = log_in(api, "goer")["refreshToken"]
    good = jwt.decode(log_in(api, "goer")["accessToken"], secret, ["HS256"])
    tokens["expired"] = jwt.encode(good | {"exp": int(time.time()) - 60}, secret, "HS256")
    tokens["another's secret, our kid"] = jwt.encode(
        good, "y" * 40, "HS256", headers={"kid": jwt.get_unverified_header(tokens["disabled account"])["kid"]}
    )
    tokens["made-up key"] = "cmk_" + "x" * 43
    tokens["half a key"] = key(api, "admin")["Authorization"][7:30]
    tokens["nothing"] = ""
    return tokens


def test_every_route_with_every_token_that_is_not_good(api: Api, app: Flask) -> None:
    tokens = ended_tokens(api, app)
    opened = [
        (kind, operation["operationId"], answer.status_code)
        for kind, token in tokens.items()
        for path, method, operation in OPERATIONS
        if operation.get("security") != []
        and (kind, operation["operationId"]) != ("refresh token for an access token", "refresh")
        for answer in [ask(api, method, path_of(path, MINE, 1, 1), bearer(token) if token else {})]
        if answer.status_code != 401
    ]
    assert opened == []


def test_a_log_in_ends_when_it_is_idle_and_when_it_is_old(api: Api, app: Flask) -> None:
    person(api, "somebody", "viewer")
    for column, ago in (("refreshed_at", 1801), ("created_at", 43_201)):
        tokens = log_in(api, "somebody")
        assert api.get("/api/auth/me", headers=bearer(tokens["accessToken"])).status_code == 200
        lapsed(app, LogIn, **{column: clock.now() - timedelta(seconds=ago)})
        assert api.get("/api/auth/me", headers=bearer(tokens["accessToken"])).status_code == 401
        assert api.post("/api/auth/refresh", headers=bearer(tokens["refreshToken"])).status_code == 401


def test_a_key_may_do_no_more_than_its_account(api: Api, fleet: Places) -> None:
    person(api, "somebody", "operator", [fleet.mine])
    headers = key(api, "admin", username="somebody")
    assert api.get("/api/auth/me", headers=headers).json == {
        "username": "somebody", "role": "operator", "sites": [fleet.mine], "by": "key",
    }  # fmt: skip
    headers = key(api, "viewer", [fleet.foreign], username="somebody")
    assert api.get("/api/auth/me", headers=headers).json["sites"] == []
    assert api.get("/api/auth/me", headers=headers).json["role"] == "viewer"
    api.patch("/api/users/somebody", {"role": "viewer"})
    headers = key(api, "operator", username="somebody")
    assert api.post(f"/api/chargers/{MINE}/disconnect", headers=headers).status_code == 403


def test_a_view_without_a_declaration_is_nobodys_but_an_admins(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.view_functions, "api.tags.list_tags", lambda: "secret")
    for role, expected in (("viewer", 403), ("operator", 403), ("admin", 200)):
        headers = person(api, f"a {role}", role)
        assert api.client.get("/api/tags", headers=headers).status_code == expected


def test_a_new_secret_takes_over_while_the_one_before_is_believed(
    api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from charger_mgmt import create_app

    from ..support.settings import settings_for

    before = log_in(api, USERNAME, "a long enough password")
    old = "tests-only-secret-" + "x" * 32
    with app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
    changed = create_app(settings_for(url, jwt_secret_key="n" * 40, jwt_previous_secret_keys=(old,)))
    client = changed.test_client()
    for token in (before["accessToken"],):
        assert client.get("/api/auth/me", headers=bearer(token)).status_code == 200
    new = client.post("/api/auth/refresh", headers=bearer(before["refreshToken"])).json
    kids = [jwt.get_unverified_header(each["accessToken"])["kid"] for each in (before, new)]
    assert len(set(kids)) == 2
    assert api.get("/api/auth/me", headers=bearer(new["accessToken"])).status_code == 401
    gone = create_app(settings_for(url, jwt_secret_key="n" * 40)).test_client()
    assert gone.get("/api/auth/me", headers=bearer(new["accessToken"])).status_code == 200
    assert gone.get("/api/auth/me", headers=bearer(before["accessToken"])).status_code == 401


def test_nobody_can_lock_everybody_out(api: Api) -> None:
    """The last admin of the whole fleet with a password stays one, whatever is tried."""
    for change in ({"active": False}, {"role": "viewer"}, {"sites": []}):
        answer = api.patch(f"/api/users/{USERNAME}", change)
        assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    api.post("/api/users", {"username": "without password", "role": "admin"})
    api.post(
        "/api/users", {"username": "limited", "role": "admin", "sites": [], "password": "a good password"}
    )
    assert api.patch(f"/api/users/{USERNAME}", {"role": "viewer"}).status_code == 409
    api.post("/api/users", {"username": "second", "role": "admin", "password": "a good password"})
    assert api.patch(f"/api/users/{USERNAME}", {"role": "viewer"}).status_code == 200
    second = bearer(log_in(api, "second")["accessToken"])
    assert api.patch("/api/users/second", {"active": False}, headers=second).status_code == 409


def test_accounts_with_odd_names_can_be_reached(api: Api, app: Flask) -> None:
    for name in ("a/b", "ä ö", "50%", "x?y#z", "ann@example.com", "'; DROP TABLE users; --"):
        assert api.post("/api/users", {"username": name, "role": "viewer"}).status_code == 201
        assert api.get(f"/api/users/{quote(name, safe='')}").json["username"] == name
    for bad in (".", "..", " x", "x\n", "", "system", "x" * 81):
        assert api.post("/api/users", {"username": bad, "role": "viewer"}).status_code == 400
    with app.app_context():
        assert accounts.has_any(db.engine)
