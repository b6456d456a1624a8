"""Chargers, tags and operators with verbs, in memory and over the wire.

def test_blocked_tag_cannot_charge(charger, tags):
    tags.block("CARD-9")
    charger.boots()
    assert charger.starts(connector=1, tag="CARD-9").status == "Blocked"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from charger_mgmt.simulate.charger import FakeCharger
from charger_mgmt.simulate.flat import FlatCharger
from charger_mgmt.simulate.speaking import SpeakingCharger
from charger_mgmt.simulate.wire import WireTransport, basic_credentials, charger_url

from .memory import MemoryTransport
from .server import GunicornServer, Response

#: Seconds that a charger of the tests waits for an answer.
CALL_TIMEOUT = 15.0
#: Options of the connection; everything else is the charger's.
_CONNECTION = ("subprotocols", "answers_pings", "connect_timeout")

ChargerFactory = Callable[..., FakeCharger]


def _headers(identity: str, password: str | bytes | None) -> list[tuple[str, str]]:
    return [] if password is None else [("Authorization", basic_credentials(identity, password))]


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    line = {name: options.pop(name) for name in _CONNECTION if name in options}
    return line, {"call_timeout": CALL_TIMEOUT} | options


def _hang_up(chargers: list[SpeakingCharger]) -> None:
    for charger in chargers:
        charger.rests(within=2)
        charger.hangs_up()


@pytest.fixture
def charger_class() -> Callable[..., FakeCharger]:
    """What the fixtures below make; a folder may put a stricter charger in its place."""
    return FakeCharger


# Chargers in memory


@pytest.fixture
def chargers(app: Flask, charger_class: Callable[..., FakeCharger]) -> Iterator[ChargerFactory]:
    """Makes chargers in memory: `chargers("CP-2", connectors=1, password="…", subprotocols=[…])`."""
    made: list[SpeakingCharger] = []

    def make(identity: str = "CP-1", *, password: str | bytes | None = None, **options: Any) -> FakeCharger:
        line, options = _split(options)
        transport = MemoryTransport(app, identity, headers=_headers(identity, password), **line)
        charger = charger_class(identity, transport, **options)
        made.append(charger)
        return charger

    yield make
    _hang_up(made)


@pytest.fixture
def charger(chargers: ChargerFactory) -> FakeCharger:
    """The charger CP-1 in memory. It dials in with the first thing that it says."""
    return chargers("CP-1")


@pytest.fixture
def flat_chargers(app: Flask) -> Iterator[Callable[..., FlatCharger]]:
    """Makes flat chargers in memory: `flat_chargers(2)`."""
    made: list[SpeakingCharger] = []

    def make(
        charger_id: int | str = 1, *, password: str | bytes | None = None, **options: Any
    ) -> FlatCharger:
        transport = MemoryTransport(app, None, headers=_headers(str(charger_id), password))
        charger = FlatCharger(charger_id, transport, **{"call_timeout": CALL_TIMEOUT} | options)
        made.append(charger)
        return charger

    yield make
    _hang_up(made)


@pytest.fixture
def flat_charger(flat_chargers: Callable[..., FlatCharger]) -> FlatCharger:
    """The flat charger 1 in memory."""
    return flat_chargers(1)


# Chargers over the wire


@pytest.fixture
def wire_charger(
    server: GunicornServer, charger_class: Callable[..., FakeCharger]
) -> Iterator[ChargerFactory]:
    """Makes chargers that dial the real server: `wire_charger("CP-1", password=b"…", url=…)`."""
    made: list[SpeakingCharger] = []

    def make(
        identity: str = "CP-1",
        *,
        password: str | bytes | None = None,
        url: str | None = None,
        headers: list[tuple[str, str]] | None = None,
        **options: Any,
    ) -> FakeCharger:
        line, options = _split(options)
        given = [*_headers(identity, password), *(headers or [])]
        transport = WireTransport(url or charger_url(server.ocpp_url, identity), headers=given, **line)
        charger = charger_class(identity, transport, **options)
        made.append(charger)
        return charger

    yield make
    _hang_up(made)


@pytest.fixture
def wire_flat_charger(server: GunicornServer) -> Iterator[Callable[..., FlatCharger]]:
    """Makes flat chargers that dial the real server."""
    made: list[SpeakingCharger] = []

    def make(
        charger_id: int | str = 1, *, password: str | bytes | None = None, **options: Any
    ) -> FlatCharger:
        transport = WireTransport(
            server.ocpp_url, subprotocols=(), headers=_headers(str(charger_id), password)
        )
        charger = FlatCharger(charger_id, transport, **{"call_timeout": CALL_TIMEOUT} | options)
        made.append(charger)
        return charger

    yield make
    _hang_up(made)


# Operators


class Operator:
    """An operator at the REST API. Verbs that look return JSON; verbs that act return the Response."""

    def __init__(self, request: Callable[..., Response]) -> None:
        self._request = request

    def get(self, path: str, **query: Any) -> Response:
        return self._request("GET", path + (f"?{urlencode(query)}" if query else ""), None)

    def post(self, path: str, body: Any = None) -> Response:
        return self._request("POST", path, body)

    def patch(self, path: str, body: Any) -> Response:
        return self._request("PATCH", path, body)

    def starts(self, charger: Any, session: str = "S1", **fields: Any) -> Response:
        """POST …/start; `fields`: connectorId, idTag."""
        return self.post(f"/api/transactions/{_name(charger)}/start", {"sessionId": session} | fields)

    def ends(self, transaction: Any, **fields: Any) -> Response:
        """POST …/end, by transactionId or sessionId."""
        return self.post(f"/api/transactions/{quote(str(transaction), safe='')}/end", fields or None)

    def commands(self, charger: Any, action: str, **payload: Any) -> Response:
        """POST …/commands/{action} with the OCPP payload."""
        return self.post(f"/api/chargers/{_name(charger)}/commands/{action}", payload)

    def approves(self, charger: Any) -> Response:
        return self.patch(f"/api/chargers/{_name(charger)}", {"approved": True})

    def sees(self, charger: Any) -> dict[str, Any]:
        """The charger as the API shows it."""
        return self._seen(f"/api/chargers/{_name(charger)}")

    def sees_all(self, **query: Any) -> list[dict[str, Any]]:
        return self._seen("/api/chargers", **query)

    def history(self, charger: Any, **query: Any) -> list[dict[str, Any]]:
        """The charger's sessions, newest first; `query`: **{"from": …, "to": …}, limit, …"""
        return self._seen(f"/api/transactions/charger/{_name(charger)}", **query)

    def transaction(self, number: int) -> dict[str, Any]:
        """One session with its meter values."""
        return self._seen(f"/api/transactions/{number}")

    def _seen(self, path: str, **query: Any) -> Any:
        answer = self.get(path, **query)
        assert answer.status == 200, f"{path}: {answer.status} {answer.text}"
        return answer.json


