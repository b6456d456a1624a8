"""What operators read of charging sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from charger_mgmt import clock

from .conftest import Api, Charger
from .test_chargers import follow

Plug = Callable[..., Charger]
NOON = clock.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def at(minutes: float) -> str:
    """Minutes from a noon two days ago, as a charger writes it."""
    return (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def session(made: Charger, begin: float, end: float | None, **fields: object) -> int:
    transaction_id = made.starts(timestamp=at(begin), **fields)["transactionId"]
    if end is not None:
        made.stops(transaction_id, timestamp=at(end))
    return transaction_id


def test_the_payload_that_the_user_fixed(api: Api, charger: Plug) -> None:
    made = charger("1")
    first = session(made, 0, 10)
    second = session(made, 20, None)
    listed = api.get("/api/transactions/charger/1").json
    assert [{key: row[key] for key in ("transactionId", "chargerId", "status")} for row in listed] == [
        {"transactionId": second, "chargerId": 1, "status": "In Progress"},
        {"transactionId": first, "chargerId": 1, "status": "Completed"},
    ]


def test_a_session_shows_both_clocks_and_exact_energy(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    started = made.starts(timestamp=at(0), meterStart=1000)["transactionId"]
    made.stops(started, timestamp=at(30), meterStop=9500, reason="EVDisconnected")
    shown = api.get(f"/api/transactions/{started}").json
    assert shown["startTime"] == shown["chargerStartTime"] == at(0).replace("Z", ".000Z")
    assert shown["receivedStartTime"] > shown["startTime"]
    assert (shown["meterStartWh"], shown["meterStopWh"], shown["energyWh"]) == (1000, 9500, 8500)
    assert isinstance(shown["energyWh"], int)
    assert (shown["reason"], shown["flags"], shown["idTag"]) == ("EVDisconnected", [], "CARD-9")


def test_flags_are_a_list(api: Api, charger: Plug) -> None:
    started = charger("CP1").starts(timestamp="1970-01-01T00:00:00Z")["transactionId"]
    assert api.get(f"/api/transactions/{started}").json["flags"] == ["clock-implausible"]


WINDOWS = [
    ("before", 0, 10, False),
    ("up to its start", 0, 20, False),  # [from, to)
    ("over its start", 10, 30, True),
    ("inside", 25, 35, True),
    ("around", 0, 100, True),
    ("over its end", 30, 50, True),
    ("from its end", 40, 50, False),
    ("after", 50, 60, False),
]


@pytest.mark.parametrize(("_name", "begin", "end", "found"), WINDOWS)
def test_a_window_selects_what_overlaps_it(
    api: Api, charger: Plug, _name: str, begin: int, end: int, found: bool
) -> None:
    session(charger("CP1"), 20, 40)
    query = {"from": at(begin), "to": at(end)}
    assert bool(api.get("/api/transactions/charger/CP1", query_string=query).json) is found
    assert bool(api.get("/api/transactions", query_string=query).json) is found


def test_an_open_session_reaches_into_the_future(api: Api, charger: Plug) -> None:
    session(charger("CP1"), 20, None)
    assert api.get("/api/transactions", query_string={"from": at(5000)}).json
    assert not api.get("/api/transactions", query_string={"to": at(20)}).json


def test_sessions_of_many_days_are_found_by_their_end(api: Api, charger: Plug) -> None:
    days = 24 * 60
    made = charger("CP1")
    still_open = session(made, -5 * days, None, connectorId=1)
    session(made, -4 * days, -2 * days, connectorId=2)  # over before the window
    long_one = session(made, -3 * days, 30, connectorId=3)
    short = session(made, 0, 10, connectorId=4)
    session(made, 0, 4, connectorId=5)  # over before the window
    window = f"from={at(5)}&to={at(20)}"
    for path in ("/api/transactions", "/api/transactions/charger/CP1"):
        listed = api.get(f"{path}?{window}").json
        assert [row["transactionId"] for row in listed] == [short, long_one, still_open]
        pages = follow(api, f"{path}?limit=1&{window}")
        assert [row["transactionId"] for page in pages for row in page] == [short, long_one, still_open]


def test_a_session_without_duration_counts_at_its_start(api: Api, charger: Plug) -> None:
    session(charger("CP1"), 20, 20)
    assert api.get("/api/transactions", query_string={"from": at(20), "to": at(21)}).json
    assert not api.get("/api/transactions", query_string={"from": at(21)}).json


def test_the_history_begins_and_ends_wherever_asked(api: Api, charger: Plug) -> None:
    session(charger("CP1"), 20, 40)
    query = {"from": "1000-01-01T00:00:00Z", "to": "9999-12-31T23:59:59.999999999Z"}
    assert len(api.get("/api/transactions", query_string=query).json) == 1


def test_an_unescaped_plus_in_a_zone_is_understood(api: Api, charger: Plug) -> None:
    session(charger("CP1"), 20, 40)
    assert api.get("/api/transactions?from=2020-01-01T00:00:00+02:00").status_code == 200


def test_filters(api: Api, charger: Plug) -> None:
    one, two = charger("CP1"), charger("CP2")
    first = session(one, 0, 10, connectorId=1, idTag="Card-1")
    second = session(one, 0, None, connectorId=2, idTag="CARD-2")
    third = session(two, 5, 10, connectorId=1, idTag="CARD-1")

    def found(**query: object) -> list[int]:
        return [row["transactionId"] for row in api.get("/api/transactions", query_string=query).json]

    assert found() == [third, second, first]
    assert found(chargerId="CP1") == [second, first]
    assert found(status="In Progress") == [second]
    assert found(connectorId=1) == [third, first]
    assert found(idTag="card-1") == [third, first]
    assert found(chargerId="CP1", idTag="card-1", status="Completed") == [first]
    assert api.get("/api/transactions?chargerId=CP3").status_code == 404


def test_pages_hold_every_session_once_even_with_equal_starts(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    ids = [session(made, 10, 11, connectorId=number) for number in range(1, 6)]
    ids.append(session(made, 0, 1, connectorId=1))
    pages = follow(api, "/api/transactions/charger/CP1?limit=2&from=2020-01-01T00%3A00%3A00%2B02%3A00")
    assert [[row["transactionId"] for row in page] for page in pages] == [
        [ids[4], ids[3]],
        [ids[2], ids[1]],
        [ids[0], ids[5]],
    ]


def test_a_page_does_not_shift_when_sessions_begin_meanwhile(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    ids = [session(made, minute, minute + 1) for minute in (0, 10, 20)]
    link = api.get("/api/transactions?limit=2").headers["Link"]
    session(made, 30, 31)
    rest = api.get(link[1 : link.index(">")]).json
    assert [row["transactionId"] for row in rest] == ids[:1]


def test_meter_values_are_exact_and_paged(api: Api, charger: Plug) -> None:
    made = charger("CP1")
    started = session(made, 0, None)
    values = ("678901234.123456", "0.1", "abc")
    for minute, value in enumerate(values):
        sample = {"value": value, "measurand": "Voltage", "unit": "V", "phase": "L1"}
        meter_value = [{"timestamp": at(minute), "sampledValue": [sample]}]
        made.sends("MeterValues", {"connectorId": 1, "transactionId": started, "meterValue": meter_value})
    answer = api.get(f"/api/transactions/{started}?limit=2")
    assert b'"value":678901234.123456,' in answer.data
    link = answer.headers["Link"]
    samples = answer.json["meterValues"] + api.get(link[1 : link.index(">")]).json["meterValues"]
    assert [sample["raw"] for sample in samples] == list(values)[: len(samples)]
    assert samples[0].items() >= {"measurand": "Voltage", "unit": "V", "phase": "L1"}.items()
    assert "Link" not in api.get(f"/api/transactions/{started}").headers
