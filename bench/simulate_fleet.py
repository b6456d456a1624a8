"""A fleet on paper: 100,000 and 1,000,000 chargers on measured costs. What is full first, how many hosts, what a death costs.

    python -m bench.simulate_fleet [--chargers 100000 1000000] [--utilisation 0.6] [--json]

Three parts. *Traffic*: what chargers say in the busiest hour (`Habits`, assumed). *Load*: that traffic times what each
thing costs, for each worker, the database and Redis (`Costs`, measured, from results/*.json). *Waves*: a host dies or
restarts, and its chargers dial one by one (discrete events: the balancer sends each to the host with the fewest
connections, each worker deals with one after the other and turns away whom gateway/pacing.py would). Held against what
bench.death has measured. Everything printed says whether it was measured, is assumed, or extrapolated.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from charger_mgmt.gateway import pacing, places
from charger_mgmt.gateway.admission import ROOM_PATIENCE
from charger_mgmt.gateway.fleet import TURN
from charger_mgmt.gateway.shutdown import NOTICED_AFTER
from charger_mgmt.simulate.day import ARRIVALS

from .figures import percentile, table
from .machine import keep, kept

#: Settings as delivered.
LEASE_SECONDS, HEARTBEAT_INTERVAL, ADMISSIONS_AT_ONCE, DRAIN_SECONDS = 15.0, 300.0, 200, 10.0
#: Sockets of one worker (gunicorn.conf.py), less those that no charger gets.
PLACES = int(12_000 * (1 - places.SPARE))
#: Database connections of a worker: CHARGER_CONNECTIONS, REST_CONNECTIONS, and 2.
CONNECTIONS = 8 + 10 + 2
#: Of one balancer's address to one host's port (net.ipv4.ip_local_port_range as Linux comes).
PORTS = 28_232
#: transactions.id is an OCPP 1.6 integer.
TRANSACTION_IDS = 2**31 - 1
#: deploy/haproxy.cfg: a host is taken to be down after two checks a second apart have failed; until then dials that are
#: sent to it (it has the fewest connections) are tried again a second later.
MARKED_DOWN_AFTER, TRIED_AGAIN_AFTER = 2.0, 1.0
DAY = 86_400.0
MEASURED, ASSUMED, EXTRAPOLATED = "measured", "assumed", "extrapolated"


@dataclass(frozen=True)
class Habits:
    """What chargers do. All of it is assumed; change it to what yours do."""

    sessions_a_day: float = 2.0
    session_minutes: float = 90.0
    #: Seconds between MeterValues of a session, and samples in each.
    meter_interval: float = 60.0
    samples: int = 3
    #: StatusNotifications of a session: Preparing, Charging, SuspendedEV, Finishing, Available.
    statuses: float = 5.0
    #: Connections lost in a day (mobile networks), and the share of redials after which the charger boots.
    losses_a_day: float = 2.0
    boots: float = 1.0
    #: StatusNotifications after a boot.
    statuses_after_boot: float = 3.0


@dataclass(frozen=True)
class Redial:
    """When a charger dials after its socket was cut: uniformly between these seconds."""

    name: str
    soonest: float
    latest: float


AT_ONCE = Redial("all within a second", 0.0, 1.0)
MODEST = Redial("after 10 to 20 s", 10.0, 20.0)
PINGS = Redial("cut without a word: by its own pings of 60 s, within 10 to 80 s", 10.0, 80.0)
#: As bench.load does.
BENCH = Redial("after 1 to 1.25 s", 1.0, 1.25)


class Curve:
    """A cost that falls with the rate, because more messages share a commit: straight lines over the rate's logarithm.

    Below the lowest rate measured and above the highest it stays as it is there.
    """

    def __init__(self, points: Sequence[dict[str, Any]], field: str) -> None:
        self._points = [(math.log(point["per_second"]), max(0.0, float(point[field]))) for point in points]

    def at(self, rate: float) -> float:
        """At so many a second; math.inf: at full speed, the last point."""
        x = math.log(max(rate, 1e-9))
        before = self._points[0]
        if x <= before[0]:
            return before[1]
        for point in self._points[1:]:
            if x <= point[0]:
                share = (x - before[0]) / (point[0] - before[0])
                return before[1] + share * (point[1] - before[1])
            before = point
        return before[1]


#: The clock of processor time ticks every 10 ms: of the messages of a run no less can be told.
_LEAST_US = 2.0
_OF_A_MESSAGE = ("worker_us", "mariadb_us", "commits", "fsyncs", "redo_bytes")


class Costs:
    """Measured: results/costs.json (bench.costs), presence.json (bench.presence), latest.json (bench.idle)."""

    def __init__(self, costs: dict[str, Any], presence: dict[str, Any], latest: dict[str, Any]) -> None:
        self.messages = {
            kind: {part: Curve([*points, costs["full"][kind]], part) for part in _OF_A_MESSAGE}
            for kind, points in costs["messages"].items()
        }
        self.mixed = costs["mixed"]
        known, end = costs["dials"]["known again"], costs["dials"]["known again, its end"]
        calls = costs["follow_ups"]["calls"]
        socket = costs["socket"]
        large = next(value for name, value in reversed(presence.items()) if name.endswith(" chargers"))
        self.single = {
            "connect + boot, worker, ms": (known["worker_us"] / 1000, "bench.costs, known chargers"),
            "connect + boot, database, ms": (known["mariadb_us"] / 1000, "bench.costs, known chargers"),
            "a socket's end, worker, ms": (end["worker_us"] / 1000, "bench.costs"),
            "a socket's end, database, ms": (end["mariadb_us"] / 1000, "bench.costs"),
            "calls after a boot, worker, ms": (calls["worker_us"] / 1000, "bench.costs, AUTOMATIC_CALLS on less off; three calls, as nobody reports a status there"),
            "calls after a boot, database, ms": (calls["mariadb_us"] / 1000, "the same"),
            "a dial refused, worker, ms": (costs["refused_dial"]["worker_us"] / 1000, "bench.costs, answered 426"),
            "an idle socket, worker, us a second": (
                socket["worker_us_per_second"],
                f"bench.costs, {socket['sockets']:,} sockets with pings each 25 s",
            ),
            "an idle process, worker, ms a second": (
                costs["an idle process_us_per_second"]["worker"] / 1000,
                "bench.costs",
            ),
            "an idle process, database, ms a second": (
                costs["an idle process_us_per_second"]["mariadb"] / 1000 / 2,
                "bench.costs, two processes",
            ),
            "a socket, KB": (latest["idle"]["kilobytes_per_socket"], "bench.idle, 10,000 sockets"),
            "a turn's rows, worker, us a socket": (
                1000 * large["a turn: which rows are ours"]["process_ms"] / presence["held_by_a_process"],
                "bench.presence, a million rows",
            ),
            "a turn's rows, database, us a socket": (
                1000 * large["a turn: which rows are ours"]["database_ms"] / presence["held_by_a_process"],
                "bench.presence, a million rows",
            ),
            "the leader's look at a million rows, database, ms": (
                large["the leader's turn: what the dead have left"]["database_ms"],
                "bench.presence",
            ),
            "a fact heard from another process, us": (
                max(_LEAST_US, costs["full"]["Start/StopTransaction"]["another process_us"]),
                "bench.costs, an idle process beside pairs at full speed",
            ),
            "a fact in Redis, told to two, us": (
                max(_LEAST_US, costs["full"]["Start/StopTransaction"]["redis_us"]),
                "bench.costs, pairs at full speed (2 us: too little to be read)",
            ),
            **{
                f"{kind}, worker, us ({rate:g}/s)": (cost, "bench.costs" + (", full speed" if rate == full else ""))
                for kind, points in costs["messages"].items()
                for full in [costs["full"][kind]["per_second"]]
                for rate, cost in [
                    (point["per_second"], point["worker_us"]) for point in [*points, costs["full"][kind]]
                ]
            },
            "a meter value's row, bytes": (costs["bytes_per_row"]["meter_values"]["bytes"], "bench.costs"),
        }  # fmt: skip
        self.yardsticks = costs["yardstick_seconds"]

    def __getitem__(self, name: str) -> float:
        return float(self.single[name][0])


def shares_of_the_day(habits: Habits) -> tuple[float, float]:
    """Of the busiest hour: sessions that begin, as a multiple of the day's mean; the share of chargers that charge."""
    mean = sum(ARRIVALS) / len(ARRIVALS)
    begins = [share / mean for share in ARRIVALS]
    hours = habits.session_minutes / 60
    charging = []
    for hour in range(24):
        whole, part = int(hours), hours - int(hours)
        before = sum(begins[(hour - back) % 24] for back in range(whole))
        charging.append((before + part * begins[(hour - whole) % 24]) * habits.sessions_a_day / 24)
    return max(begins), max(charging)


