"""The `flask` commands for accounts, keys and the audit trail."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import click
import msgspec
from flask import Flask
from flask.cli import AppGroup

import config

from .. import clock
from ..console import audited, engine, plain_errors, table
from ..database import acts
from ..database.connections import reading
from ..domain.roles import ADMIN, ROLES, VIEWER
from ..web.replies import time_text
from . import accounts, keys, log_ins
from .audit_views import AuditEntry
from .door import door, settings

#: Asked for after the name has been looked at.
_PASSWORD = click.option("--password", envvar="USER_PASSWORD", help="Asked for when it is not given.")
_ROLE = click.Choice(ROLES)
_SITES = click.option(
    "--site", "sites", type=int, multiple=True, help="A site that it is limited to; may be given often."
)

_EVERYTHING = click.option(
    "--everything", is_flag=True, help="It sees all chargers, also those without a site."
)

user = AppGroup("user", help="Operators' accounts.")
key = AppGroup("key", help="Keys by which machines use the REST API.")
audit = AppGroup("audit", help="Who did what.")


def register(app: Flask) -> None:
    for group in (user, key, audit):
        app.cli.add_command(group)


def _asked_password() -> str:
    given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return given


@user.command("create")
@click.argument("username")
@_PASSWORD
@click.option("--no-password", is_flag=True, help="For a machine, or until a reset link has been used.")
@click.option("--role", type=_ROLE, default=VIEWER, show_default=True, help="What it may do.")
@_SITES
@audited
def create_user(
    username: str, password: str | None, no_password: bool, role: str, sites: tuple[int, ...]
) -> None:
    """Create an account that may use the REST API."""
    accounts.check_free(engine(), username)
    given = None if no_password else password or _asked_password()
    accounts.create(engine(), username, given, role=role, sites=sites or None)
    click.echo(f"User {username} created: {role}.")


@user.command("create-first")
@plain_errors
def create_first_user() -> None:
    """Create the first account, when there is none yet: an admin.

    It takes ADMIN_USERNAME (default: admin) and ADMIN_PASSWORD; without a password it makes a random one
    and prints it, once.
    """
    if accounts.has_any(engine()):
        return
    account = config.first_account()
    username, given = account.admin_username, account.admin_password
    password = given or secrets.token_urlsafe(12)
    with acts.acting(acts.Act("user create-first", username, by="command line")):
        accounts.create(engine(), username, password, role=ADMIN)
    if given:
        click.echo(f"First account: {username}, with the password in ADMIN_PASSWORD.")
    else:
        click.echo(f"First account: username {username}, password {password}  (shown only now)")


@user.command("list")
@plain_errors
def list_users() -> None:
    """Show the accounts."""
    after: str | None = None
    rows: list[Any] = []
    while portion := accounts.listed(engine(), role=None, active=None, after=after, limit=1000):
        rows += portion
        after = portion[-1].username
    table(
        ("username", "role", "sites", "active", "password", "provider"),
        (
            (row.username, row.role, row.sites, row.active, row.password_hash != "", row.issuer)
            for row in rows
        ),
    )


@user.command("password")
@click.argument("username")
@_PASSWORD
@audited
def set_password(username: str, password: str | None) -> None:
    """Give an account a new password; its log-ins end."""
    accounts.known(engine(), username)
    accounts.set_password(engine(), username, password or _asked_password())
    click.echo(f"Password of {username} changed.")


@user.command("reset-link")
@click.argument("username")
@audited
def make_reset_link(username: str) -> None:
    """Print a link by which an account's owner sets a new password, within an hour."""
    token, until = door().reset_links.make(accounts.known(engine(), username))
    where = settings().public_url or f"http://{config.where()}"
    click.echo(f"{where}/password#{token}  (good until {time_text(until)})")


@user.command("role")
@click.argument("username")
@click.argument("role", type=_ROLE)
@audited
def set_role(username: str, role: str) -> None:
    """Give an account another role; it holds at once."""
    accounts.change(engine(), username, {"role": role})
    click.echo(f"User {username} is {role} now.")


@user.command("sites")
@click.argument("username")
@_SITES
@_EVERYTHING
@audited
def set_sites(username: str, sites: tuple[int, ...], everything: bool) -> None:
    """Limit an account to sites (without --site to none), or let it see everything."""
    accounts.change(engine(), username, {"sites": None if everything else list(sites)})
    limits = "sees everything" if everything else f"is limited to site {', '.join(map(str, sites)) or 'none'}"
    click.echo(f"User {username} {limits}.")


@user.command("disable")
@click.argument("username")
@audited
def disable_user(username: str) -> None:
    """Refuse an account's logins, tokens and keys from now on."""
    accounts.change(engine(), username, {"active": False})
    click.echo(f"User {username} disabled.")


