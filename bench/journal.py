"""What the journal of messages costs: the same load with none and with all of it kept, in turn.

python -m bench.journal [--rounds 3] [--seconds 8]
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

from . import servers
from .figures import table

TALKS = {"Heartbeats": "heartbeats", "MeterValues": "meter_values", "starts and stops": "pairs"}


def run(*, rounds: int, seconds: float, sockets: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"rounds": rounds, "seconds": seconds, "sockets": sockets, "talks": {}}
    with servers.database("--innodb-buffer-pool-size=1G") as database:
        for name, talk in TALKS.items():
            seen: dict[str, list[dict[str, float]]] = {"0": [], "100": []}
            for _ in range(rounds):
                for percent, found in seen.items():
                    found.append(_once(database.create_database(), percent, talk, seconds, sockets))
            figures["talks"][name] = {
                percent: {key: statistics.median(each[key] for each in found) for key in found[0]}
                for percent, found in seen.items()
            }
    return figures


def _once(url: str, percent: str, talk: str, seconds: float, sockets: int) -> dict[str, float]:
    with (
        servers.Ours(url, MESSAGE_JOURNAL_PERCENT=percent) as ours,
        servers.Load(ours, sockets=sockets, talk=talk, seconds=seconds, warm_up=2.0) as load,
    ):
        seen = load.run()
    group = seen["groups"][0]
    return {
        "per_second": group["per_second"],
        "cpu_us": seen["server_cpu"] / group["per_second"] * 1e6,
        "p99_ms": group["latency"]["p99_ms"],
    }


def show(figures: dict[str, Any]) -> str:
    rows: list[list[Any]] = [
        ["every message kept", "messages/s", "ratio", "CPU us a message", "ratio", "p99 ms"]
    ]
    for name, seen in figures["talks"].items():
        none, all_ = seen["0"], seen["100"]
        rows.append(
            [
                f"{name}: none",
                f"{none['per_second']:,.0f}",
                "",
                f"{none['cpu_us']:.0f}",
                "",
                f"{none['p99_ms']:.0f}",
            ]
        )
        rows.append(
            [
                f"{name}: all",
                f"{all_['per_second']:,.0f}",
                f"{all_['per_second'] / none['per_second']:.2f}",
                f"{all_['cpu_us']:.0f}",
                f"{all_['cpu_us'] / none['cpu_us']:.2f}",
                f"{all_['p99_ms']:.0f}",
            ]
        )
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--sockets", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(rounds=given.rounds, seconds=given.seconds, sockets=given.sockets)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