def traffic(chargers: float, habits: Habits) -> dict[str, float]:
    """Messages (and dials) a second in the busiest hour."""
    peak, charging = shares_of_the_day(habits)
    begins = chargers * habits.sessions_a_day * peak / DAY
    dials = chargers * habits.losses_a_day / DAY
    return {
        "Heartbeat": chargers / HEARTBEAT_INTERVAL,
        "MeterValues": chargers * charging / habits.meter_interval,
        "Start/StopTransaction": 2 * begins,
        "Authorize": begins,
        "StatusNotification": habits.statuses * begins + habits.boots * habits.statuses_after_boot * dials,
        "dials": dials,
    }


def facts(chargers: float, habits: Habits) -> float:
    """Facts a second that every process is told: sessions that begin and end, commands that end, sockets that move."""
    said = traffic(chargers, habits)
    return said["Start/StopTransaction"] + said["dials"] * (2 * habits.boots + 1)


class Load(NamedTuple):
    """What a fleet asks in the busiest hour."""

    worker: float  #: of a core, when commits are as full as they can be: how much of it is needed
    busy: float  #: of a core, with the few messages that share a commit at this rate: what `top` shows
    database_busy: float
    database: float  #: cores
    redis: float  #: of its one core
    commits: float  #: a second
    fsyncs: float
    redo: float  #: bytes a second
    parts: dict[str, float]  #: of the worker's share


