"""The conditions of the OCTT, for every case: strict schemas, and nothing that nobody has asked for.

A case runs against a real server. When it ends, every frame that its chargers got must have been valid; where the
module's server has AUTOMATIC_CALLS=off (and FOLLOW_UP_DELAY=0, so that there would be no wait), every call must
have been an operator's.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.chargers import ChargerFactory, Operator, Tags
from tests.support.server import GunicornServer, Response

from .strict import StrictCharger


class CountedOperator(Operator):
    """An operator of whom it is known which calls to chargers he has asked for."""

    def __init__(self, request: Callable[..., Response]) -> None:
        super().__init__(request)
        self.asked: Counter[str] = Counter()

    def starts(self, charger: Any, session: str = "S1", **fields: Any) -> Response:
        self.asked["RemoteStartTransaction"] += 1
        return super().starts(charger, session, **fields)

    def ends(self, transaction: Any, **fields: Any) -> Response:
        self.asked["RemoteStopTransaction"] += 1
        return super().ends(transaction, **fields)

    def commands(self, charger: Any, action: str, **payload: Any) -> Response:
        self.asked[action] += 1
        return super().commands(charger, action, **payload)

    def command(self, charger: Any, number: int) -> dict[str, Any]:
        """A command's record, now."""
        return self.get(f"/api/chargers/{charger.identity}/commands/{number}").json


@pytest.fixture
def wire_operator(server: GunicornServer) -> CountedOperator:
    return CountedOperator(lambda method, path, body: server.request(method, path, body))


@pytest.fixture
def operator(wire_operator: CountedOperator) -> CountedOperator:
    return wire_operator


@pytest.fixture
def tags(wire_tags: Tags) -> Tags:
    return wire_tags


@pytest.fixture
def charger_class(
    wire_operator: CountedOperator, request: pytest.FixtureRequest
) -> Iterator[Callable[..., StrictCharger]]:
    """Makes strict chargers, and judges at the end what they have met."""
    made: list[StrictCharger] = []

    def make(*arguments: Any, **options: Any) -> StrictCharger:
        made.append(StrictCharger(*arguments, **options))
        return made[-1]

    yield make
    assert [fault for charger in made for fault in charger.faults] == []
    if getattr(request.module, "SERVER_ENVIRON", {}).get("AUTOMATIC_CALLS") == "off":
        heard = Counter(action for charger in made for action in charger.actions())
        assert heard - wire_operator.asked == Counter(), "calls that no operator has asked for"


@pytest.fixture
def identity() -> str:
    """The identity of a charger that the server has never met."""
    return f"CP-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def cold_charger(wire_charger: ChargerFactory, identity: str) -> StrictCharger:
    """A charger that has not connected yet. It has two connectors."""
    return wire_charger(identity)


@pytest.fixture
def charger(cold_charger: StrictCharger) -> StrictCharger:
    """The OCTT's state Booted: accepted, every connector Available."""
    cold_charger.starts_up()
    assert cold_charger.registration == "Accepted"
    return cold_charger


@pytest.fixture
def other_charger(wire_charger: ChargerFactory) -> StrictCharger:
    """Another one, in the state Booted."""
    charger = wire_charger(f"CP-{uuid.uuid4().hex[:12]}")
    charger.starts_up()
    return charger


@pytest.fixture
def new_tag(tags: Tags) -> Callable[..., str]:
    """Enters a tag that nobody else uses: `new_tag("Blocked")`, `new_tag(expires=…)`."""

    def make(status: str = "Accepted", **options: Any) -> str:
        tag = uuid.uuid4().hex[:16].upper()
        tags.add(tag, status, **options)
        return tag

    return make


@pytest.fixture
def card(new_tag: Callable[..., str]) -> str:
    """An idTag that may charge."""
    return new_tag()


@pytest.fixture
def session(charger: StrictCharger, card: str) -> Any:
    """The OCTT's state Charging: authorized, plugged in, started, on connector 1."""
    assert charger.authorizes(card).status == "Accepted"
    charger.reports(1, "Preparing")
    started = charger.starts(1, card, meter=1000)
    assert started.status == "Accepted"
    charger.reports(1, "Charging")
    return started
