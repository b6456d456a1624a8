"""The `flask` commands: accounts, chargers, simulated chargers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

import config

from .. import clock
from ..access import accounts
from ..chargers import administration
from ..database.faults import explain
from ..errors import ChargerManagementError, DatabaseAway
from ..simulate.cli import simulate
from ..web import openapi
from . import retention
from .process import process_of

#: Asked for after the name has been looked at.
_PASSWORD = click.option("--password", envvar="USER_PASSWORD", help="Asked for when it is not given.")

user = AppGroup("user", help="Operators' accounts.")
charger = AppGroup("charger", help="Chargers.")


def register(app: Flask) -> None:
    app.cli.add_command(user)
    app.cli.add_command(charger)
    app.cli.add_command(simulate)
    app.cli.add_command(drop_old_rows)
    app.cli.add_command(write_openapi)


def _plain_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Our own errors as one line, not as a traceback."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except DatabaseAway as error:
            cause = error.__cause__
            why = explain(cause) if isinstance(cause, DBAPIError) else str(error)
            raise click.ClickException(why) from error
        except ChargerManagementError as error:
            raise click.ClickException(str(error)) from error

    return run


def _engine() -> Engine:
    """As REST's: a command may run beside the server."""
    return process_of(current_app).central.database.rest


def _asked_password() -> str:
    return click.prompt("Password", hide_input=True, confirmation_prompt=True)


@user.command("create")
@click.argument("username")
@_PASSWORD
@_plain_errors
def create_user(username: str, password: str | None) -> None:
    """Create an account that may use the REST API."""
    accounts.check_free(_engine(), username)
    accounts.create(_engine(), username, password or _asked_password())
    click.echo(f"User {username} created.")


@user.command("create-first")
@_plain_errors
def create_first_user() -> None:
    """Create the first account, when there is none yet.

    It takes ADMIN_USERNAME (default: admin) and ADMIN_PASSWORD; without a password it makes a random one
    and prints it, once.
    """
    if accounts.has_any(_engine()):
        return
    account = config.first_account()
    username, given = account.admin_username, account.admin_password
    password = given or secrets.token_urlsafe(12)
    accounts.create(_engine(), username, password)
    if given:
        click.echo(f"First account: {username}, with the password in ADMIN_PASSWORD.")
    else:
        click.echo(f"First account: username {username}, password {password}  (shown only now)")


@user.command("password")
@click.argument("username")
@_PASSWORD
@_plain_errors
def set_password(username: str, password: str | None) -> None:
    """Give an account a new password."""
    accounts.check_known(_engine(), username)
    accounts.set_password(_engine(), username, password or _asked_password())
    click.echo(f"Password of {username} changed.")


@user.command("disable")
@click.argument("username")
@_plain_errors
def disable_user(username: str) -> None:
    """Refuse an account's logins and tokens from now on."""
    accounts.set_active(_engine(), username, False)
    click.echo(f"User {username} disabled.")


@user.command("enable")
@click.argument("username")
@_plain_errors
def enable_user(username: str) -> None:
    """Let a disabled account in again."""
    accounts.set_active(_engine(), username, True)
    click.echo(f"User {username} enabled.")


@charger.command("approve")
@click.argument("identity")
@_plain_errors
def approve_charger(identity: str) -> None:
    """Let a charger in at its next BootNotification."""
    administration.approve(_engine(), identity)
    click.echo(f"Charger {identity} approved; it is accepted at its next BootNotification.")


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
    for table, count in dropped.items():
        click.echo(f"{count} rows of {table} dropped.")
    if not dropped:
        click.echo("Nothing is old enough to go.")


@click.command("openapi")
@with_appcontext
def write_openapi() -> None:
    """Write the OpenAPI document, as docs/openapi.json has it."""
    click.echo(openapi.document(), nl=False)