def load(chargers: float, workers: int, costs: Costs, habits: Habits) -> Load:
    said = traffic(chargers / workers, habits)
    dials = said.pop("dials")
    held = chargers / workers
    stored = sum(rate for kind, rate in said.items() if kind != "Heartbeat")
    turn = LEASE_SECONDS * TURN
    heard = facts(chargers, habits)

    def in_all(field: str, *, full: bool = False) -> float:
        """Of all messages of a worker in a second."""
        return sum(
            rate
            * costs.messages[kind][field].at(math.inf if full else rate if kind == "Heartbeat" else stored)
            for kind, rate in said.items()
        )

    parts = {kind: rate * costs.messages[kind]["worker_us"].at(math.inf) / 1e6 for kind, rate in said.items()}
    sparse = (in_all("worker_us") - in_all("worker_us", full=True)) / 1e6
    parts["pings, idle sockets"] = held * costs["an idle socket, worker, us a second"] / 1e6
    parts["dials and boots"] = dials * (
        (costs["connect + boot, worker, ms"] + costs["a socket's end, worker, ms"]) / 1e3
        + habits.boots * costs["calls after a boot, worker, ms"] / 1e3
    )
    parts["turns: rows that are ours"] = held * costs["a turn's rows, worker, us a socket"] / turn / 1e6
    parts["facts of the others"] = heard * costs["a fact heard from another process, us"] / 1e6
    parts["the process itself"] = costs["an idle process, worker, ms a second"] / 1e3

    database = (
        workers * in_all("mariadb_us", full=True) / 1e6
        + workers
        * dials
        * (costs["connect + boot, database, ms"] + costs["a socket's end, database, ms"])
        / 1e3
        + workers * dials * habits.boots * costs["calls after a boot, database, ms"] / 1e3
        + chargers * costs["a turn's rows, database, us a socket"] / turn / 1e6
        + chargers / 1e6 * costs["the leader's look at a million rows, database, ms"] / turn / 1e3
        + workers * costs["an idle process, database, ms a second"] / 1e3
    )
    told = heard * costs["a fact in Redis, told to two, us"] / 2 * (1 + workers) / 1e6
    sparse_database = workers * (in_all("mariadb_us") - in_all("mariadb_us", full=True)) / 1e6
    needed = sum(parts.values())
    return Load(
        worker=needed,
        busy=needed + sparse,
        database=database,
        database_busy=database + sparse_database,
        redis=told,
        commits=workers * (in_all("commits") + dials * 2),
        fsyncs=workers * in_all("fsyncs"),
        redo=workers * in_all("redo_bytes"),
        parts=parts,
    )


