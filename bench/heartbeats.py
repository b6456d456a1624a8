"""Heartbeat round trips a second: ours beside `ocpp` + `websockets` and `ocpp-rpc` in strict mode.

One server process each, the same load process, in turn, several rounds.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from typing import Any

from . import servers
from .figures import middle, ranged, ratios, table, times

#: Open loop: this share of what our closed loop reached.
OPEN_LOOP_SHARE = 0.5


def run(*, rounds: int, sockets: int, seconds: float) -> dict[str, Any]:
    """The figures; see `show`."""
    with ExitStack() as stack:
        database = stack.enter_context(servers.database())
        ours = stack.enter_context(servers.Ours(database.create_database()))
        python = stack.enter_context(servers.ocpp_websockets())
        node = stack.enter_context(servers.ocpp_rpc())
        under_test: list[servers.Server] = [ours, python, node]
        job = {"sockets": sockets, "talk": "heartbeats", "seconds": seconds, "warm_up": min(1.0, seconds / 4)}
        runs: dict[str, list[dict[str, Any]]] = {server.name: [] for server in under_test}
        for number in range(rounds):
            # the order changes, so that nobody always comes after the same neighbour
            for server in under_test[number % 3 :] + under_test[: number % 3]:
                runs[server.name].append(servers.measure(server, **job))
        rates = {name: [seen["groups"][0]["per_second"] for seen in of] for name, of in runs.items()}
        offered = OPEN_LOOP_SHARE * middle(rates[ours.name])["median"]
        open_loop = servers.measure(ours, **job | {"rate": offered})
    return {
        "sockets": sockets,
        "seconds": seconds,
        "rounds": rounds,
        "per_second": {name: middle(of) for name, of in rates.items()},
        "server_cpu": {name: middle([seen["server_cpu"] for seen in of]) for name, of in runs.items()},
        "client_cpu": {name: middle([seen["client_cpu"] for seen in of]) for name, of in runs.items()},
        "latency": {name: of[-1]["groups"][0]["latency"] for name, of in runs.items()},
        "refused": sum(seen["groups"][0]["refused"] for of in runs.values() for seen in of),
        "reconnects": sum(seen["reconnects"] for of in runs.values() for seen in of),
        "against_ocpp_websockets": ratios(rates[ours.name], rates[python.name]),
        "against_ocpp_rpc": ratios(rates[ours.name], rates[node.name]),
        "open_loop": {"offered": offered} | open_loop["groups"][0] | {"server_cpu": open_loop["server_cpu"]},
    }


def show(figures: dict[str, Any]) -> str:
    rows: list[list[Any]] = [["Heartbeats", "a second", "server CPU", "client CPU", "p50 ms", "p99 ms"]]
    for name, rate in figures["per_second"].items():
        latency = figures["latency"][name]
        rows.append(
            [
                name,
                ranged(rate),
                f"{figures['server_cpu'][name]['median']:.0%}",
                f"{figures['client_cpu'][name]['median']:.0%}",
                f"{latency['p50_ms']:.1f}",
                f"{latency['p99_ms']:.1f}",
            ]
        )
    open_loop = figures["open_loop"]
    return "\n".join(
        [
            table(rows),
            f"ours / ocpp + websockets: {times(figures['against_ocpp_websockets'])}",
            f"ours / ocpp-rpc strict:   {times(figures['against_ocpp_rpc'])}",
            f"open loop at {open_loop['offered']:,.0f}/s: p50 {open_loop['latency']['p50_ms']:.2f} ms,"
            f" p99 {open_loop['latency']['p99_ms']:.2f} ms, server CPU {open_loop['server_cpu']:.0%}",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.heartbeats", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(rounds=given.rounds, sockets=given.sockets, seconds=given.seconds)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
