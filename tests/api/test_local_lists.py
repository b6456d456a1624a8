"""Which chargers' local lists are kept like the tags, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

from charger_mgmt.local_list import keeping
from charger_mgmt.serving.process import process_of

from .conftest import Api, Charger
from .people import person, places
from .test_commands import until

Plug = Callable[..., Charger]
PATH = "/api/chargers/CP1/local-list"


def holding(made: Charger) -> Charger:
    """A charger that holds a list: its version stands in `version`."""
    made.version = 0

    def send(payload: dict[str, Any]) -> dict[str, Any]:
        made.version = payload["listVersion"]
        return {"status": "Accepted"}

    made.answers |= {
        "GetLocalListVersion": lambda _payload: {"listVersion": made.version},
        "SendLocalList": send,
        "GetConfiguration": {},
    }
    return made


def in_sync(api: Api) -> bool:
    return api.get(PATH).json["inSync"]


def waiting(api: Api) -> None:
    keeping.apply_waiting(process_of(api.app).central)
    gevent.sleep(0.05)


def test_a_list_that_is_wanted_is_written_and_kept(api: Api, charger: Plug) -> None:
    made = holding(charger("CP1"))
    made.boots()
    assert api.get(PATH).json == {
        "wanted": False, "version": None, "supported": None, "inSync": False, "changes": None, "tags": 0,
        "longest": None, "answer": None, "answeredAt": None,
    }  # fmt: skip
    api.post("/api/tags", {"idTag": "CARD"})
    waiting(api)
    assert made.asked == []
    assert api.patch(PATH, {"wanted": True}).json["wanted"] is True
    until(lambda: in_sync(api))
    # A blocked card reaches it by itself.
    api.patch("/api/tags/CARD", {"status": "Blocked"})
    assert api.get(PATH).json["changes"] == 1
    waiting(api)
    until(lambda: in_sync(api))
    action, payload = made.asked[-1]
    assert (action, payload["updateType"]) == ("SendLocalList", "Differential")
    assert payload["localAuthorizationList"] == [{"idTag": "CARD", "idTagInfo": {"status": "Blocked"}}]
    asked = len(made.asked)
    waiting(api)
    assert len(made.asked) == asked
    api.patch(PATH, {"wanted": False})
    api.patch("/api/tags/CARD", {"status": "Accepted"})
    waiting(api)
    assert len(made.asked) == asked


def test_one_use_tags_are_in_no_list(api: Api, charger: Plug) -> None:
    made = holding(charger("CP1"))
    made.boots()
    api.patch(PATH, {"wanted": True})
    until(lambda: in_sync(api))
    api.post("/api/transactions/CP1/start", {"sessionId": "s", "connectorId": 1})
    assert in_sync(api)
    assert api.get(PATH).json["tags"] == 0


def test_a_charger_that_comes_later_gets_its_list_then(api: Api, charger: Plug) -> None:
    api.post("/api/chargers", {"chargerId": "CP1"})
    api.post("/api/tags", {"idTag": "CARD"})
    api.patch(PATH, {"wanted": True})
    assert api.post(f"{PATH}/sync").json["code"] == "charger-offline"
    made = holding(charger("CP1"))
    waiting(api)
    assert made.asked == []  # it has not booted
    made.boots()
    waiting(api)
    until(lambda: in_sync(api))


def test_many_lists_at_once(api: Api, charger: Plug) -> None:
    fleet = places(api, charger)
    names = ["AT-MINE", "AT-FOREIGN"]
    body = {"chargerIds": names, "wanted": True}
    assert api.patch("/api/local-lists", body).status_code == 204
    assert [api.get(f"/api/chargers/{name}/local-list").json["wanted"] for name in names] == [True, True]
    limited = person(api, "limited", "operator", [fleet.mine])
    assert api.patch("/api/local-lists", body, headers=limited).status_code == 404
    for bad in ([], "AT-MINE", [""], [None], ["x"] * 1001):
        answer = api.patch("/api/local-lists", {"chargerIds": bad, "wanted": True})
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "chargerIds")
