"""Vendors' own messages: answered by who understands them, as specified by who does not."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, insert

from charger_mgmt import clock
from charger_mgmt.chargers import vendors
from charger_mgmt.chargers.vendors import Understood, vendor
from charger_mgmt.database.models import ChargerEvent


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendors, "_VENDORS", {})

    @vendor("com.example", "Ping")
    def ping(conn: Connection, charger_id: int, data: str | None) -> Understood:
        return Understood("Accepted", f"pong {data}")

    @vendor("com.example")
    def plain(conn: Connection, charger_id: int, data: str | None) -> Understood:
        return Understood("Rejected")

    @vendor("com.example", "Breaks")
    def breaks(conn: Connection, charger_id: int, data: str | None) -> Understood:
        conn.execute(
            insert(ChargerEvent).values(
                charger_id=charger_id, kind="Half", detail={}, received_at=clock.now()
            )
        )
        raise RuntimeError("no idea")

    @vendor("com.example", "Nonsense")
    def nonsense(conn: Connection, charger_id: int, data: str | None) -> Understood:
        return Understood("Maybe")


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (
            {"vendorId": "com.example", "messageId": "Ping", "data": "x"},
            {"status": "Accepted", "data": "pong x"},
        ),
        ({"vendorId": "com.example"}, {"status": "Rejected"}),
        ({"vendorId": "com.example", "messageId": "Pong"}, {"status": "UnknownMessageId"}),
        ({"vendorId": "com.example", "messageId": "Breaks"}, {"status": "Rejected"}),
        ({"vendorId": "com.example", "messageId": "Nonsense"}, {"status": "Rejected"}),
        ({"vendorId": "com.other", "messageId": "Ping"}, {"status": "UnknownVendorId"}),
        ({"vendorId": "COM.EXAMPLE", "messageId": "Ping"}, {"status": "UnknownVendorId"}),
    ],
)
def test_who_understands_it_answers(
    central: Any, charger: Any, payload: dict[str, Any], answer: dict[str, Any]
) -> None:
    assert charger.sends("DataTransfer", payload).payload == answer
    kept = [row.kind for row in central.rows(ChargerEvent) if row.kind in ("DataTransfer", "Half")]
    assert kept == ["DataTransfer"]  # and what it had stored when it failed is gone


def test_a_message_is_understood_by_one() -> None:
    with pytest.raises(TypeError, match="already"):
        vendor("com.example", "Ping")(lambda conn, charger_id, data: Understood("Accepted"))
