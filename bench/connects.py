"""What a charger's way in costs: the dial, the upgrade, the boot, until it has its answer.

    python -m bench.connects [--chargers 2000] [--rounds 3]

All chargers are known and accepted, and dial as fast as they are let in: at first all at once, then one after the other's
answer (40 at a time). What counts is the worker's processor time for one of them.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import servers
from .figures import middle, ranged, table


def run(*, chargers: int, rounds: int) -> dict[str, Any]:
    """The figures; see `show`."""
    costs: list[float] = []
    rates: list[float] = []
    stored: list[float] = []
    with servers.database() as database:
        for _ in range(rounds):
            with servers.Ours(database.create_database()) as ours:
                database.execute(
                    "INSERT INTO chargers (identity, created_at, registration, booted_at, dialect)"
                    f" SELECT CONCAT('BENCH', seq), UTC_TIMESTAMP(3), 'Accepted', UTC_TIMESTAMP(3), 'ocpp1.6'"
                    f" FROM seq_1_to_{chargers}",
                    servers.database_of(ours),
                )
                before = servers.cpu_seconds(database.pid)
                seen = servers.measure(ours, sockets=chargers, talk="nothing", storm=True, seconds=120)
                assert not seen["unfinished"], seen
                costs.append(1e6 * seen["server_cpu"] * seen["seconds"] / chargers)
                rates.append(chargers / seen["seconds"])
                stored.append(1e6 * (servers.cpu_seconds(database.pid) - before) / chargers)
    return {
        "chargers": chargers,
        "rounds": rounds,
        "cpu_microseconds": middle(costs),
        "database_cpu_microseconds": middle(stored)["median"],
        "per_second": middle(rates),
    }


def show(figures: dict[str, Any]) -> str:
    return table(
        [
            ["a known charger dials and boots", "CPU us of the worker", "a second"],
            [
                f"{figures['chargers']:,} at once",
                ranged(figures["cpu_microseconds"]),
                ranged(figures["per_second"]),
            ],
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.connects", description=__doc__)
    parser.add_argument("--chargers", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(chargers=given.chargers, rounds=given.rounds)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
