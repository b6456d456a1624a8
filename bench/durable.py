"""Durable messages a second: answered after a commit that MariaDB has flushed to the disk.

Ours beside our own committer with batches of one, and beside `ocpp` + `websockets` with the same writes to the
same MariaDB, one commit a message. After the last run the rows are counted against the answers.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from typing import Any

from sqlalchemy.engine import make_url

from tests.support.mariadb import MariaDB

from . import servers
from .figures import middle, ranged, ratios, table, times

#: What one answer of a talk proves: (talk, what one of them is called, answers for each).
KINDS = (("meter_values", "MeterValues", 1), ("pairs", "start/stop pairs", 2))
#: Open loop: this share of what our closed loop reached.
OPEN_LOOP_SHARE = 0.5


def run(*, rounds: int, sockets: int, seconds: float) -> dict[str, Any]:
    """The figures; see `show`."""
    with ExitStack() as stack:
        mariadb = stack.enter_context(servers.database("--innodb-buffer-pool-size=1G"))
        urls = [mariadb.create_database() for _ in range(3)]
        ours = stack.enter_context(servers.Ours(urls[0]))
        single = stack.enter_context(servers.Ours(urls[1], "charger_mgmt, batches of one", BATCH_SIZE="1"))
        servers.Ours(urls[2]).prepare()
        peer = stack.enter_context(servers.ocpp_websockets(urls[2]))
        under_test: list[servers.Server] = [ours, single, peer]
        kinds = {}
        for talk, what, answers in KINDS:
            job = {"sockets": sockets, "talk": talk, "seconds": seconds, "warm_up": min(1.0, seconds / 4)}
            runs: dict[str, list[dict[str, Any]]] = {server.name: [] for server in under_test}
            for number in range(rounds):
                for server in under_test[number % 3 :] + under_test[: number % 3]:
                    runs[server.name].append(servers.measure(server, **job))
            rates = {
                name: [seen["groups"][0]["per_second"] / answers for seen in of] for name, of in runs.items()
            }
            offered = OPEN_LOOP_SHARE * middle(rates[ours.name])["median"] * answers
            open_loop = servers.measure(ours, **job | {"rate": offered})
            kinds[talk] = {
                "what": what,
                "per_second": {name: middle(of) for name, of in rates.items()},
                "server_cpu": {
                    name: middle([seen["server_cpu"] for seen in of]) for name, of in runs.items()
                },
                "latency": {name: of[-1]["groups"][0]["latency"] for name, of in runs.items()},
                "refused": sum(seen["groups"][0]["refused"] for of in runs.values() for seen in of),
                "reconnects": sum(seen["reconnects"] for of in runs.values() for seen in of),
                "against_batches_of_one": ratios(rates[ours.name], rates[single.name]),
                "against_ocpp_websockets": ratios(rates[ours.name], rates[peer.name]),
                "open_loop": {"offered": offered} | open_loop["groups"][0],
            }
        stored = {name: _stored(mariadb, url) for name, url in zip(rates, urls, strict=True)}
        flush = mariadb.execute("SELECT @@innodb_flush_log_at_trx_commit")[0]
    return {
        "sockets": sockets,
        "seconds": seconds,
        "rounds": rounds,
        "kinds": kinds,
        "stored": stored,
        "innodb_flush_log_at_trx_commit": flush[0],
    }


def _stored(mariadb: MariaDB, url: str) -> dict[str, int]:
    name = make_url(url).database
    assert name is not None
    return {
        "samples": int(mariadb.execute("SELECT COUNT(*) FROM meter_values", name)[0][0]),
        "completed": int(
            mariadb.execute("SELECT COUNT(*) FROM transactions WHERE status = 'Completed'", name)[0][0]
        ),
    }


def show(figures: dict[str, Any]) -> str:
    lines = []
    for kind in figures["kinds"].values():
        rows: list[list[Any]] = [[f"durable {kind['what']}", "a second", "server CPU", "p50 ms", "p99 ms"]]
        for name, rate in kind["per_second"].items():
            latency = kind["latency"][name]
            cpu = f"{kind['server_cpu'][name]['median']:.0%}"
            rows.append([name, ranged(rate), cpu, f"{latency['p50_ms']:.0f}", f"{latency['p99_ms']:.0f}"])
        open_loop = kind["open_loop"]
        lines += [
            table(rows),
            f"ours / batches of one:    {times(kind['against_batches_of_one'])}",
            f"ours / ocpp + websockets: {times(kind['against_ocpp_websockets'])}",
            f"open loop at {open_loop['offered']:,.0f} messages/s: p50 {open_loop['latency']['p50_ms']:.1f} ms,"
            f" p99 {open_loop['latency']['p99_ms']:.1f} ms",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.durable", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(rounds=given.rounds, sockets=given.sockets, seconds=given.seconds)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
