"""All benchmarks: a table with targets and verdicts, bench/results/latest.json, and a chart beside it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from . import chart, durable, heartbeats, idle, lists, storm
from .figures import ranged, table, times
from .machine import RESULTS, machine

#: name → (module, its arguments, those of --quick)
PROGRAMS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "heartbeats": (
        heartbeats,
        {"rounds": 7, "sockets": 1000, "seconds": 5.0},
        {"rounds": 2, "sockets": 200, "seconds": 2.0},
    ),
    "durable": (
        durable,
        {"rounds": 5, "sockets": 1000, "seconds": 6.0},
        {"rounds": 1, "sockets": 300, "seconds": 2.0},
    ),
    "idle": (
        idle,
        {"sockets": 10_000, "seconds": 20.0, "interval": 60.0},
        {"sockets": 1000, "seconds": 4.0, "interval": 20.0},
    ),
    "storm": (storm, {"chargers": 5000, "limit": 240.0}, {"chargers": 300, "limit": 60.0}),
    "lists": (
        lists,
        {"chargers": 10_000, "sessions": 5_000_000, "far_page": 10_000, "repeats": 60},
        {"chargers": 500, "sessions": 50_000, "far_page": 100, "repeats": 20},
    ),
}


class Verdict(NamedTuple):
    figure: str
    measured: str
    target: str
    met: bool


def _heartbeats(found: dict[str, Any]) -> list[Verdict]:
    ours = ranged(found["per_second"]["charger_mgmt"])
    python, node = found["against_ocpp_websockets"], found["against_ocpp_rpc"]
    return [
        Verdict("Heartbeats/s, one worker", ours, "", True),
        Verdict("  against ocpp + websockets", times(python), "4 x", python["median"] >= 4),
        Verdict("  against ocpp-rpc strict", times(node), "0.5 x", node["median"] >= 0.5),
        Verdict("  the prize", times(node), "0.8 x", node["median"] >= 0.8),
    ]


def _durable(found: dict[str, Any]) -> list[Verdict]:
    verdicts = []
    for kind in found["kinds"].values():
        single, peer = kind["against_batches_of_one"], kind["against_ocpp_websockets"]
        verdicts += [
            Verdict(f"durable {kind['what']}/s", ranged(kind["per_second"]["charger_mgmt"]), "", True),
            Verdict("  against batches of one", times(single), "5 x", single["median"] >= 5),
            Verdict("  against ocpp + websockets", times(peer), "5 x", peer["median"] >= 5),
        ]
    return verdicts


def _idle(found: dict[str, Any]) -> list[Verdict]:
    latency = found["heartbeats"]["latency"]
    held = found["held"] == found["sockets"] and not found["reconnects"]
    size = found["kilobytes_per_socket"]
    return [
        Verdict("idle sockets held", f"{found['held']:,}", f"{found['sockets']:,}", held),
        Verdict("  memory of each", f"{size:.1f} KB", "60 KB", size <= 60),
        Verdict("  Heartbeat meanwhile, p50 / p99", f"{latency['p50_ms']:.1f} / {latency['p99_ms']:.1f} ms", "", True),
    ]  # fmt: skip


def _storm(found: dict[str, Any]) -> list[Verdict]:
    what = f"storm of {found['chargers']:,} x 10, drained"
    return [Verdict(what, f"{found['seconds']:.1f} s", "none lost", found["none_lost"])]


def _lists(found: dict[str, Any]) -> list[Verdict]:
    watch, everything = found["liveness"], found["list_of_chargers"]["all"]
    verdicts = [
        Verdict("liveness sweep, p50 / p99", _both(watch["sweep_nobody"]), "", True),
        Verdict(f"GET /api/chargers, all {found['chargers']:,}", _both(everything), "", True),
    ]
    for query in found["history"]:
        if "ratio" in query:
            what = f"history page {found['far_page']:,} / page 1, {query['query']}"
            pages = f"{query['ratio']:.2f} x ({_both(query['far_page'])} / {_both(query['page_1'])})"
            verdicts.append(Verdict(what, pages, "1.5 x", query["ratio"] <= 1.5))
    return verdicts


_VERDICTS: dict[str, Callable[[dict[str, Any]], list[Verdict]]] = {
    "heartbeats": _heartbeats,
    "durable": _durable,
    "idle": _idle,
    "storm": _storm,
    "lists": _lists,
}


def _both(found: dict[str, float]) -> str:
    return f"{found['p50_ms']:.1f} / {found['p99_ms']:.1f} ms"


def verdicts(figures: dict[str, Any]) -> list[Verdict]:
    return [line for name, judge in _VERDICTS.items() if name in figures for line in judge(figures[name])]


def _verdict_table(figures: dict[str, Any]) -> str:
    rows: list[list[Any]] = [["figure", "measured: median (least to most)", "target", ""]]
    for line in verdicts(figures):
        rows.append([line.figure, line.measured, line.target, _word(line)])
    return table(rows)


def _word(line: Verdict) -> str:
    return "" if not line.target else "met" if line.met else "MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything work?")
    parser.add_argument("--only", choices=PROGRAMS, action="append", help="this one (may be given again)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where JSON and chart go")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    kept = given.results / ("quick.json" if given.quick else "latest.json")
    # With --only the others' figures stay as they are; each says on which machine and when it was taken.
    figures: dict[str, Any] = json.loads(kept.read_text()) if given.only and kept.exists() else {}
    for name in given.only or PROGRAMS:
        module, arguments, quick = PROGRAMS[name]
        began = time.monotonic()
        print(f"── {name}", flush=True)
        at = machine()
        figures[name] = module.run(**(quick if given.quick else arguments)) | {"machine": at}
        print(module.show(figures[name]))
        print(f"({time.monotonic() - began:.0f} s)\n", flush=True)
        kept.write_text(json.dumps(figures, indent=1) + "\n")
    print(_verdict_table(figures))
    chart.draw(figures, kept.with_suffix(".png"))


if __name__ == "__main__":
    main()
