"""Chargers as operators see and change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from charger_mgmt.chargers import passwords
from charger_mgmt.database.models import Charger as ChargerRow
from charger_mgmt.database.models import Inbox
from tests.live.support import until

from .conftest import Api, Charger

Plug = Callable[..., Charger]
Rows = Callable[[Any], list[Any]]


def follow(api: Api, path: str) -> list[list[Any]]:
    """All pages of a list, by their Link headers."""
    pages = []
    while path:
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json)
        link = answer.headers.get("Link", "")
        path = link[1 : link.index(">")] if link else ""
        assert len(pages) < 50
    return pages


def test_the_payloads_that_the_user_fixed(api: Api, charger: Plug) -> None:
    charger("1").reports(1, "Available")
    charger("2").reports(1, "Charging")
    fixed = [{"chargerId": 1, "status": "Available"}, {"chargerId": 2, "status": "Charging"}]
    assert [
        {key: row[key] for key in ("chargerId", "status")} for row in api.get("/api/chargers").json
    ] == fixed
    assert api.get("/api/chargers/1").json.items() >= fixed[0].items()


@pytest.mark.parametrize(
    ("identity", "written"),
    [("1", 1), ("007", "007"), ("CP001", "CP001"), ("9007199254740992", "9007199254740992")],
)
def test_an_identity_is_a_number_only_in_its_canonical_form(
    api: Api, charger: Plug, identity: str, written: Any
) -> None:
    charger(identity)
    answer = api.get(f"/api/chargers/{identity}").json
    assert (answer["chargerId"], answer["identity"]) == (written, identity)


def test_an_identity_with_odd_characters_is_percent_encoded(api: Api, charger: Plug) -> None:
    charger("Büro 7%")
    assert api.get("/api/chargers/B%C3%BCro%207%25").json["chargerId"] == "Büro 7%"


def test_details_show_connectors_and_open_transactions(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.boots()
    made.reports(0, "Available")
    made.reports(1, "Faulted", errorCode="GroundFailure", info="wet", vendorErrorCode="E7")
    made.reports(2, "Charging", timestamp="2025-03-30T12:00:00Z")
    transaction_id = made.starts(connectorId=2)["transactionId"]
    shown = api.get("/api/chargers/CP1").json
    assert (shown["status"], shown["hasFault"], shown["connected"]) == ("Charging", True, True)
    assert (shown["vendor"], shown["model"], shown["registration"]) == ("ChargerCo", "EVChargerX", "Accepted")
    assert shown["connectedSince"] is not None
    assert [c["status"] for c in shown["connectors"]] == ["Available", "Faulted", "Charging"]
    assert shown["connectors"][1]["errorCode"] == "GroundFailure"
    assert shown["connectors"][2]["timestamp"] == "2025-03-30T12:00:00.000Z"
    assert [t["transactionId"] for t in shown["openTransactions"]] == [transaction_id]


def test_lists_are_filtered(api: Api, charger: Plug) -> None:
    charger("CP1").reports(1, "Faulted")
    charger("CP2").reports(1, "Available")
    ready = charger("CP3")
    ready.reports(1, "Available")
    ready.disconnects()
    api.patch("/api/chargers/CP2", {"city": "Ulm"})

    def found(query: str) -> list[str]:
        return [row["identity"] for row in api.get(f"/api/chargers?{query}").json]

    assert found("status=Available") == ["CP2", "CP3"]
    assert found("hasFault=true") == ["CP1"]
    assert found("connected=false") == ["CP3"]
    assert found("status=Available&connected=true") == ["CP2"]
    assert found("q=ulm") == ["CP2"]
    assert found("q=cp") == ["CP1", "CP2", "CP3"]


def test_lists_are_paged(api: Api, charger: Plug) -> None:
    names = [f"CP{number}" for number in range(5)]
    for name in reversed(names):
        charger(name).reports(1, "Available")
    pages = follow(api, "/api/chargers?limit=2&status=Available")
    assert [[row["identity"] for row in page] for page in pages] == [names[:2], names[2:4], names[4:]]
    assert len(api.get("/api/chargers").json) == 5


def test_a_charger_is_created_ahead(api: Api) -> None:
    answer = api.post(
        "/api/chargers", {"chargerId": 7, "name": "Gate", "latitude": 48.1234567, "country": "DE"}
    )
    assert answer.status_code == 201
    assert api.get(answer.headers["Location"]).json.items() >= {
        "chargerId": 7, "name": "Gate", "latitude": 48.123457, "country": "DE", "approved": True,
        "status": "Unavailable", "connected": False,
    }.items()  # fmt: skip
    assert api.post("/api/chargers", {"chargerId": "7"}).status_code == 409


def test_a_change_leaves_the_rest(api: Api, charger: Plug) -> None:
    charger("CP1")
    api.patch("/api/chargers/CP1", {"name": "Gate", "city": "Ulm", "longitude": 9.99})
    shown = api.patch("/api/chargers/CP1", {"city": None, "postalCode": "89073"}).json
    assert (shown["name"], shown["city"], shown["postalCode"], shown["longitude"]) == (
        "Gate",
        None,
        "89073",
        9.99,
    )
    assert api.patch("/api/chargers/CP1", {}).status_code == 200


def test_a_password_is_stored_as_its_hash_and_never_shown(api: Api, charger: Plug, rows: Rows) -> None:
    charger("CP1")
    answer = api.patch("/api/chargers/CP1", {"password": "correct horse battery"})
    assert answer.json["hasPassword"] is True
    assert "horse" not in answer.text
    stored = rows(ChargerRow)[0].password_hash
    assert "horse" not in stored
    assert passwords.matches(stored, b"correct horse battery")
    assert not passwords.matches(stored, b"another horse battery")
    assert api.patch("/api/chargers/CP1", {"password": None}).json["hasPassword"] is False


def test_one_password_has_two_hashes() -> None:
    assert passwords.hashed(b"x" * 16) != passwords.hashed(b"x" * 16)


@pytest.mark.settings(charger_onboarding="approve")
def test_an_approved_charger_is_asked_for_its_boot(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    assert made.boots()["status"] == "Pending"
    assert api.patch("/api/chargers/CP1", {"approved": True}).json["approved"] is True
    until(lambda: api.get("/api/chargers/CP1/commands").json)
    commands = api.get("/api/chargers/CP1/commands").json
    assert [(c["action"], c["payload"], c["requestedBy"]) for c in commands] == [
        ("TriggerMessage", {"requestedMessage": "BootNotification"}, "system")
    ]
    assert made.boots()["status"] == "Accepted"


@pytest.mark.settings(charger_onboarding="approve")
def test_a_charger_without_automatic_calls_is_not_asked(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.boots()
    api.patch("/api/chargers/CP1", {"automaticCalls": False, "approved": True})
    assert api.get("/api/chargers/CP1/commands").json == []


def test_status_history_and_events_come_newest_first_in_pages(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    made.boots()
    for status in ("Available", "Preparing", "Charging"):
        made.reports(1, status)
    pages = follow(api, "/api/chargers/CP1/status-history?connectorId=1&limit=2")
    assert [[row["status"] for row in page] for page in pages] == [["Charging", "Preparing"], ["Available"]]
    summaries = api.get("/api/chargers/CP1/status-history").json
    assert "Charging" in [row["status"] for row in summaries if row["connectorId"] is None]
    kinds = [row["kind"] for page in follow(api, "/api/chargers/CP1/events?limit=1") for row in page]
    assert kinds == ["BootNotification", "Connected"]
    assert len(api.get("/api/chargers/CP1/events?kind=BootNotification").json) == 1


def test_the_inbox_shows_what_could_not_be_stored(api: Api, charger: Plug, rows: Rows) -> None:
    made = charger("CP1")
    made.stops(4711)
    made.stops(4712)
    assert len(rows(Inbox)) == 2
    pages = follow(api, "/api/inbox?limit=1&kind=orphan-stop&chargerId=CP1")
    assert [page[0]["action"] for page in pages] == ["StopTransaction"] * 2
    assert "4712" in pages[0][0]["raw"]
    assert api.get("/api/inbox?kind=poison").json == []
    assert api.get("/api/inbox?chargerId=CP2").status_code == 404


def test_half_a_character_from_a_charger_does_not_break_a_list(api: Api, charger: Plug) -> None:
    charger("CP1").sends("DataTransfer", {"vendorId": "\ud800", "data": "x\x00\udfff"})
    assert api.get("/api/chargers/CP1/events").status_code == 200
