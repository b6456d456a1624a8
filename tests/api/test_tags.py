"""idTags as operators keep them."""

from __future__ import annotations

from collections.abc import Callable

from .conftest import Api, Charger
from .test_chargers import follow


def test_a_tag_is_created_and_found_in_whatever_case(api: Api) -> None:
    answer = api.post("/api/tags", {"idTag": "Card-9", "maxActiveTransactions": 1})
    assert answer.status_code == 201
    found = api.get("/api/tags/cARD-9").json
    assert found.items() >= {"idTag": "Card-9", "status": "Accepted", "maxActiveTransactions": 1}.items()
    assert api.post("/api/tags", {"idTag": "CARD-9"}).status_code == 409


def test_a_tag_is_changed_and_the_rest_stays(api: Api) -> None:
    api.post("/api/tags", {"idTag": "CARD-9", "parentIdTag": "FLEET"})
    answer = api.patch("/api/tags/card-9", {"status": "Blocked", "expiryDate": "2030-01-01T01:00:00.5+01:00"})
    assert answer.json.items() >= {
        "status": "Blocked", "expiryDate": "2030-01-01T00:00:00.500Z", "parentIdTag": "FLEET"
    }.items()  # fmt: skip
    assert api.patch("/api/tags/CARD-9", {"expiryDate": None}).json["expiryDate"] is None


def test_a_tag_keeps_its_name(api: Api) -> None:
    api.post("/api/tags", {"idTag": "CARD-9"})
    assert api.patch("/api/tags/CARD-9", {"idTag": "CARD-9", "status": "Expired"}).status_code == 200
    assert api.patch("/api/tags/CARD-9", {"idTag": "CARD-8"}).status_code == 400


def test_a_blocked_tag_cannot_charge(api: Api, charger: Callable[..., Charger]) -> None:
    api.post("/api/tags", {"idTag": "CARD-9", "status": "Blocked"})
    answer = charger("CP1").sends("Authorize", {"idTag": "card-9"})
    assert answer.payload["idTagInfo"]["status"] == "Blocked"


def test_tags_are_listed_in_pages(api: Api) -> None:
    for number in (3, 1, 2):
        api.post("/api/tags", {"idTag": f"CARD-{number}", "status": "Blocked" if number == 3 else "Accepted"})
    pages = follow(api, "/api/tags?limit=2")
    assert [[tag["idTag"] for tag in page] for page in pages] == [["CARD-1", "CARD-2"], ["CARD-3"]]
    assert [tag["idTag"] for tag in api.get("/api/tags?status=Blocked").json] == ["CARD-3"]


def test_one_use_tags_are_not_shown(api: Api, charger: Callable[..., Charger]) -> None:
    made = charger("CP1")
    made.answers["RemoteStartTransaction"] = {"status": "Rejected"}
    api.post("/api/transactions/CP1/start", {"sessionId": "ABC123"})
    ((_, payload),) = made.asked
    assert api.get("/api/tags").json == []
    assert api.get(f"/api/tags/{payload['idTag']}").status_code == 404
    assert api.patch(f"/api/tags/{payload['idTag']}", {"status": "Blocked"}).status_code == 404
