"""The `flask` commands: those of the rooms, chargers, upkeep."""

from __future__ import annotations

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext

from .. import clock
from ..access import cli as access
from ..chargers import administration
from ..console import audited, engine
from ..simulate.cli import simulate
from ..sites import cli as sites
from ..web import openapi
from . import retention
from .process import process_of

charger = AppGroup("charger", help="Chargers.")


def register(app: Flask) -> None:
    access.register(app)
    sites.register(app)
    app.cli.add_command(charger)
    app.cli.add_command(simulate)
    app.cli.add_command(drop_old_rows)
    app.cli.add_command(write_openapi)


@charger.command("approve")
@click.argument("identity")
@audited
def approve_charger(identity: str) -> None:
    """Let a charger in at its next BootNotification."""
    administration.approve(engine(), identity)
    click.echo(f"Charger {identity} approved; it is accepted at its next BootNotification.")


@charger.command("site")
@click.argument("identity")
@click.argument("site_id", type=int, required=False)
@audited
def set_site(identity: str, site_id: int | None) -> None:
    """Say to which site a charger belongs; without one, to none."""
    central = process_of(current_app).central
    administration.change(central, engine(), identity, {"site_id": site_id})
    click.echo(f"Charger {identity} belongs to {'no site' if site_id is None else f'site {site_id}'}.")


@click.command("retention")
@with_appcontext
def drop_old_rows() -> None:
    """Drop what is older than the RETAIN_…_DAYS settings allow, as the server does every hour.

    It goes in small steps, so it may run beside the server. Sessions are kept for good.
    """
    central = process_of(current_app).central
    dropped: dict[str, int] = {}
    for table, count in retention.apply(central.database.engine, central.settings, clock.now()):
        dropped[table] = count
        click.echo(f"\r{table}: {count} rows", nl=False, err=True)
    click.echo(err=True)
    if surplus := retention.drop_surplus(central.database.engine, central.settings):
        dropped["messages"] = dropped.get("messages", 0) + surplus
    for table, count in dropped.items():
        click.echo(f"{count} rows of {table} dropped.")
    if not dropped:
        click.echo("Nothing is old enough to go.")


@click.command("openapi")
@with_appcontext
def write_openapi() -> None:
    """Write the OpenAPI document, as docs/openapi.json has it."""
    click.echo(openapi.document(), nl=False)
