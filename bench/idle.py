"""Idle sockets in one worker: how many, how much memory each, and how a Heartbeat fares meanwhile.

All chargers are connected and booted. Then 1 % of them charge (MeterValues of three samples, one in two seconds
each) and the others send their Heartbeats, an open loop at the rate of one in `--interval` seconds each.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import servers

#: Seconds between the MeterValues of a charger that charges.
SAMPLE_INTERVAL = 2.0


def run(*, sockets: int, seconds: float, interval: float) -> dict[str, Any]:
    """The figures; see `show`."""
    charging = max(1, sockets // 100)
    groups = [
        {"talk": "heartbeats", "sockets": sockets - charging, "rate": (sockets - charging) / interval},
        {"talk": "meter_values", "sockets": charging, "rate": charging / SAMPLE_INTERVAL},
    ]
    with servers.database() as database, servers.Ours(database.create_database()) as ours:
        servers.measure(ours, sockets=20, talk="heartbeats", seconds=1)  # what is loaded once is loaded
        before = servers.resident_bytes(ours.pid)
        with servers.Load(ours, groups=groups, seconds=seconds, warm_up=2.0) as load:
            connected = servers.resident_bytes(ours.pid)
            seen = load.run()
            after = servers.resident_bytes(ours.pid)
            held = int(
                database.execute("SELECT SUM(connected) FROM chargers", servers.database_of(ours))[0][0]
            )
    return {
        "sockets": sockets,
        "held": held,
        "connecting_seconds": load.connecting,
        "kilobytes_per_socket": (connected - before) / sockets / 1024,
        "kilobytes_per_socket_later": (after - before) / sockets / 1024,
        "reconnects": seen["reconnects"],
        "server_cpu": seen["server_cpu"],
        "heartbeats": seen["groups"][0],
        "meter_values": seen["groups"][1],
    }


def show(figures: dict[str, Any]) -> str:
    heartbeats, samples = figures["heartbeats"], figures["meter_values"]
    return "\n".join(
        [
            f"{figures['held']:,} of {figures['sockets']:,} sockets held in one worker, connected and booted in"
            f" {figures['connecting_seconds']:.0f} s ({figures['reconnects']} reconnects meanwhile)",
            f"{figures['kilobytes_per_socket']:.1f} KB each"
            f" ({figures['kilobytes_per_socket_later']:.1f} KB after the run)",
            f"Heartbeats at {heartbeats['per_second']:.0f}/s: p50 {heartbeats['latency']['p50_ms']:.2f} ms,"
            f" p99 {heartbeats['latency']['p99_ms']:.2f} ms",
            f"MeterValues at {samples['per_second']:.0f}/s: p50 {samples['latency']['p50_ms']:.2f} ms,"
            f" p99 {samples['latency']['p99_ms']:.2f} ms; server CPU {figures['server_cpu']:.0%}",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between a charger's Heartbeats")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(sockets=given.sockets, seconds=given.seconds, interval=given.interval)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