@user.command("enable")
@click.argument("username")
@audited
def enable_user(username: str) -> None:
    """Let a disabled account in again."""
    accounts.change(engine(), username, {"active": True})
    click.echo(f"User {username} enabled.")


@user.command("log-ins")
@click.argument("username")
@plain_errors
def list_log_ins(username: str) -> None:
    """Show an account's log-ins."""
    table(
        ("log-in", "since", "refreshed", "address", "client"),
        (
            (row.id, time_text(row.created_at), time_text(row.refreshed_at), row.address, row.user_agent)
            for row in log_ins.listed(engine(), username, settings())
        ),
    )


@user.command("log-out")
@click.argument("username")
@click.option("--log-in", "log_in_id", type=int, help="Only this one.")
@audited
def log_out(username: str, log_in_id: int | None) -> None:
    """End an account's log-ins."""
    if log_in_id is None:
        log_ins.end_all(engine(), username)
        click.echo(f"User {username} is logged out everywhere.")
    else:
        log_ins.end_one(engine(), username, log_in_id)
        click.echo(f"Log-in {log_in_id} of {username} has ended.")


@key.command("create")
@click.argument("username")
@click.argument("name")
@click.option("--role", type=_ROLE, default=VIEWER, show_default=True, help="What it may do, at most.")
@_SITES
@click.option(
    "--days", type=click.IntRange(1, 1825), default=365, show_default=True, help="How long it lasts."
)
@audited
def create_key(username: str, name: str, role: str, sites: tuple[int, ...], days: int) -> None:
    """Make a key by which a machine acts for an account, and print it, once."""
    row, made = keys.create(
        engine(),
        username,
        name,
        role=role,
        sites=sites or None,
        expires_at=clock.now() + timedelta(days=days),
        created_by="command line",
    )
    click.echo(f"Key {row.id}: {made}  (shown only now)")


@key.command("list")
@plain_errors
def list_keys() -> None:
    """Show the keys; the keys themselves are kept nowhere."""
    before: int | None = None
    rows: list[Any] = []
    while portion := keys.listed(engine(), username=None, before=before, limit=1000):
        rows += portion
        before = portion[-1].id
    table(
        ("key", "username", "name", "role", "sites", "expires", "last used", "ended"),
        (
            (
                row.id,
                row.username,
                row.name,
                row.role,
                row.sites,
                time_text(row.expires_at),
                time_text(row.last_used_at),
                time_text(row.ended_at),
            )
            for row in rows
        ),
    )


@key.command("change")
@click.argument("key_id", type=int)
@click.option("--name", help="What it is for.")
@click.option("--role", type=_ROLE, help="What it may do, at most.")
@click.option("--days", type=click.IntRange(1, 1825), help="How long it lasts from now on.")
@_SITES
@_EVERYTHING
@audited
def change_key(
    key_id: int,
    name: str | None,
    role: str | None,
    days: int | None,
    sites: tuple[int, ...],
    everything: bool,
) -> None:
    """Change what a key is called, what it may do and see, how long it lasts."""
    expires_at = None if days is None else clock.now() + timedelta(days=days)
    changes: dict[str, Any] = {
        "name": name,
        "role": role,
        "expires_at": expires_at,
        "sites": list(sites) or None,
    }
    given = {field: value for field, value in changes.items() if value is not None}
    keys.change(engine(), key_id, given | ({"sites": None} if everything else {}))
    click.echo(f"Key {key_id} changed.")


@key.command("end")
@click.argument("key_id", type=int)
@audited
def end_key(key_id: int) -> None:
    """End a key for good."""
    keys.end(engine(), key_id)
    click.echo(f"Key {key_id} has ended.")


@audit.command("list")
@click.option("--username", help="Only what this account did.")
@click.option("--action", help="Only this operationId, or command.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@plain_errors
def list_audit(username: str | None, action: str | None, limit: int) -> None:
    """Show the newest entries of the audit trail."""
    with reading(engine()) as conn:
        rows = acts.listed(conn, username=username, action=action, limit=limit)
    table(
        ("at", "who", "by", "action", "target", "result", "from"),
        (
            (time_text(row.at), row.username, row.by, row.action, row.target, row.result, row.address)
            for row in rows
        ),
    )


@audit.command("export")
@plain_errors
def export_audit() -> None:
    """Write the whole audit trail, newest first, as JSON lines."""
    before: int | None = None
    while True:
        with reading(engine()) as conn:
            rows = acts.listed(conn, before=before, limit=500)
        for row in rows:
            click.echo(msgspec.json.encode(AuditEntry.of(row)))
        if len(rows) < 500:
            return
        before = rows[-1].id