class Sizing(NamedTuple):
    hosts: int
    workers: int  #: of each host
    bound: str  #: what asks for so many
    load: Load
    after: Load  #: with one host less


def sized(chargers: int, workers: int, utilisation: float, costs: Costs, habits: Habits) -> Sizing:
    """The fewest hosts on which a worker is so busy at most, and one of which may be missing.

    Then the others may be busy to 0.85, and have places and ports for all.
    """
    bound = "two, so that one may die"
    hosts = 2
    while True:
        there, left = hosts * workers, (hosts - 1) * workers
        now, after = load(chargers, there, costs, habits), load(chargers, left, costs, habits)
        if now.worker > utilisation:
            bound = f"a worker's processor ({utilisation:.0%} in the busiest hour)"
        elif after.worker > 0.85:
            bound = "a worker's processor when one host is missing (85 %)"
        elif chargers / left > PLACES:
            bound = f"places of a worker ({PLACES:,}) when one host is missing"
        elif chargers / (hosts - 1) > PORTS:
            bound = f"ports from a balancer's address to one of a host ({PORTS:,}) when one host is missing"
        else:
            return Sizing(hosts, workers, bound, now, after)
        hosts += 1
        if hosts > 5000:
            return Sizing(0, workers, "no number of hosts is enough: " + bound, now, after)


def limits(
    workers: int, utilisation: float, cores: int, costs: Costs, habits: Habits
) -> list[tuple[str, float]]:
    """What all hosts share, and with how many chargers it is full; the fullest first."""
    heard = costs["a fact heard from another process, us"] / 1e6

    def spread(chargers: float) -> int:
        """Workers for so many, by their own processor alone (facts of others left out)."""
        count = max(2, math.ceil(chargers / PLACES))
        while True:
            asked = load(chargers, count, costs, habits)
            if asked.worker - asked.parts["facts of the others"] <= utilisation:
                return count
            count = max(count + 1, int(count * 1.05))

    found = [
        (
            f"the database's processor: {cores} cores at {utilisation:.0%}",
            _full(lambda n: load(n, spread(n), costs, habits).database / cores / utilisation),
        ),
        (
            f"Redis' one core at {utilisation:.0%}: every fact goes to every process",
            _full(lambda n: load(n, spread(n), costs, habits).redis / utilisation),
        ),
        (
            f"facts of others in each worker: {utilisation:.0%} of it",
            _full(lambda n: facts(n, habits) * heard / utilisation),
        ),
        (
            "transactionIds (31 bits) last ten years",
            TRANSACTION_IDS / (habits.sessions_a_day * 365.25 * 10),
        ),
        (
            "meter_values: 10 TB in RETAIN_METER_VALUES_DAYS (730)",
            10e12 / (_samples(1, habits) * costs["a meter value's row, bytes"] * 730),
        ),
        ("database connections: 5,000", _full(lambda n: spread(n) * CONNECTIONS / 5000)),
    ]
    return sorted(found, key=lambda each: each[1])


