"""How long chargers are away when the server is reloaded or restarted, and what their absence is made of.

    python -m bench.absence [--chargers 300]

Each charger redials at random within a second of our close, waits as long as Retry-After says when it is turned
away, and two seconds when the port refuses it. What is printed, of each charger's absence, in seconds: from our
close to its boot's answer (`absent`), its own waiting (`redialling`), waiting because it was turned away or
refused (`turned away`), from its last dial to the 101 (`getting in`), from there to the boot's answer (`booting`).
`shown as gone`: until the operator's list shows everybody as connected, from the signal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from tests.support.mariadb import MariaDB

from .servers import Ours

BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}
REFUSED_PAUSE = 2.0
#: A charger that has not come back after so long counts as lost.
LIMIT = 90.0


@dataclass
class Absence:
    """One charger's way back; all in seconds."""

    closed: float = 0.0
    redialling: float = 0.0
    turned_away: float = 0.0
    getting_in: float = 0.0
    booting: float = 0.0
    absent: float = 0.0
    refusals: Counter = field(default_factory=Counter)


async def _charger(url: str, found: Absence, everybody: asyncio.Barrier, over: asyncio.Event) -> None:
    """Dial, boot, be thrown out, come back."""
    returning = False
    while True:
        began = time.monotonic()
        try:
            async with connect(url, subprotocols=["ocpp1.6"], open_timeout=30, compression=None) as socket:  # type: ignore[list-item]
                opened = time.monotonic()
                await socket.send(json.dumps([2, "1", "BootNotification", BOOT]))
                await socket.recv()
                booted = time.monotonic()
                if returning:
                    found.getting_in, found.booting = opened - began, booted - opened
                    found.absent = booted - found.closed
                    await over.wait()
                    return
                await everybody.wait()
                with suppress(ConnectionClosed):
                    while True:
                        await socket.recv()
            found.closed, returning = time.monotonic(), True
            found.turned_away = 0.0
            found.refusals.clear()
            found.redialling = random.random()
            await asyncio.sleep(found.redialling)
        except InvalidStatus as refusal:
            found.refusals[str(refusal.response.status_code)] += 1
            await asyncio.sleep(float(refusal.response.headers.get("Retry-After", 5)))
            found.turned_away += time.monotonic() - began
        except (OSError, WebSocketException, TimeoutError):
            found.refusals["refused"] += 1
            await asyncio.sleep(REFUSED_PAUSE)
            found.turned_away += time.monotonic() - began


async def _measure(server: Ours, chargers: int, restart: bool) -> dict[str, Any]:
    absences = [Absence() for _ in range(chargers)]
    everybody, over = asyncio.Barrier(chargers + 1), asyncio.Event()
    tasks = [
        asyncio.create_task(_charger(f"{server.ocpp_url}/AWAY-{number}", absence, everybody, over))
        for number, absence in enumerate(absences)
    ]
    await everybody.wait()
    signalled = time.monotonic()
    if restart:
        await asyncio.to_thread(server.restart)
    else:
        os.kill(server.master_pid, signal.SIGHUP)
    shown = None
    while time.monotonic() - signalled < LIMIT:
        await asyncio.sleep(0.2)
        gone = None
        with suppress(Exception):
            listed = await asyncio.to_thread(server.get, "/api/chargers")
            gone = sum(not row["connected"] for row in listed.json)
        if gone == 0 and all(absence.absent for absence in absences):
            shown = time.monotonic() - signalled
            break
    over.set()
    await asyncio.gather(*tasks)
    refusals: Counter = sum((absence.refusals for absence in absences), Counter())
    parts = ("absent", "redialling", "turned_away", "getting_in", "booting")
    return {
        "shown_as_gone": shown and round(shown, 1),
        "until_our_close": _spread([absence.closed - signalled for absence in absences]),
        **{part: _spread([getattr(absence, part) for absence in absences]) for part in parts},
        "refusals": dict(refusals),
    }


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"median": round(ordered[len(ordered) // 2], 2), "most": round(ordered[-1], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chargers", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, MariaDB() as database:
        for what, url in (
            ("SQLite", f"sqlite:///{folder}/absence.sqlite3"),
            ("MariaDB", database.create_database()),
        ):
            with Ours(url) as server:
                for how, restart in (("reload", False), ("restart", True)):
                    figures = asyncio.run(_measure(server, arguments.chargers, restart))
                    print(f"{what}, {how}: {json.dumps(figures)}", flush=True)


if __name__ == "__main__":
    main()
