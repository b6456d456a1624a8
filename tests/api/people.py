"""People with roles and sites, and a fleet in two places, for the tests of who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charger_mgmt.access import accounts
from charger_mgmt.extensions import db

from ..support.server import USERNAME
from .conftest import Api

PASSWORD = "a good password"
MINE, FOREIGN, NOWHERE = "AT-MINE", "AT-FOREIGN", "AT-NONE"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_in(api: Api, username: str, password: str = PASSWORD) -> Any:
    answer = api.post("/api/auth/login", {"username": username, "password": password}, token=False)
    assert answer.status_code == 200, answer.text
    return answer.json


def person(api: Api, username: str, role: str, sites: list[int] | None = None) -> dict[str, str]:
    """A new account, logged in: its headers."""
    with api.app.app_context():
        accounts.create(db.engine, username, PASSWORD, role=role, sites=sites)
    return bearer(log_in(api, username)["accessToken"])


def key(api: Api, role: str, sites: list[int] | None = None, username: str = USERNAME) -> dict[str, str]:
    made = api.post("/api/keys", {"username": username, "name": "a key", "role": role, "sites": sites})
    assert made.status_code == 201, made.text
    return bearer(made.json["key"])


@dataclass
class Places:
    """Two sites with a charger and a session each, and a charger at none."""

    mine: int
    foreign: int
    #: Charger → its session.
    sessions: dict[str, int]


def places(api: Api, charger: Callable[..., Any]) -> Places:
    sites = [api.post("/api/sites", {"name": name}).json["siteId"] for name in ("Mine", "Foreign")]
    sessions = {}
    for identity, site in ((MINE, sites[0]), (FOREIGN, sites[1]), (NOWHERE, None)):
        connected = charger(identity)
        connected.boots()
        connected.reports(1, "Available")
        sessions[identity] = connected.starts(idTag=f"TAG-{identity}")["transactionId"]
        api.patch(f"/api/chargers/{identity}", {"siteId": site})
    return Places(sites[0], sites[1], sessions)
