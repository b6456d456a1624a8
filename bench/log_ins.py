"""Does the time of a refused log-in tell whether there is such an account?

    python -m bench.log_ins [--rounds 90]

Four kinds of refusals, in turn, each from an address of its own: an unknown name, a wrong password, an account that is
disabled, one that has no password. The medians must be within the noise, which is what a kind differs from itself by
(every second one of it held against the others).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from tests.support.server import USERNAME

from . import servers
from .figures import table

GOOD = "a good password"
WHO = {
    "unknown name": "nobody by this name",
    "wrong password": USERNAME,
    "disabled": "disabled",
    "without a password": "machine",
}


def run(*, rounds: int) -> dict[str, Any]:
    took: dict[str, list[float]] = {kind: [] for kind in WHO}
    with (
        servers.database() as database,
        servers.Ours(database.create_database(), TRUSTED_PROXIES="127.0.0.1") as ours,
    ):
        ours.post("/api/users", {"username": "disabled", "role": "viewer", "password": GOOD})
        ours.patch("/api/users/disabled", {"active": False})
        ours.post("/api/users", {"username": "machine", "role": "viewer"})
        number = 0
        for _ in range(rounds):
            for kind, username in WHO.items():
                number += 1
                source = f"198.{18 + number // 65_536}.{number // 256 % 256}.{number % 256}"
                body = {"username": username, "password": "a wrong guess"}
                headers = {"X-Forwarded-For": source}
                began = time.perf_counter()
                answer = ours.post("/api/auth/login", body, token=None, headers=headers)
                took[kind].append(time.perf_counter() - began)
                if answer.status == 429:  # one account is guessed at from everywhere: 100 in ten minutes
                    took[kind].pop()
                else:
                    assert answer.status == 401, answer
    return {
        "rounds": rounds,
        "kinds": {
            kind: {
                "count": len(times),
                "median_ms": statistics.median(times) * 1e3,
                "own_noise_ms": abs(statistics.median(times[::2]) - statistics.median(times[1::2])) * 1e3,
            }
            for kind, times in took.items()
        },
    }


def show(figures: dict[str, Any]) -> str:
    rows: list[list[Any]] = [
        ["a log-in that is refused", "looked at", "median, ms", "differs from itself by, ms"]
    ]
    for kind, seen in figures["kinds"].items():
        rows.append([kind, seen["count"], f"{seen['median_ms']:.2f}", f"{seen['own_noise_ms']:.2f}"])
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.log_ins", description=__doc__)
    parser.add_argument("--rounds", type=int, default=90)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(rounds=given.rounds)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
