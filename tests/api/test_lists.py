"""What operators look for in lists, and names with odd characters in paths."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import insert

from charger_mgmt import clock
from charger_mgmt.database import pages
from charger_mgmt.database.models import Charger as ChargerRow
from charger_mgmt.domain.authorisation import RELATIVE
from charger_mgmt.extensions import db

from .conftest import Api, Charger
from .test_chargers import follow

Plug = Callable[..., Charger]
ODD_TAGS = [
    "A/B",
    "/",
    "A/",
    "//",
    "a;b",
    "a?b",
    "a#b",
    "a%b",
    "a%2Fb",
    "%",
    "a b",
    "...",
    "a&b=c",
    "a+b",
    "'\"<>",
    "~",
]
ODD_SESSIONS = [*ODD_TAGS, "Ünï/cødé", "充电", "a/../b", "./x", "é"]


def metered(value: float | str, at: str = "2026-11-22T10:00:00Z", **fields) -> dict:
    return {"timestamp": at, "sampledValue": [{"value": str(value), **fields}]}


# Odd characters


@pytest.mark.parametrize("tag", ODD_TAGS)
def test_every_card_that_can_be_created_can_be_blocked(api: Api, charger: Plug, tag: str) -> None:
    made = api.post("/api/tags", {"idTag": tag})
    assert made.status_code == 201
    assert made.headers["Location"] == f"/api/tags/{quote(tag, safe='')}"
    assert api.get(made.headers["Location"]).json["idTag"] == tag
    assert api.patch(made.headers["Location"], {"status": "Blocked"}).json["status"] == "Blocked"
    assert charger("CP1").sends("Authorize", {"idTag": tag}).payload["idTagInfo"]["status"] == "Blocked"


@pytest.mark.parametrize("name", RELATIVE)
def test_what_no_client_can_name_in_a_path_is_refused(api: Api, charger: Plug, name: str) -> None:
    charger("CP1")
    for path, body, field in (
        ("/api/tags", {"idTag": name}, "idTag"),
        ("/api/transactions/CP1/start", {"sessionId": name}, "sessionId"),
        ("/api/chargers", {"chargerId": name}, "chargerId"),
    ):
        answer = api.post(path, body)
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.mark.parametrize("name", ODD_SESSIONS)
def test_every_session_that_can_be_started_can_be_ended_and_closed(
    api: Api, charger: Plug, name: str
) -> None:
    flat = charger("7", flat=True)
    for action in ("end", "close"):
        flat.sends("StartTransaction", {"connectorId": 1, "idTag": "X", "meterStart": 0, "sessionId": name,
                                       "timestamp": f"2026-11-22T1{len(action)}:00:00Z"})  # fmt: skip
        answer = api.post(
            f"/api/transactions/{quote(name, safe='')}/{action}",
            {"force": True} if action == "end" else {"reason": "lost"},
        )
        assert (answer.status_code, answer.json["sessionId"]) == (200, name)


def test_a_slash_that_is_not_escaped_is_still_a_path(api: Api) -> None:
    api.post("/api/tags", {"idTag": "A/B"})
    assert api.client.get("/api/tags/A/B", headers=api.auth).status_code == 404
    assert api.client.get("/api%2Ftags", headers=api.auth).status_code == 404
    assert api.client.get("/api/tags/A%00B", headers=api.auth).status_code == 404


def test_the_next_page_of_an_odd_charger_is_found(api: Api, charger: Plug) -> None:
    odd = charger("A B%2FC;é?#")
    for connector in range(5):
        odd.sends(
            "StatusNotification", {"connectorId": connector, "status": "Available", "errorCode": "NoError"}
        )
    path = f"/api/chargers/{quote(odd.identity, safe='')}/status-history?limit=2"
    assert sum(len(page) for page in follow(api, path)) == 6


# Cards that are known only from sessions


def test_a_card_that_sessions_name_is_shown_and_blocked(api: Api, charger: Plug) -> None:
    seen = charger("CP1")
    seen.sends(
        "StartTransaction",
        {"connectorId": 1, "idTag": "Seen/1", "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"},
    )
    shown = api.get("/api/tags/SEEN%2F1").json
    assert (shown["idTag"], shown["status"], shown["entered"]) == ("Seen/1", "Accepted", False)
    assert api.get("/api/tags").json == []
    assert api.patch("/api/tags/seen%2F1", {}).json["entered"] is False
    changed = api.patch("/api/tags/seen%2F1", {"status": "Blocked"}).json
    assert (changed["idTag"], changed["status"], changed["entered"]) == ("Seen/1", "Blocked", True)
    assert seen.sends("Authorize", {"idTag": "seen/1"}).payload["idTagInfo"]["status"] == "Blocked"
    assert api.get("/api/tags/nobody").status_code == 404
    assert api.patch("/api/tags/nobody", {"status": "Blocked"}).status_code == 404


@pytest.mark.settings(unknown_tags="invalid")
def test_a_card_that_sessions_name_is_not_let_in_by_a_change_of_something_else(
    api: Api, charger: Plug
) -> None:
    charger("CP1").sends(
        "StartTransaction",
        {"connectorId": 1, "idTag": "S", "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"},
    )
    assert api.get("/api/tags/S").json["status"] == "Invalid"
    assert api.patch("/api/tags/S", {"maxActiveTransactions": 1}).json["status"] == "Invalid"


def test_a_long_card_is_blocked_whole(api: Api, charger: Plug) -> None:
    seen, long = charger("CP1"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    seen.sends(
        "StartTransaction",
        {"connectorId": 1, "idTag": long, "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"},
    )
    assert api.patch(f"/api/tags/{long}", {"status": "Blocked"}).json["status"] == "Blocked"
    other = seen.sends(
        "StartTransaction",
        {"connectorId": 1, "idTag": long, "meterStart": 5, "timestamp": "2026-11-22T11:00:00Z"},
    )
    assert other.payload["idTagInfo"]["status"] == "Blocked"


# Chargers


def test_the_list_says_what_is_broken_and_since_when_one_is_gone(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.sends("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    for connector, status, error in ((1, "Faulted", "GroundFailure"), (2, "Available", "NoError")):
        made.sends("StatusNotification", {"connectorId": connector, "status": status, "errorCode": error,
                                         "vendorErrorCode": "E7" if connector == 1 else None})  # fmt: skip
    (shown,) = api.get("/api/chargers").json
    assert [(f["connectorId"], f["errorCode"], f["vendorErrorCode"]) for f in shown["faults"]] == [
        (1, "GroundFailure", "E7")
    ]
    assert shown["connectedSince"]
    assert shown["disconnectedAt"] is None
    assert api.get("/api/chargers/CP1").json["faults"] == shown["faults"]
    made.disconnects(reason="the connection broke: reset")
    (shown,) = api.get("/api/chargers").json
    assert shown["connectedSince"] is None
    assert shown["disconnectedAt"]
    assert shown["disconnectedReason"] == "the connection broke: reset"


def test_a_connector_is_removed(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.sends("StatusNotification", {"connectorId": 3, "status": "Faulted", "errorCode": "OtherError"})
    assert api.get("/api/chargers/CP1").json["connectors"][0]["retiredAt"] is None
    assert api.delete("/api/chargers/CP1/connectors/3").status_code == 204
    assert api.get("/api/chargers/CP1").json["connectors"] == []
    for gone in ("3", "03", "x", "-1", "99999999999"):
        assert api.delete(f"/api/chargers/CP1/connectors/{gone}").status_code == 404
    assert api.delete("/api/chargers/NOBODY/connectors/1").status_code == 404


def test_events_and_status_history_of_a_time(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.sends("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    made.sends("StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"})
    for path in ("events", "status-history"):
        every = api.get(f"/api/chargers/CP1/{path}").json
        oldest, newest = every[-1]["receivedAt"], every[0]["receivedAt"]
        found = api.get(f"/api/chargers/CP1/{path}?from={oldest}&to=2999-01-01T00:00:00Z").json
        assert found == every
        assert api.get(f"/api/chargers/CP1/{path}?to={oldest}").json == []
        assert api.get(f"/api/chargers/CP1/{path}?from={newest}").json[0] == every[0]
        assert (
            api.get(f"/api/chargers/CP1/{path}?from=2030-01-02T00:00:00Z&to=2030-01-01T00:00:00Z").status_code
            == 400
        )
        assert api.get(f"/api/chargers/CP1/{path}?from=yesterday").status_code == 400


# Meter values


def test_samples_outside_of_sessions(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    number = made.sends(
        "StartTransaction",
        {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-11-22T09:00:00Z"},
    ).payload["transactionId"]
    made.sends("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [metered(5)]})
    made.sends(
        "StopTransaction", {"transactionId": number, "meterStop": 6, "timestamp": "2026-11-22T09:30:00Z"}
    )
    for connector, hour in ((0, 10), (2, 11), (2, 12)):
        sample = metered(100 * hour, f"2026-11-22T{hour}:00:00Z", measurand="Energy.Active.Import.Register")
        made.sends(
            "MeterValues",
            {
                "connectorId": connector,
                "meterValue": [sample, metered(230, f"2026-11-22T{hour}:00:01Z", measurand="Voltage")],
            },
        )
    path = "/api/chargers/CP1/meter-values"
    found = api.get(path).json
    assert len(found) == 6
    assert all(sample["value"] != 5 for sample in found)
    assert [s["connectorId"] for s in api.get(f"{path}?connectorId=0").json] == [0, 0]
    energy = api.get(f"{path}?measurand=Energy.Active.Import.Register").json
    assert [s["value"] for s in energy] == [1200, 1100, 1000]
    span = api.get(f"{path}?from=2026-11-22T11:00:00Z&to=2026-11-22T12:00:00Z&measurand=Voltage").json
    assert [s["timestamp"] for s in span] == ["2026-11-22T11:00:01.000Z"]
    assert [len(page) for page in follow(api, f"{path}?limit=4")] == [4, 2]
    assert api.get("/api/chargers/NOBODY/meter-values").status_code == 404


def test_a_running_session_shows_its_energy_as_provisional(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    number = made.sends(
        "StartTransaction",
        {"connectorId": 1, "idTag": "A", "meterStart": 1000, "timestamp": "2026-11-22T09:00:00Z"},
    ).payload["transactionId"]
    shown = api.get(f"/api/transactions/{number}").json
    assert (shown["energyWh"], shown["energyIsProvisional"]) == (None, False)
    values = [metered(1500), metered(230, measurand="Voltage")]
    made.sends("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})
    (listed,) = api.get("/api/transactions/charger/CP1").json
    assert (listed["energyWh"], listed["energyIsProvisional"]) == (500, True)
    filtered = api.get(f"/api/transactions/{number}?measurand=Voltage").json["meterValues"]
    assert [sample["value"] for sample in filtered] == [230]
    made.sends(
        "StopTransaction", {"transactionId": number, "meterStop": 1600, "timestamp": "2026-11-22T12:00:00Z"}
    )
    shown = api.get(f"/api/transactions/{number}").json
    assert (shown["energyWh"], shown["energyIsProvisional"]) == (600, False)


# Pages have a size in bytes, too


def test_pages_of_long_texts_end_early_and_miss_nothing(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.boots()
    session = made.starts()["transactionId"]
    for number in range(5):
        made.sends("DataTransfer", {"vendorId": f"v{number}", "data": "x" * 700_000})
        signed = metered(f"{number}{'y' * 700_000}", f"2026-11-22T10:0{number}:00Z", format="SignedData")
        made.sends("MeterValues", {"connectorId": 1, "transactionId": session, "meterValue": [signed]})
    events = follow(api, "/api/chargers/CP1/events?kind=DataTransfer")
    assert [len(page) for page in events] == [2, 2, 1]
    assert [event["detail"]["vendorId"] for page in events for event in page] == [
        "v4",
        "v3",
        "v2",
        "v1",
        "v0",
    ]
    sessions = follow(api, f"/api/transactions/{session}")
    assert [len(page["meterValues"]) for page in sessions] == [2, 2, 1]
    assert [sample["raw"][0] for page in sessions for sample in page["meterValues"]] == [
        "0",
        "1",
        "2",
        "3",
        "4",
    ]


def test_a_single_row_may_be_longer_than_a_page(
    api: Api, charger: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LONGEST_PAGE", 10)
    made = charger("CP1")
    for number in range(3):
        made.stops(4711 + number)
    assert [len(page) for page in follow(api, "/api/inbox")] == [1, 1, 1]


def test_a_list_of_chargers_without_a_limit_has_one(api: Api, app: Flask) -> None:
    now = clock.now()
    rows = [{"identity": f"C{number:04}", "status": "Unavailable", "status_at": now, "created_at": now,
             "approved": True} for number in range(2003)]  # fmt: skip
    with app.app_context(), db.engine.begin() as conn:
        conn.execute(insert(ChargerRow.__table__), rows)
    found = follow(api, "/api/chargers")
    assert [len(page) for page in found] == [1000, 1000, 3]
    assert [row["chargerId"] for page in found for row in page] == [row["identity"] for row in rows]
    assert len(api.get("/api/chargers?limit=2000").json) == 2000