def _samples(chargers: float, habits: Habits) -> float:
    """Rows of meter_values in a day."""
    return (
        chargers
        * habits.sessions_a_day
        * habits.session_minutes
        * 60
        / habits.meter_interval
        * habits.samples
    )


def _full(share: Callable[[float], float]) -> float:
    """The number of chargers at which a growing share becomes 1."""
    low, high = 1000.0, 100e6
    if share(high) < 1:
        return math.inf
    while high / low > 1.02:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if share(middle) < 1 else (low, middle)
    return low


class Wave(NamedTuple):
    """Chargers that lost their socket and came back; seconds from the beginning."""

    lost: int
    mean: float
    half: float
    most: float  #: 99 %
    last: float
    refused: int
    least_connected: float  #: share of all chargers
    utilisation: float  #: of the busiest survivor, until the last was back


def wave(
    *,
    gone: Sequence[float],
    held: Sequence[float],
    workers: int,
    redial: Redial,
    chargers: int,
    dial: float,
    after_boot: float = 0.0,
    refusal: float = 0.0,
    background: float = 0.0,
    database: float = 0.0,
    admissions: int = ADMISSIONS_AT_ONCE,
    again: float = 1.25,
    marked_down: float = 0.0,
    seed: int = 1,
) -> Wave:
    """`gone`: when each charger loses its socket. `held`: sockets of each host that takes them, of `workers` each.

    Seconds of one core: `dial`, `after_boot` (a second later), `refusal`; `database` those that all dials share.
    `background`: how busy a worker is anyway. `again`: of Retry-After, who is turned away waits up to so much.
    `marked_down`: until then the balancer sends dials to the dead host.
    """
    chance = random.Random(seed)
    at_once = math.ceil(admissions / workers)
    count = list(held)
    free = [[0.0] * workers for _ in held]
    busy = [[0.0] * workers for _ in held]
    inside: list[list[list[float]]] = [
        [[] for _ in range(workers)] for _ in held
    ]  # ends of those on their way
    shared_free = 0.0
    slow = 1 / max(0.01, 1 - background)
    dials = [(at + chance.uniform(redial.soonest, redial.latest), number) for number, at in enumerate(gone)]
    dials = [
        (at + max(0, math.ceil((marked_down - at) / TRIED_AGAIN_AFTER)) * TRIED_AGAIN_AFTER, number)
        for at, number in dials
    ]
    heapq.heapify(dials)
    back = [0.0] * len(gone)
    refused = 0
    while dials:
        now, number = heapq.heappop(dials)
        host = min(range(len(count)), key=count.__getitem__)
        worker = chance.randrange(workers)
        line = inside[host][worker]
        while line and line[0] <= now:
            heapq.heappop(line)
        if len(line) >= (1 + pacing.LINE) * at_once or (
            len(line) >= at_once and line[len(line) - at_once] - now > ROOM_PATIENCE
        ):  # see gateway/pacing.py
            refused += 1
            free[host][worker] = max(free[host][worker], now) + refusal * slow
            busy[host][worker] += refusal
            pause = chance.randint(pacing.SOONEST, pacing.LATEST) * chance.uniform(1.0, again)
            heapq.heappush(dials, (free[host][worker] + pause, number))  # it has heard of it then
            continue
        count[host] += 1
        begun = max(free[host][worker], now)
        shared_free = max(shared_free, now) + database
        done = max(begun + dial * slow, shared_free)
        free[host][worker] = begun + (dial + after_boot) * slow
        busy[host][worker] += dial + after_boot
        heapq.heappush(line, done)
        back[number] = done
    since = sorted(done - at for done, at in zip(back, gone, strict=True))
    end = max(back)
    moments = sorted([(at, 1) for at in gone] + [(done, -1) for done in back])
    away = most_away = 0
    for _, step in moments:
        away += step
        most_away = max(most_away, away)
    spent = max(max(each) for each in busy) / max(1e-9, end - min(gone))
    return Wave(
        len(gone),
        sum(since) / len(since),
        percentile(since, 50),
        percentile(since, 99),
        end - min(gone),
        refused,
        1 - most_away / chargers,
        min(1.0, spent + background),
    )


