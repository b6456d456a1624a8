"""A reconnect storm: every charger dials at once and brings ten queued messages.

A start, eight MeterValues of three samples, a stop. Who is turned away (503) comes back after its Retry-After; who
loses its socket sends the open message again. The time runs from the first dial to the last answer; then the rows
are counted.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import servers

MESSAGES = 10
SAMPLES = 8 * 3


def run(*, chargers: int, limit: float) -> dict[str, Any]:
    """The figures; see `show`."""
    with servers.database() as database, servers.Ours(database.create_database()) as ours:
        name = servers.database_of(ours)
        database.execute(
            "INSERT INTO chargers (identity, created_at, registration, booted_at, dialect)"
            f" SELECT CONCAT('BENCH', seq), UTC_TIMESTAMP(3), 'Accepted', UTC_TIMESTAMP(3), 'ocpp1.6'"
            f" FROM seq_1_to_{chargers}",
            name,
        )
        seen = servers.measure(ours, sockets=chargers, talk="queued", storm=True, seconds=limit)

        def count(query: str) -> int:
            return int(database.execute(query, name)[0][0])

        stored = {
            "sessions": count("SELECT COUNT(*) FROM transactions"),
            "completed": count("SELECT COUNT(*) FROM transactions WHERE status = 'Completed'"),
            "chargers": count("SELECT COUNT(DISTINCT charger_id) FROM transactions"),
            "samples": count("SELECT COUNT(*) FROM meter_values"),
            "samples_without_session": count(
                "SELECT COUNT(*) FROM meter_values WHERE transaction_id IS NULL"
            ),
            "inbox": count("SELECT COUNT(*) FROM inbox"),
        }
        alarms = ours.alarms()
    group = seen["groups"][0]
    return {
        "chargers": chargers,
        "messages": chargers * MESSAGES,
        "answered": group["answers"],
        "unfinished": seen["unfinished"],
        "seconds": seen["seconds"],
        "per_second": chargers * MESSAGES / seen["seconds"],
        "turned_away_or_lost": seen["reconnects"],
        "latency": group["latency"],
        "server_cpu": seen["server_cpu"],
        "stored": stored,
        "alarms": len(alarms),
        "none_lost": stored["completed"] == stored["sessions"] == stored["chargers"] == chargers
        and stored["samples"] == chargers * SAMPLES
        and not stored["samples_without_session"]
        and not stored["inbox"]
        and not seen["unfinished"],
    }


def show(figures: dict[str, Any]) -> str:
    stored = figures["stored"]
    return "\n".join(
        [
            f"{figures['chargers']:,} chargers, {figures['messages']:,} messages: drained in"
            f" {figures['seconds']:.1f} s ({figures['per_second']:,.0f}/s, server CPU {figures['server_cpu']:.0%});"
            f" {figures['turned_away_or_lost']:,} times turned away or cut off",
            f"stored: {stored['completed']:,} completed sessions of {stored['chargers']:,} chargers,"
            f" {stored['samples']:,} samples; {figures['unfinished']} unfinished;"
            f" none lost, none twice: {'yes' if figures['none_lost'] else 'NO'}",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.add_argument("--chargers", type=int, default=5000)
    parser.add_argument("--limit", type=float, default=240.0, help="seconds after which it is given up")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(chargers=given.chargers, limit=given.limit)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