class Tags:
    """idTags, by way of the API."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def add(
        self,
        tag: str,
        status: str = "Accepted",
        *,
        parent: str | None = None,
        expires: datetime | None = None,
        max_active_transactions: int | None = None,
    ) -> None:
        """Create the tag, or change it."""
        body = {
            "status": status,
            "parentIdTag": parent,
            "expiryDate": expires.isoformat() if expires else None,
            "maxActiveTransactions": max_active_transactions,
        }
        answer = self._operator.post("/api/tags", {"idTag": tag} | body)
        if answer.status == 409:
            answer = self._operator.patch(f"/api/tags/{quote(tag, safe='')}", body)
        assert answer.status in (200, 201), answer.text

    def block(self, tag: str) -> None:
        self.add(tag, "Blocked")

    def expire(self, tag: str) -> None:
        """Its date has passed; its status still says Accepted."""
        self.add(tag, expires=datetime(2020, 1, 1, tzinfo=UTC))


def _name(charger: Any) -> str:
    return quote(str(getattr(charger, "identity", charger)), safe="")


@pytest.fixture
def operator(client: FlaskClient, auth: dict[str, str]) -> Operator:
    """A logged-in operator of the application in memory."""

    def request(method: str, path: str, body: Any) -> Response:
        answer = client.open(path, method=method, json=body, headers=auth)
        return Response(
            answer.status_code, {key.lower(): value for key, value in answer.headers}, answer.text
        )

    return Operator(request)


@pytest.fixture
def wire_operator(server: GunicornServer) -> Operator:
    """A logged-in operator of the real server."""
    return Operator(lambda method, path, body: server.request(method, path, body))


@pytest.fixture
def tags(operator: Operator) -> Tags:
    """The idTags of the application in memory."""
    return Tags(operator)


@pytest.fixture
def wire_tags(wire_operator: Operator) -> Tags:
    """The idTags of the real server."""
    return Tags(wire_operator)