def _costs_of_a_dial(costs: Costs, habits: Habits, cores: int) -> dict[str, float]:
    return {
        "dial": costs["connect + boot, worker, ms"] / 1e3,
        "after_boot": habits.boots * costs["calls after a boot, worker, ms"] / 1e3,
        "refusal": costs["a dial refused, worker, ms"] / 1e3,
        "database": (
            costs["connect + boot, database, ms"] + habits.boots * costs["calls after a boot, database, ms"]
        )
        / 1e3
        / cores,
    }


def death(chargers: int, at: Sizing, redial: Redial, cores: int, costs: Costs, habits: Habits) -> Wave:
    """All sockets of one host end at once."""
    each = chargers // at.hosts
    free = max(0.1, 1 - at.load.database / cores)
    dial = _costs_of_a_dial(costs, habits, cores)
    return wave(
        gone=[0.0] * each,
        held=[float(each)] * (at.hosts - 1),
        workers=at.workers,
        redial=redial,
        chargers=chargers,
        background=min(0.9, at.load.busy),
        marked_down=MARKED_DOWN_AFTER,
        **dial | {"database": dial["database"] / free},
    )


def restart(
    chargers: int,
    at: Sizing,
    redial: Redial,
    cores: int,
    costs: Costs,
    habits: Habits,
    *,
    empty: bool,
    drain: float,
) -> Wave:
    """One host lets its chargers go over DRAIN_SECONDS; `empty`: the one before it has just come back without any."""
    each = chargers // (at.hosts - (1 if empty else 0))
    noticed = min(NOTICED_AFTER, drain / 3)
    free = max(0.1, 1 - at.load.database / cores)
    dial = _costs_of_a_dial(costs, habits, cores)
    return wave(
        gone=[(drain - noticed) * number / each for number in range(each)],
        held=[0.0] * empty + [float(each)] * (at.hosts - 1 - empty),
        workers=at.workers,
        redial=redial,
        chargers=chargers,
        background=min(0.9, at.load.busy),
        **dial | {"database": dial["database"] / free},
    )


def mixed(seen: dict[str, Any], costs: Costs) -> dict[str, Any]:
    """All kinds at once as bench.costs has measured them, and the sum of their own costs."""
    stored = sum(rate for kind, rate in seen["per_second"].items() if kind != "Heartbeat")
    added = seen["sockets"] * costs["an idle socket, worker, us a second"] / 1e6 + sum(
        rate * costs.messages[kind]["worker_us"].at(rate if kind == "Heartbeat" else stored) / 1e6
        for kind, rate in seen["per_second"].items()
    )
    return {
        "per_second": sum(seen["per_second"].values()),
        "sockets": seen["sockets"],
        "measured": seen["worker"],
        "added up": round(added, 4),
    }


