"""What holds on every process: revocation, limits; and that no secret is ever written down."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from charger_mgmt.database.models import Base
from tests.support.mariadb import MariaDB
from tests.support.redis import Redis
from tests.support.server import PASSWORD, USERNAME, GunicornServer

from .raw import booted
from .test_fleet import beside

pytestmark = pytest.mark.wire

SETTINGS = {"AUTOMATIC_CALLS": "off", "LEASE_SECONDS": "15", "CALL_TIMEOUT": "3", "OPERATOR_WAIT": "4"}
GOOD = "a good password"


@pytest.fixture(scope="module")
def two(mariadb: MariaDB) -> Iterator[tuple[GunicornServer, GunicornServer]]:
    """Two servers on one database, with a Redis between them."""
    with (
        Redis() as redis,
        GunicornServer(mariadb.create_database(), SETTINGS | {"REDIS_URL": redis.url}) as one,
        beside(one) as other,
    ):
        yield one, other
        assert one.alarms() == other.alarms() == []


def log_in(server: GunicornServer, username: str, password: str = GOOD) -> dict[str, str]:
    answer = server.post("/api/auth/login", {"username": username, "password": password}, token=None)
    assert answer.status == 200, answer
    return answer.json


def me(server: GunicornServer, token: str) -> int:
    return server.get("/api/auth/me", token=token).status


@pytest.mark.mariadb
@pytest.mark.parametrize(
    "how", ["log out", "disable", "password", "twice refreshed", "by an admin", "key", "role", "everywhere"]
)
def test_what_is_revoked_here_is_revoked_there(two: tuple[GunicornServer, GunicornServer], how: str) -> None:
    one, other = two
    name = f"to be {how}"
    one.post("/api/users", {"username": name, "role": "operator", "password": GOOD})
    tokens = log_in(one, name)
    token = tokens["accessToken"]
    if how == "key":
        made = one.post("/api/keys", {"username": name, "name": "k", "role": "operator"}).json
        token = made["key"]
    assert me(other, token) == 200
    path = f"/api/users/{name.replace(' ', '%20')}"
    if how == "log out":
        one.post("/api/auth/logout", token=token)
    elif how == "everywhere":
        one.post("/api/auth/logout", {"everywhere": True}, token=log_in(one, name)["accessToken"])
    elif how == "disable":
        one.patch(path, {"active": False})
    elif how == "password":
        change = {"oldPassword": GOOD, "password": "another good password"}
        assert one.post("/api/auth/password", change, token=token).status == 204
    elif how == "twice refreshed":
        for server, status in ((one, 200), (other, 401)):
            assert server.post("/api/auth/refresh", token=tokens["refreshToken"]).status == status
    elif how == "by an admin":
        one.request("DELETE", f"{path}/log-ins")
    elif how == "key":
        one.request("DELETE", f"/api/keys/{made['keyId']}")
    elif how == "role":
        one.patch(path, {"role": "viewer"})
        assert other.post("/api/chargers/X/disconnect", token=token).status == 403
        return
    began = time.monotonic()
    assert me(other, token) == 401
    assert time.monotonic() - began < 1.0
    if how in ("log out", "key"):
        other.restart()
        assert me(other, token) == 401


@pytest.mark.mariadb
def test_a_refresh_token_is_good_once_however_many_come_at_once(
    two: tuple[GunicornServer, GunicornServer],
) -> None:
    two[0].post("/api/users", {"username": "racer", "role": "viewer", "password": GOOD})
    token = log_in(two[0], "racer")["refreshToken"]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(two[n % 2].post, "/api/auth/refresh", token=token) for n in range(16)]
        answers = [each.result().status for each in asked]
    assert answers.count(200) == 1
    assert set(answers) <= {200, 401}


@pytest.mark.mariadb
def test_two_admins_cannot_disable_each_other(two: tuple[GunicornServer, GunicornServer]) -> None:
    """However close together: one of them stays."""
    one, _ = two
    names = ("first chief", "second chief")
    for name in names:
        one.post("/api/users", {"username": name, "role": "admin", "password": GOOD})
    tokens = [log_in(one, name)["accessToken"] for name in names]
    # The operator's own account steps down, so that these two are the last.
    stepped_down = one.patch(f"/api/users/{USERNAME}", {"role": "viewer"})
    assert stepped_down.status == 200
    barrier = threading.Barrier(2)

    def disable(server: GunicornServer, token: str, whom: str) -> int:
        barrier.wait()
        return server.patch(f"/api/users/{whom.replace(' ', '%20')}", {"active": False}, token=token).status

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(disable, two, tokens, reversed(names)))
    assert sorted(done) in ([200, 401], [200, 409]), done
    left = tokens[done.index(200)]
    assert me(one, left) == 200
    assert one.patch(f"/api/users/{USERNAME}", {"role": "admin"}, token=left).status == 200


SECRETS = {
    "a user's password": "planted-Password-1",
    "a new password": "planted-Password-2",
    "a wrong password": "planted-Password-3",
    "a password for a name": "planted-Password-4",
    "a charger's password": "planted-Password-5",
    "a charger's key": "planted-Password-6",
    "a bad token": "planted.Token.7",
    "a bad key": "cmk_planted8",
    "a reset password": "planted-Password-9",
    "a password in a bad body": "planted-Password-10",
}


def test_no_secret_is_ever_written_down(tmp_path: Path) -> None:
    """They are planted wherever one can come in; then the log, the database, every list and export are searched."""
    database = tmp_path / "chargers.sqlite3"
    environ = {"ACCESS_LOG": "on", "LOG_LEVEL": "DEBUG", "AUTOMATIC_CALLS": "off"}
    given: dict[str, str] = {}
    with GunicornServer(f"sqlite:///{database}", environ) as server:
        user = {"username": "ann", "role": "admin", "password": SECRETS["a user's password"]}
        assert server.post("/api/users", user).status == 201
        tokens = log_in(server, "ann", SECRETS["a user's password"])
        given |= {f"ann's {name}": tokens[name] for name in ("accessToken", "refreshToken", "deviceToken")}
        change = {"oldPassword": SECRETS["a user's password"], "password": SECRETS["a new password"]}
        assert server.post("/api/auth/password", change, token=tokens["accessToken"]).status == 204
        for login in (
            {"username": "ann", "password": SECRETS["a wrong password"]},
            {"username": SECRETS["a password for a name"], "password": "x"},
            {"username": "ann", "password": [SECRETS["a password in a bad body"]]},
            {"username": "ann", SECRETS["a password in a bad body"]: "x"},
        ):
            assert server.post("/api/auth/login", login, token=None).status in (400, 401)
        reset = server.post("/api/users/ann/reset-link").json["resetToken"]
        given["a reset token"] = reset
        body = {"resetToken": reset, "password": SECRETS["a reset password"]}
        assert server.post("/api/auth/password-reset", body, token=None).status == 204
        given["a key"] = server.post("/api/keys", {"username": "ann", "name": "k", "role": "admin"}).json[
            "key"
        ]
        assert me(server, given["a key"]) == 200
        for bad in (SECRETS["a bad token"], SECRETS["a bad key"]):
            assert me(server, bad) == 401
        charger = {"chargerId": "CP1", "password": SECRETS["a charger's password"]}
        assert server.post("/api/chargers", charger).status == 201
        charger["password"] = SECRETS["a charger's password"] + "x"
        assert server.patch("/api/chargers/CP1", {"password": charger["password"]}).status == 200
        with booted(server, "CP2") as socket:
            payload = {"key": "AuthorizationKey", "value": SECRETS["a charger's key"] + "-is-long"}
            asked = threading.Thread(
                target=server.post, args=("/api/chargers/CP2/commands/ChangeConfiguration", payload)
            )
            asked.start()
            call = socket.hears_json()
            assert call[3]["value"] == payload["value"]  # the charger itself is told
            socket.says(json.dumps([3, call[1], {"status": "Accepted"}]))
            asked.join(10)
        desired = {"desired": {"AuthorizationKey": SECRETS["a charger's key"]}}
        for path, body in (
            ("/api/chargers/CP1/configuration", desired),
            ("/api/configuration", desired | {"chargerIds": ["CP1"]}),
        ):
            assert server.patch(path, body).status == 400
        given["the operator's token"] = server.token()
        given["the operator's password"] = PASSWORD
        paths = [
            "/api/audit?limit=1000", "/api/audit/export", "/api/users", "/api/keys", "/api/auth/log-ins",
            "/api/chargers", "/api/chargers/CP1", "/api/chargers/CP2", "/api/chargers/CP2/commands",
            "/api/chargers/CP2/events", "/api/inbox", "/api/processes", "/api/sites",
        ]  # fmt: skip
        written = {path: server.get(path).text for path in paths}
        for command in (("audit", "export"), ("audit", "list"), ("user", "list"), ("key", "list")):
            written[" ".join(command)] = server.flask(*command)
        written["log"] = server.log()
        assert server.alarms() == []
    with contextlib.closing(sqlite3.connect(database)) as conn:
        written["database"] = "\n".join(conn.iterdump())
    assert "createKey" in written["database"]
    assert "createKey" in written["/api/audit/export"]
    assert set(Base.metadata.tables) <= set(re.findall(r'CREATE TABLE "?(\w+)', written["database"]))
    found = [
        (what, where)
        for what, secret in (SECRETS | given).items()
        for where, text in written.items()
        if secret in text
    ]
    assert found == []


@pytest.mark.parametrize("target", ["//[://", "//[", "http://[", "/api//[://x", "*"])
def test_a_target_that_is_none_is_no_fault_of_ours(target: str, tmp_path: Path) -> None:
    with GunicornServer(f"sqlite:///{tmp_path / 'odd.sqlite3'}") as server:
        with socket.create_connection((server.host, server.port), timeout=10) as line:
            line.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            status = line.makefile("rb").readline().split()[1]
        assert 400 <= int(status) < 500
        assert server.alarms() == []
