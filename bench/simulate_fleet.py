"""How many hosts a fleet of chargers takes, what is full first, and what a host's death costs: reckoned from measured costs.

    python -m bench.simulate_fleet [--chargers 100000 1000000] [--workers-per-host 4]
    python -m bench.simulate_fleet --measure       # measures the costs here, two minutes, into bench/results/costs.json

What a message, a dial and a socket cost is measured (COSTS says how, and on what). What chargers do, what a host has and how
busy it should be are assumptions, printed with the result. Everything else follows: it is extrapolated, and says so.
A host's death is played charger by charger against one survivor, with the limits that admission has.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from charger_mgmt.gateway import admission, pacing

from .figures import percentile, table

COSTS = Path(__file__).resolve().parent / "results" / "costs.json"


@dataclass(frozen=True)
class Costs:
    """Measured, on one core of the machine that costs.json names. Microseconds are of processor time."""

    heartbeat_us: float
    meter_values_us: float
    #: A start or a stop.
    session_us: float
    #: What a batch costs beside its messages.
    batch_us: float
    #: Seconds from a message to its answer when there is room.
    commit_s: float
    connect_us: float
    socket_kb: float
    #: MariaDB's, for the same.
    database_meter_values_us: float
    database_session_us: float
    database_connect_us: float
    #: Of a sample in meter_values, with its indexes.
    sample_bytes: float


@dataclass(frozen=True)
class Assumed:
    """What chargers do, and what is asked of hosts."""

    heartbeat_s: float = 300.0
    sessions_a_day: float = 2.0
    session_hours: float = 1.5
    meter_values_s: float = 60.0
    samples_each: float = 3.0
    statuses_a_session: float = 6.0
    #: Of the busiest hour against the mean.
    peak: float = 2.0
    #: How often a charger's line breaks in a day.
    reconnects_a_day: float = 4.0
    #: Of a core, in the busiest hour.
    busy: float = 0.6
    workers_a_host: int = 4
    #: Cores that the database has.
    database_cores: int = 16
    #: Sockets that one worker holds (gunicorn.conf.py).
    sockets_a_worker: int = 12_000
    #: Seconds until a charger dials again that was cut off: between these.
    redial_s: tuple[float, float] = (1.0, 30.0)


def rates(chargers: int, assumed: Assumed) -> dict[str, float]:
    """Messages a second in the busiest hour, by kind."""
    sessions = chargers * assumed.sessions_a_day / 86_400 * assumed.peak
    charging = chargers * assumed.sessions_a_day * assumed.session_hours / 24 * assumed.peak
    return {
        "heartbeats": chargers / assumed.heartbeat_s,
        "meter values": min(charging, chargers) / assumed.meter_values_s,
        "starts and stops": 2 * sessions,
        "statuses": assumed.statuses_a_session * sessions,
        "dials": chargers * assumed.reconnects_a_day / 86_400 * assumed.peak,
    }


def worker_cores(rate: dict[str, float], costs: Costs, workers: int) -> float:
    """Cores that all workers together are busy with."""
    durable = rate["meter values"] + rate["starts and stops"] + rate["statuses"]
    each = durable / workers
    # Two committers of each worker take what has come while the last batch was under way.
    batches = min(each, 2 / costs.commit_s) * workers
    return (
        rate["heartbeats"] * costs.heartbeat_us
        + rate["meter values"] * costs.meter_values_us
        + (rate["starts and stops"] + rate["statuses"]) * costs.session_us
        + batches * costs.batch_us
        + rate["dials"] * costs.connect_us
    ) / 1e6


def database_cores(rate: dict[str, float], costs: Costs) -> float:
    return (
        rate["meter values"] * costs.database_meter_values_us
        + (rate["starts and stops"] + rate["statuses"]) * costs.database_session_us
        + rate["dials"] * costs.database_connect_us
    ) / 1e6


@dataclass(frozen=True)
class Sized:
    chargers: int
    workers: int
    hosts: int
    why: str
    worker_share: float
    database_share: float
    memory_gb: float
    rows_a_day: float
    gb_a_day: float
    rate: dict[str, float]


def sized(chargers: int, costs: Costs, assumed: Assumed) -> Sized:
    """As few workers as hold the sockets and are no busier than they should be, also when one host of them is gone."""
    rate = rates(chargers, assumed)
    for_sockets = -(-chargers // assumed.sockets_a_worker)
    workers, why = max(for_sockets, 2), "sockets"
    while worker_cores(rate, costs, workers) > assumed.busy * workers:
        workers, why = workers + 1, "processor time"
    hosts = -(-workers // assumed.workers_a_host) + 1
    workers = hosts * assumed.workers_a_host
    samples = rate["meter values"] / assumed.peak * 86_400 * assumed.samples_each
    return Sized(
        chargers,
        workers,
        hosts,
        why,
        worker_cores(rate, costs, workers) / workers,
        database_cores(rate, costs) / assumed.database_cores,
        chargers * costs.socket_kb / 1e6,
        samples,
        samples * costs.sample_bytes / 1e9,
        rate,
    )


def death(
    redialling: int, costs: Costs, *, busy: float, redial_s: tuple[float, float], at_once: int, seed: int = 1
) -> list[float]:
    """When each of so many chargers is in at one survivor (seconds after the death, sorted).

    The survivor lets `at_once` in at a time and LINE times as many wait, for a while; whoever finds no room is told
    when to come back. It has 1 - `busy` of its core for them.
    """
    chance = random.Random(seed)
    each = costs.connect_us / 1e6 / (1 - busy)
    coming = [chance.uniform(*redial_s) for _ in range(redialling)]
    heapq.heapify(coming)
    done: list[float] = []
    free_at = 0.0
    # With one core, one after the other: whoever comes waits for what was let in before.
    while coming:
        now = heapq.heappop(coming)
        waits = max(0.0, free_at - now)
        ahead = waits / each
        if ahead >= at_once * (1 + pacing.LINE) or (ahead > at_once and waits > admission.ROOM_PATIENCE):
            told = chance.uniform(pacing.SOONEST, pacing.LATEST)
            heapq.heappush(coming, now + (admission.ROOM_PATIENCE if ahead < at_once * (1 + pacing.LINE) else 0) + told)
            continue
        free_at = max(free_at, now) + each
        done.append(free_at)
    return sorted(done)


def report(chargers: int, costs: Costs, assumed: Assumed) -> str:
    size = sized(chargers, costs, assumed)
    lost = chargers // size.hosts
    survivors = size.workers - assumed.workers_a_host
    back = death(
        -(-lost // survivors),
        costs,
        busy=size.worker_share * size.workers / survivors,
        redial_s=assumed.redial_s,
        at_once=200 // assumed.workers_a_host,
    )
    rows = [
        [f"{chargers:,} chargers", "extrapolated"],
        ["messages a second, busiest hour", ", ".join(f"{kind} {rate:,.0f}" for kind, rate in size.rate.items())],
        ["workers; hosts, one of them spare", f"{size.workers}; {size.hosts} (what asks for them: {size.why})"],
        ["a worker is busy", f"{size.worker_share:.0%} of a core"],
        ["memory of sockets, all hosts", f"{size.memory_gb:.1f} GB"],
        [f"database, of {assumed.database_cores} cores", f"{size.database_share:.0%}"],
        ["meter values a day", f"{size.rows_a_day / 1e6:,.0f} million rows, {size.gb_a_day:,.1f} GB"],
        ["leases a second (and keys in Redis)", f"{size.workers / 2.5:.1f} ({size.workers})"],
        [
            f"a host dies, {lost:,} redial within {assumed.redial_s[1]:.0f} s",
            f"half are in after {percentile(back, 50):.1f} s, 99 % after {percentile(back, 99):.1f} s, the last after"
            f" {back[-1]:.1f} s; survivors busy {size.worker_share * size.workers / survivors:.0%} before their dials",
        ],
    ]
    return table(rows)


def measure() -> dict[str, Any]:
    """The costs, here."""
    from . import connects, servers  # noqa: PLC0415

    found: dict[str, float] = {}
    with servers.database("--innodb-buffer-pool-size=1G") as database:
        with servers.Ours(database.create_database()) as ours:
            for talk, name in (("heartbeats", "heartbeat"), ("meter_values", "meter_values"), ("pairs", "session")):
                before = servers.cpu_seconds(database.pid)
                seen = servers.measure(ours, sockets=500, talk=talk, seconds=6.0, warm_up=0.0, prefix=talk)
                answers = seen["groups"][0]["answers"]
                found[f"{name}_us"] = 1e6 * seen["server_cpu"] * seen["seconds"] / answers
                found[f"database_{name}_us"] = 1e6 * (servers.cpu_seconds(database.pid) - before) / answers
            slow = servers.measure(ours, sockets=20, talk="pairs", rate=20, seconds=6.0, prefix="slow")
            found["commit_s"] = slow["groups"][0]["latency"]["p50_ms"] / 1000
            alone = 1e6 * slow["server_cpu"] * slow["seconds"] / slow["groups"][0]["answers"]
            found["batch_us"] = max(0.0, alone - found["session_us"])
            (size,) = database.execute(
                "SELECT (data_length + index_length) / table_rows FROM information_schema.tables"
                f" WHERE table_name = 'meter_values' AND table_schema = '{servers.database_of(ours)}'"
            )
            found["sample_bytes"] = float(size[0])
        before = servers.cpu_seconds(database.pid)
        ways_in = connects.run(chargers=2000, rounds=1)
        found["connect_us"] = ways_in["cpu_microseconds"]["median"]
        found["database_connect_us"] = ways_in["database_cpu_microseconds"]
    latest = json.loads((COSTS.parent / "latest.json").read_text())
    found["socket_kb"] = latest["idle"]["kilobytes_per_socket"]
    return found


def costs_of(file: Path = COSTS) -> Costs:
    """Raises FileNotFoundError when they were never measured."""
    known = json.loads(file.read_text())["costs"]
    return Costs(**{field.name: known[field.name] for field in fields(Costs)})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulate_fleet", description=__doc__)
    parser.add_argument("--chargers", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--workers-per-host", type=int, default=4)
    parser.add_argument("--measure", action="store_true", help="measure the costs here first")
    given = parser.parse_args()
    if given.measure:
        from .run import _machine as machine  # noqa: PLC0415

        COSTS.write_text(json.dumps({"machine": machine(), "costs": measure()}, indent=2) + "\n")
    costs, assumed = costs_of(), Assumed(workers_a_host=given.workers_per_host)
    print(table([["measured", ""], *([name, f"{value:,.4g}"] for name, value in asdict(costs).items())]))
    print()
    print(table([["assumed", ""], *([name, value] for name, value in asdict(assumed).items())]))
    for chargers in given.chargers:
        print()
        print(report(chargers, costs, assumed))


if __name__ == "__main__":
    main()
