"""Whatever a client sends, the answer is a problem that names what is wrong: 4xx, never 500."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from charger_mgmt import errors
from charger_mgmt.database.models import Charger as ChargerRow
from charger_mgmt.extensions import db

from .conftest import Api, Charger

Plug = Callable[..., Charger]
DEEP = b"[" * 100_000
BODIES = {
    "nothing": b"",
    "noise": b"{",
    "bad UTF-8": b'{"sessionId": "\xff"}',
    "half a character": b'{"sessionId": "\\ud800"}',
    "half a character in the middle": b'{"sessionId": "a\\udc00b"}',
    "NUL": b'{"sessionId": "a\\u0000b"}',
    "NaN": b'{"sessionId": "a", "connectorId": NaN}',
    "infinity": b'{"sessionId": "a", "connectorId": 1e999}',
    "a huge number": b'{"sessionId": "a", "connectorId": ' + b"9" * 400 + b"}",
    "a huger number": b'{"sessionId": "a", "connectorId": ' + b"9" * 6000 + b"}",
    "a 64-bit number": b'{"sessionId": "a", "connectorId": 9223372036854775808}',
    "a float": b'{"sessionId": "a", "connectorId": 1.0}',
    "true for a number": b'{"sessionId": "a", "connectorId": true}',
    "a number for a text": b'{"sessionId": 7}',
    "null": b'{"sessionId": null}',
    "an empty text": b'{"sessionId": ""}',
    "a long text": b'{"sessionId": "' + b"a" * 256 + b'"}',
    "a list": b"[]",
    "a text": b'"x"',
    "deep": DEEP,
    "deep inside": b'{"sessionId": ' + DEEP,
    "nested": b'{"sessionId": ' + b"[" * 500 + b"]" * 500 + b"}",
    "an unknown field": b'{"sessionId": "a", "conectorId": 1}',
    "a blank at the tag's end": b'{"sessionId": "a", "idTag": "CARD "}',
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_bad_body_is_400(api: Api, charger: Plug, kind: str) -> None:
    charger("CP1")
    answer = api.call(
        "POST", "/api/transactions/CP1/start", data=BODIES[kind], headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json["code"]) == (400, "invalid-input"), answer.text


def test_every_bad_field_is_named(api: Api) -> None:
    answer = api.post(
        "/api/tags", {"idTag": 7, "status": "Odd", "expiryDate": "2025-03-30T12:00:00", "colour": 1}
    )
    found = {error["field"]: error["message"] for error in answer.json["errors"]}
    assert set(found) == {"idTag", "status", "expiryDate", "colour"}
    assert "time zone" in found["expiryDate"]


def test_a_bad_payload_is_named_by_its_place(api: Api, charger: Plug) -> None:
    charger("CP1")
    answer = api.post(
        "/api/chargers/CP1/commands/ChangeAvailability", {"connectorId": "1", "type": "Operative"}
    )
    assert [error["field"] for error in answer.json["errors"]] == ["/connectorId"]


QUERIES = (
    "limit=0",
    "limit=1001",
    "limit=1.0",
    "limit=1e3",
    "limit=%D9%A1",
    "limit=1_0",
    f"limit={'9' * 5000}",
    "limit=",
    "limit=1&limit=2",
    "form=2025-01-01T00:00:00Z",
    "from=2025-01-01",
    "from=2025-01-01T00:00:00",
    "from=0000-01-01T00:00:00Z",
    "from=0001-01-01T00:00:00%2B14:00",
    "from=9999-12-31T23:59:59-14:00",
    "from=2025-02-30T00:00:00Z",
    "from=2025-01-01T25:00:00Z",
    "from=%D9%A2025-01-01T00:00:00Z",
    "from=2025-01-02T00:00:00Z&to=2025-01-01T00:00:00Z",
    "status=Running",
    "status=In%20Progress%00",
    "connectorId=-1",
    "connectorId=99999999999999999999",
    "idTag=a%00b",
    f"idTag={'a' * 3000}",
    "cursor=x",
    "cursor=%FF%FE",
    "cursor=W10",
    "cursor=WzFd",
    "cursor=Wy0xLDFd",  # [-1,1]
    "cursor=WzEuNSwxXQ",  # [1.5,1]
    "cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OSwxXQ",  # [99999999999999999,1]
    "cursor=WzEsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0",  # [1,999999999999999999999]
    f"cursor={'A' * 900}",
    f"cursor={'W1' * 2000}",
)


@pytest.mark.parametrize("query", QUERIES)
def test_a_bad_query_is_400_and_names_the_parameter(api: Api, query: str) -> None:
    answer = api.get(f"/api/transactions?{query}")
    assert answer.status_code == 400, answer.text
    assert {error["field"] for error in answer.json["errors"]} <= {
        part.split("=")[0] for part in query.split("&")
    }


INJECTIONS = ("' OR '1'='1", "1; DROP TABLE chargers", '" --', "%' OR 1=1 #", "\\", "%s", ":x", "_", "%", "/")


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_a_search_finds_nothing(api: Api, charger: Plug, text: str) -> None:
    charger("CP1")
    assert api.get("/api/chargers", query_string={"q": text}).json == []
    assert api.get("/api/transactions", query_string={"idTag": text}).json == []
    assert len(api.get("/api/chargers").json) == 1


@pytest.mark.parametrize(
    "name",
    ["' OR '1'='1", "nobody", "%00", "%FF", "a" * 5000, "%F0%9F%94%8C", "..%5C", "CP1%20", "cp1", "%25s"],
)
def test_an_unknown_charger_is_404(api: Api, charger: Plug, name: str) -> None:
    charger("CP1")
    for path in ("", "/status-history", "/events", "/commands", "/commands/1"):
        assert api.get(f"/api/chargers/{name}{path}").status_code == 404
    assert api.get(f"/api/transactions/charger/{name}").status_code == 404
    assert api.post(f"/api/transactions/{name}/start", {"sessionId": "a"}).status_code == 404
    assert api.patch(f"/api/chargers/{name}", {"city": "Ulm"}).status_code == 404


@pytest.mark.parametrize("name", ["0", "-1", "1.0", "99999999999", "9" * 400, "%D9%A1", "abc", "%00"])
def test_an_unknown_transaction_is_404(api: Api, name: str) -> None:
    assert api.get(f"/api/transactions/{name}").status_code == 404
    assert api.post(f"/api/transactions/{name}/end").status_code == 404


@pytest.mark.parametrize("name", ["0", "-1", "1.0", "9" * 18, "9" * 400, "abc", "%00"])
def test_an_unknown_command_is_404(api: Api, charger: Plug, name: str) -> None:
    charger("CP1")
    assert api.get(f"/api/chargers/CP1/commands/{name}").status_code == 404


@pytest.mark.parametrize("name", ["nothing", "%00", "%FF", "a" * 3000, "' OR 1=1", "%C3%9F" * 20])
def test_an_unknown_tag_is_404(api: Api, name: str) -> None:
    assert api.get(f"/api/tags/{name}").status_code == 404
    assert api.patch(f"/api/tags/{name}", {"status": "Blocked"}).status_code == 404


@pytest.mark.parametrize(
    "identity",
    ["", " CP1", "CP1 ", "a/b", "a:b", "a\x00b", "a" * 129, -1, 1.0, 2**53, True, None, [1], {"a": 1}],
)
def test_an_identity_that_cannot_dial_in_is_400(api: Api, identity: Any) -> None:
    answer = api.post("/api/chargers", {"chargerId": identity})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "chargerId")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "fifteen bytes.."),
        ("password", "x" * 65),
        ("password", 7),
        ("approved", None),
        ("approved", "true"),
        ("country", "de"),
        ("country", "DEU"),
        ("latitude", 90.1),
        ("latitude", "48"),
        ("latitude", 10**400),
        ("longitude", -181),
        ("name", "x" * 256),
        ("name", "a\nb"),
        ("status", "Available"),
        ("identity", "CP2"),
    ],
)
def test_a_bad_change_of_a_charger_is_400(api: Api, charger: Plug, field: str, value: Any) -> None:
    charger("CP1")
    answer = api.patch("/api/chargers/CP1", {field: value})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json.get("errors", [{"field": field}])] == [field]


def test_a_body_that_is_not_json_is_415(api: Api) -> None:
    assert api.call("POST", "/api/tags", data="idTag=a").status_code == 415
    assert api.call("POST", "/api/tags").status_code == 415


def test_unknown_paths_are_404(api: Api) -> None:
    answer = api.get("/api/nothing")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_wrong_method_is_405_and_says_which_are_right(api: Api) -> None:
    answer = api.call("DELETE", "/api/tags")
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.mark.settings(max_request_bytes=1024)
def test_a_body_that_is_too_large_is_413(api: Api, app: Flask) -> None:
    answer = api.client.post("/api/tags", json={"idTag": "x" * 2000}, headers=api.auth)
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")


def test_a_defect_of_ours_is_500_without_internals(app: Flask) -> None:
    with app.test_request_context("/api/chargers"):
        answer = app.make_response(app.handle_user_exception(RuntimeError("secret internals")))
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert b"secret" not in answer.data


@pytest.mark.parametrize("error", [errors.DatabaseAway(), OperationalError("x", {}, Exception(2006, "gone"))])
def test_a_database_that_is_away_is_503(app: Flask, error: Exception) -> None:
    with app.test_request_context("/api/chargers"):
        answer = app.make_response(app.handle_user_exception(error))
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database-away")
    assert int(answer.headers["Retry-After"]) > 0


def test_missing_tables_are_503(app: Flask, api: Api) -> None:
    """Not a bad request, and not ready: the database is not what it should be."""
    with app.app_context(), db.engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE watch RENAME TO watched")
    try:
        ready = api.get("/health/ready", token=False)
    finally:
        with app.app_context(), db.engine.begin() as conn:
            conn.exec_driver_sql("ALTER TABLE watched RENAME TO watch")
    assert ready.status_code == 503


def test_health_needs_no_token(api: Api) -> None:
    assert api.get("/health/live", token=False).json == {"status": "live"}
    assert api.get("/health/ready", token=False).json == {"status": "ready"}


def test_nothing_bad_was_stored(api: Api, rows: Callable[[Any], list[Any]]) -> None:
    api.post("/api/chargers", {"chargerId": "CP9", "password": "short"})
    assert rows(ChargerRow) == []