def validated(seen: dict[str, Any], costs: Costs) -> dict[str, Any]:
    """The same death as bench.death has measured, by the simulation: two hosts, calls of ours off."""
    found, by_costs = (
        wave(
            gone=[0.0] * seen["lost"],
            held=[float(seen["chargers"] - seen["lost"])],
            workers=seen["workers"],
            redial=BENCH,
            chargers=seen["chargers"],
            dial=milliseconds / 1e3,
            database=costs["connect + boot, database, ms"] / 1e3,
            marked_down=MARKED_DOWN_AFTER,
        )
        for milliseconds in (seen["survivors_ms_per_charger"], costs["connect + boot, worker, ms"])
    )
    names = ("seconds_to_half", "seconds_to_99_percent", "seconds_to_the_last")
    return {
        "chargers": seen["chargers"],
        "lost": seen["lost"],
        "measured": {name: seen[name] for name in names},
        "simulated": dict(zip(names, (round(x, 2) for x in by_costs[2:5]), strict=True)),
        "simulated with that run's own cost of a dial": dict(
            zip(names, (round(x, 2) for x in found[2:5]), strict=True)
        ),
        "ms_of_a_dial": {
            "bench.costs": round(costs["connect + boot, worker, ms"], 2),
            "that run": seen["survivors_ms_per_charger"],
        },
    }


def run(
    *, fleets: Sequence[int], workers: int, utilisation: float, cores: int, habits: Habits, costs: Costs
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "inputs": {
            name: [round(value, 3), MEASURED, source] for name, (value, source) in costs.single.items()
        },
        "habits": {name: [value, ASSUMED] for name, value in vars(habits).items()},
        "workers_of_a_host": workers,
        "utilisation": utilisation,
        "database_cores": cores,
        "yardstick_seconds": costs.yardsticks,
        "limits": limits(workers, utilisation, cores, costs, habits),
        "fleets": {},
    }
    for chargers in fleets:
        at = sized(chargers, workers, utilisation, costs, habits)
        said = traffic(chargers, habits)
        each: dict[str, Any] = {
            "per_second": said,
            "charging": shares_of_the_day(habits)[1],
            "hosts": at.hosts,
            "bound": at.bound,
            "load": at.load._asdict(),
            "after": at.after._asdict(),
            "sockets_of_a_worker": chargers / at.hosts / workers if at.hosts else None,
            "memory_of_a_host_gb": chargers / max(1, at.hosts) * costs["a socket, KB"] / 1e6,
            "connections": at.hosts * workers * CONNECTIONS,
            "rows_a_day": _samples(chargers, habits),
            "gigabytes_a_day": _samples(chargers, habits) * costs["a meter value's row, bytes"] / 1e9,
            "years_of_transaction_ids": TRANSACTION_IDS / (chargers * habits.sessions_a_day * 365.25),
            "renewals_a_second": at.hosts * workers / (LEASE_SECONDS * TURN),
        }
        if at.hosts:
            args = (chargers, at)
            rest = (cores, costs, habits)
            quiet = (cores, costs, replace(habits, boots=0.0))
            each["waves"] = {
                **{
                    f"a host dies; chargers dial {redial.name}": death(*args, redial, *rest)._asdict()
                    for redial in (AT_ONCE, MODEST, PINGS)
                },
                "the same, at once, without our calls after a boot": death(*args, AT_ONCE, *quiet)._asdict(),
                f"a host restarts, DRAIN_SECONDS={DRAIN_SECONDS:.0f}": restart(
                    *args, AT_ONCE, *rest, empty=False, drain=DRAIN_SECONDS
                )._asdict(),
                f"the next one, the first just back and empty, {DRAIN_SECONDS:.0f} s": restart(
                    *args, AT_ONCE, *rest, empty=True, drain=DRAIN_SECONDS
                )._asdict(),
                "the same with DRAIN_SECONDS=300": restart(
                    *args, AT_ONCE, *rest, empty=True, drain=300.0
                )._asdict(),
            }
        found["fleets"][f"{chargers:,}"] = each
    return found


