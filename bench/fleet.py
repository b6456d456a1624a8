"""What several processes cost: one worker without a bus, one with it, two with it; and a command across the bus.

    python -m bench.fleet [--rounds 3]

All on one database, of which the same load is asked in turn. Two cores carry the servers, the database, Redis and the
load, so two workers cannot do twice as much here: what counts is the processor time of one message, of all workers together. As fast as
all go, two workers share what one had to do, so that fewer messages share a commit; so it is also measured with as much to do for each
worker as the one has.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from contextlib import ExitStack
from typing import Any

from tests.support.processes import wait_until
from tests.support.redis import Redis
from tests.wire.raw import booted

from . import servers
from .figures import middle, ranged, ratios, summary, table, times

#: Talk, what it is, answers for each of it, and so many messages a second for each worker where the load is given.
KINDS = (
    ("heartbeats", "Heartbeats", 1, 2000),
    ("meter_values", "MeterValues", 1, 300),
    ("pairs", "start/stop pairs", 2, 300),
)


def run(*, rounds: int, sockets: int, seconds: float, commands: int) -> dict[str, Any]:
    with ExitStack() as stack:
        mariadb = stack.enter_context(servers.database("--innodb-buffer-pool-size=1G"))
        redis = stack.enter_context(Redis())
        shared = {"REDIS_URL": redis.url}
        alone = stack.enter_context(servers.Ours(mariadb.create_database(), "one worker"))
        one = stack.enter_context(
            servers.Ours(mariadb.create_database(), "one worker with the bus", **shared)
        )
        two = stack.enter_context(
            servers.Ours(mariadb.create_database(), "two workers", **shared, WEB_CONCURRENCY="2")
        )
        wait_until(lambda: len(two.pids) == 2, seconds=20, what="two workers")
        under_test = [alone, one, two]
        kinds: dict[str, Any] = {}
        for talk, what, answers, rate_each in KINDS:
            job = {"sockets": sockets, "talk": talk, "seconds": seconds, "warm_up": min(1.0, seconds / 4)}
            rates: dict[str, list[float]] = {server.name: [] for server in under_test}
            costs: dict[str, list[float]] = {server.name: [] for server in under_test}
            for number in range(rounds):
                for server in under_test[number % 3 :] + under_test[: number % 3]:
                    seen = servers.measure(server, **job)
                    rate = seen["groups"][0]["per_second"]
                    rates[server.name].append(rate / answers)
                    costs[server.name].append(1e6 * seen["server_cpu"] / rate)
            # The same for each worker: two workers have twice the sockets and twice the messages.
            even: dict[str, list[float]] = {one.name: [], two.name: []}
            for number in range(rounds):
                for server, workers in ((one, 1), (two, 2))[:: 1 if number % 2 else -1]:
                    seen = servers.measure(
                        server, **job | {"sockets": sockets // 2 * workers, "rate": rate_each * workers}
                    )
                    even[server.name].append(1e6 * seen["server_cpu"] / seen["groups"][0]["per_second"])
            kinds[what] = {
                "each_as_much": {name: middle(of) for name, of in even.items()},
                "each_as_much_two_against_one": ratios(even[two.name], even[one.name]),
                "per_second": {name: middle(of) for name, of in rates.items()},
                "cpu_microseconds_per_message": {name: middle(of) for name, of in costs.items()},
                "with_the_bus_against_without": ratios(costs[one.name], costs[alone.name]),
                "two_against_one": ratios(costs[two.name], costs[alone.name]),
            }
        return {"rounds": rounds, "sockets": sockets, "kinds": kinds, "commands": _commands(one, commands)}


def _commands(here: servers.Ours, count: int) -> dict[str, Any]:
    """How long an operator's command takes, to a charger of the same process and to one of another."""
    with ExitStack() as stack:
        environ = {name: here.environ[name] for name in ("REDIS_URL", *servers.SETTINGS)}
        there = servers.Ours(here.environ["DATABASE_URL"], **environ)
        stack.callback(there.remove)
        there.start()
        for server, name in ((here, "HERE"), (there, "THERE")):
            charger = stack.enter_context(booted(server, name))
            threading.Thread(target=_answers, args=(charger,), daemon=True).start()
        taken: dict[str, list[float]] = {"HERE": [], "THERE": []}
        for _ in range(count):
            for name, of in taken.items():
                began = time.perf_counter()
                answer = here.post(f"/api/chargers/{name}/commands/GetConfiguration", {})
                of.append(time.perf_counter() - began)
                assert (answer.status, answer.json["state"]) == (200, "accepted"), answer
        figures = {"same process": summary(taken["HERE"]), "across the bus": summary(taken["THERE"])}
        there.terminate()
    return figures


def _answers(charger: Any) -> None:
    charger.socket.settimeout(None)
    try:
        while True:
            said = charger.hears_json()
            if said[0] == 2:
                charger.says(json.dumps([3, said[1], {"configurationKey": []}]))
    except (EOFError, OSError, AssertionError):  # the server has closed it
        return


def show(figures: dict[str, Any]) -> str:
    lines = []
    for what, kind in figures["kinds"].items():
        rows: list[list[Any]] = [[f"{what}", "a second", "CPU us a message"]]
        for name, rate in kind["per_second"].items():
            rows.append([name, ranged(rate), ranged(kind["cpu_microseconds_per_message"][name])])
        lines += [
            table(rows),
            f"CPU with the bus / without: {times(kind['with_the_bus_against_without'])}",
            f"CPU two workers / one:      {times(kind['two_against_one'])}",
            f"  with as much to do for each: {times(kind['each_as_much_two_against_one'])}",
            "",
        ]
    rows = [["an operator's command", "p50 ms", "p99 ms"]]
    for name, seen in figures["commands"].items():
        rows.append([name, f"{seen['p50_ms']:.1f}", f"{seen['p99_ms']:.1f}"])
    return "\n".join([*lines, table(rows)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--commands", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(rounds=given.rounds, sockets=given.sockets, seconds=given.seconds, commands=given.commands)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
