"""The `flask` commands for sites."""

from __future__ import annotations

from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup

from ..console import audited, engine, plain_errors, table
from . import places
from .views import TIME_ZONES

site = AppGroup("site", help="Sites, to which chargers belong.")


def register(app: Flask) -> None:
    app.cli.add_command(site)


def _time_zone(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name is not None and name not in TIME_ZONES:
        raise click.BadParameter("it must be a name like Europe/Berlin")
    return name


def _fields(command: Any) -> Any:
    for name in ("country", "postal-code", "city", "address"):
        command = click.option(f"--{name}")(command)
    for name, most in (("longitude", 180), ("latitude", 90)):
        command = click.option(f"--{name}", type=click.FloatRange(-most, most))(command)
    return click.option("--time-zone", callback=_time_zone, help="Like Europe/Berlin.")(command)


@site.command("create")
@click.argument("name")
@_fields
@audited
def create_site(name: str, **fields: Any) -> None:
    """Create a site."""
    place = places.create(engine(), {"name": name, "time_zone": "UTC"} | _given(fields))
    click.echo(f"Site {place.site.id}: {name}")


@site.command("list")
@plain_errors
def list_sites() -> None:
    """Show the sites."""
    after: str | None = None
    found: list[places.Place] = []
    while portion := places.listed(engine(), None, after=after, limit=1000):
        found += portion
        after = portion[-1].site.name
    table(
        ("site", "name", "address", "city", "time zone", "chargers"),
        (
            (
                each.site.id,
                each.site.name,
                each.site.address,
                each.site.city,
                each.site.time_zone,
                each.chargers,
            )
            for each in found
        ),
    )


@site.command("change")
@click.argument("site_id", type=int)
@click.option("--name")
@_fields
@audited
def change_site(site_id: int, **fields: Any) -> None:
    """Change a site."""
    places.change(engine(), site_id, _given(fields), None)
    click.echo(f"Site {site_id} changed.")


@site.command("remove")
@click.argument("site_id", type=int)
@audited
def remove_site(site_id: int) -> None:
    """Remove a site to which no charger belongs any more."""
    places.remove(engine(), site_id)
    click.echo(f"Site {site_id} removed.")


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    country = fields.get("country")
    if country is not None and not (len(country) == 2 and country.isascii() and country.isupper()):
        raise click.BadParameter("--country must be an ISO 3166 code of two capital letters")
    return {name: value for name, value in fields.items() if value is not None}
