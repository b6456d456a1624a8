"""`flask simulate`: a fleet of fake chargers, in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

HELP = """Run fake chargers against a central system until Ctrl-C.

They boot, report their connectors, send heartbeats; cars come and go through a day that begins at
seven; lines fail and come back with what was queued; remote commands are obeyed.

\b
Examples:
  flask simulate
  flask simulate --chargers 200 --minutes 15
  flask simulate --chargers 3 --pace 1 --url ws://chargers.example.com/ocpp
  flask simulate --chargers 5 --flat 2 --prefix DEPOT

--pace 60 lets an hour pass in a minute. Timestamps and power stay real, so an hour at 11 kW becomes a
minute with 183 Wh.

The exit code is 1 when a transaction message was refused or never acknowledged, or a charger never got in.
"""
OPTIONS = [
    click.Option(["--chargers"], type=click.IntRange(0, 20000), default=10, show_default=True, help="How many OCPP-J chargers."),
    click.Option(["--url"], default="ws://127.0.0.1:8080/ocpp", show_default=True, help="The chargers' endpoint, without an identity."),
    click.Option(["--pace"], type=click.FloatRange(0.1, 3600), default=60.0, show_default=True, help="How many times as fast as the wall clock."),
    click.Option(["--minutes"], type=click.FloatRange(0.01), default=None, help="Stop by itself after so many real minutes."),
    click.Option(["--seed"], type=int, default=1, show_default=True, help="The same seed brings the same cars."),
    click.Option(["--flat"], type=click.IntRange(0, 5000), default=0, show_default=True, help="Chargers of the flat dialect besides (1, 2, …)."),
    click.Option(["--prefix"], default="SIM", show_default=True, help="What the identities begin with."),
    click.Option(["--connectors"], type=click.IntRange(1, 20), default=2, show_default=True, help="Connectors of each charger."),
]  # fmt: skip


def _check_url(url: str) -> None:
    """Raises a UsageError, which says what the URL may be, before any charger dials."""
    where = urlsplit(url)
    if where.scheme in ("ws", "wss") and where.hostname:
        return
    scheme = {"https": "wss"}.get(where.scheme, "ws")
    path = where.path if where.path.strip("/") else "/ocpp"
    meant = f"{scheme}://{where.netloc}{path}" if where.netloc else "ws://127.0.0.1:8080/ocpp"
    raise click.UsageError(f"--url {url}: chargers dial ws:// or wss:// addresses. Did you mean {meant}?")


def _run_in_a_patched_process(**chosen: Any) -> None:
    """Become another process: gevent must patch before anything has touched a socket."""
    _check_url(chosen["url"])
    arguments = []
    for option in OPTIONS:
        value = chosen[str(option.name)]
        if value is not None:
            arguments += [option.opts[0], str(value)]
    become_patched(arguments)


def become_patched(arguments: list[str]) -> None:
    """Replace this process by `python -m charger_mgmt.simulate`, patched before it imports anything."""
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.stdout.flush()
    command = [sys.executable, "-m", "gevent.monkey", "--module", "charger_mgmt.simulate", *arguments]
    os.execve(sys.executable, command, os.environ | {"PYTHONPATH": paths})


def _run_here(**chosen: Any) -> None:
    """Run the fleet in this process, which gevent has patched."""
    _check_url(chosen["url"])
    from .fleet import Fleet, FleetOptions

    fleet = Fleet(
        FleetOptions(
            **{field.name: chosen[field.name] for field in fields(FleetOptions) if field.name in chosen}
        )
    )

    def stop(*_: Any) -> None:
        # A second Ctrl-C ends at once.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fleet.ends()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    click.echo(
        f"{chosen['chargers']} chargers and {chosen['flat']} flat ones dial {chosen['url']}"
        f" at pace {chosen['pace']:g}; Ctrl-C ends."
    )
    raise SystemExit(0 if fleet.runs() else 1)


#: For `app.cli.add_command`.
simulate = click.Command(
    "simulate",
    callback=_run_in_a_patched_process,
    params=list(OPTIONS),
    help=HELP,
    short_help="Run fake chargers.",
)
#: For `python -m charger_mgmt.simulate`.
run_here = click.Command("simulate", callback=_run_here, params=list(OPTIONS), help=HELP)
