"""How far a charger keeps to the specification, as an operator reads it."""

from __future__ import annotations

from collections.abc import Callable

from .conftest import Api, Charger


def test_each_deviation_stands_once_with_what_covers_it(api: Api, charger: Callable[..., Charger]) -> None:
    made = charger("CP1")
    assert api.get("/api/chargers/CP1/conformance").json == {
        "strict": False, "allowMissingSubprotocol": False, "allowWithoutPassword": False, "deviations": [],
    }  # fmt: skip
    for _ in range(3):
        made.sends("DataTransfer", {"vendorId": "v"}, oddities=("extra-field",))
    made.sends(
        "MeterValues",
        {
            "connectorId": 1,
            "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [{"value": "1"}]}],
        },
        oddities=("number-as-text",),
    )
    api.patch("/api/chargers/CP1", {"strict": True, "allowMissingSubprotocol": True})
    shown = api.get("/api/chargers/CP1/conformance").json
    assert (shown["strict"], shown["allowMissingSubprotocol"]) == (True, True)
    found = {(each["action"], each["kind"]): each for each in shown["deviations"]}
    assert {key: each["allowance"] for key, each in found.items()} == {
        ("DataTransfer", "extra-field"): "strict: false",
        ("MeterValues", "number-as-text"): "always",
    }
    assert found["DataTransfer", "extra-field"]["count"] == 3
    assert "vendorId" in found["DataTransfer", "extra-field"]["lastRaw"]
    assert api.get("/api/chargers/NOBODY/conformance").status_code == 404