def show(figures: dict[str, Any]) -> str:
    lines = [table([["input", "value", "", "from"]] + [[n, *v] for n, v in figures["inputs"].items()]), ""]
    lines += [
        "assumed of chargers: "
        + ", ".join(f"{name} {value:g}" for name, (value, _) in figures["habits"].items()),
        f"yardstick when the costs were taken: {figures['yardstick_seconds']} s (a quiet machine: 0.3)",
        "",
        "EXTRAPOLATED from here on: measured costs times assumed traffic",
        "",
    ]
    rows: list[list[Any]] = [["shared by all hosts", "full with so many chargers"]]
    rows += [
        [what, f"{chargers:,.0f}" if chargers < math.inf else "over 100 million"]
        for what, chargers in figures["limits"]
    ]
    lines += [table(rows), ""]
    for name, each in figures["fleets"].items():
        now, after = each["load"], each["after"]
        rates = ", ".join(f"{kind} {rate:,.1f}" for kind, rate in each["per_second"].items())
        parts = sorted(now["parts"].items(), key=lambda part: -part[1])
        lines += [
            f"== {name} chargers, {each['charging']:.0%} of which charge in the busiest hour",
            f"a second: {rates}; in all {sum(each['per_second'].values()):,.0f}",
            f"hosts of {figures['workers_of_a_host']} workers: {each['hosts']}, because of {each['bound']}",
        ]
        if not each["hosts"]:
            continue
        lines += [
            f"a worker: needs {now['worker']:.0%} of a core ({after['worker']:.0%} with one host less), looks"
            f" {now['busy']:.0%} busy (few messages share a commit),"
            f" {each['sockets_of_a_worker']:,.0f} sockets; of it "
            + ", ".join(f"{what} {share:.1%}" for what, share in parts),
            f"a host: {each['memory_of_a_host_gb']:.2f} GB for sockets",
            f"the database: needs {now['database']:.1f} cores, looks as if {now['database_busy']:.1f}, {now['commits']:,.0f} commits/s,"
            f" {now['redo'] / 1e6:.1f} MB/s of redo, {each['connections']:,} connections;"
            f" meter_values {each['rows_a_day'] / 1e6:,.0f} million rows, {each['gigabytes_a_day']:,.1f} GB a day;"
            f" transactionIds last {each['years_of_transaction_ids']:.1f} years",
            f"Redis: {now['redis']:.1%} of a core, {each['renewals_a_second']:.1f} leases/s",
        ]
        rows = [
            [
                "what",
                "chargers",
                "half back s",
                "99 % s",
                "last s",
                "turned away",
                "connected >=",
                "busiest survivor",
            ]
        ]
        for what, seen in each["waves"].items():
            rows.append(
                [
                    what,
                    f"{seen['lost']:,}",
                    *(f"{seen[at]:.1f}" for at in ("half", "most", "last")),
                    f"{seen['refused']:,}",
                    f"{seen['least_connected']:.1%}",
                    f"{seen['utilisation']:.0%}",
                ]
            )
        lines += [table(rows), ""]
    for each in figures.get("mixed", ()):
        lines.append(
            f"all kinds at once, {each['per_second']}/s on {each['sockets']:,} sockets: measured {each['measured']:.0%}"
            f" of a core, added up of the parts {each['added up']:.0%}"
        )
    if "validated" in figures:
        lines.append("held against bench.death: " + json.dumps(figures["validated"], indent=1))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulate_fleet", description=__doc__)
    parser.add_argument("--chargers", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=4, help="of each host, one a core")
    parser.add_argument("--utilisation", type=float, default=0.6, help="of a worker, in the busiest hour")
    parser.add_argument("--database-cores", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--keep", action="store_true", help="write results/simulate_fleet.json")
    given = parser.parse_args()
    costs = Costs(kept("costs"), kept("presence"), kept("latest"))
    figures = run(
        fleets=given.chargers,
        workers=given.workers,
        utilisation=given.utilisation,
        cores=given.database_cores,
        habits=Habits(),
        costs=costs,
    )
    figures["mixed"] = [mixed(seen, costs) for seen in costs.mixed]
    figures["validated"] = [validated(seen, costs) for seen in kept("death")["rounds"]]
    if given.keep:
        keep("simulate_fleet", figures)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
