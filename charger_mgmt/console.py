"""What `flask` commands have in common: errors in one line, the audit trail, tables."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any, Final

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from .database import acts
from .database.acts import Act
from .database.connections import writing
from .database.faults import explain
from .errors import ChargerManagementError, DatabaseAway
from .web import problems
from .web.process import serving

#: By what such a command is done, as the audit trail says.
BY: Final = "command line"


def engine() -> Engine:
    """As REST's: a command may run beside the server."""
    return serving().central.database.rest


def plain_errors(command: Callable[..., Any]) -> Callable[..., Any]:
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


def audited(command: Callable[..., Any]) -> Callable[..., Any]:
    """What changes something: it has its entry in the audit trail, also when it fails."""

    @plain_errors
    @wraps(command)
    def run(**given: Any) -> Any:
        context = click.get_current_context()
        names = [each.name for each in context.command.params if isinstance(each, click.Argument)]
        target = " ".join(str(given[name]) for name in names if name in given)
        details = {
            name: "***" if name == "password" else value
            for name, value in given.items()
            if name not in names and value not in (None, (), False)
        }
        act = Act(" ".join(context.command_path.split()[-2:]), target, by=BY, address=_who(), details=details)
        with acts.acting(act):
            try:
                done = command(**given)
            except ChargerManagementError as error:
                act.noted = True  # by this:
                with suppress(ChargerManagementError), writing(engine()) as conn:
                    act.note(conn, problems.code_for(error))
                raise
            if not act.noted:  # it needed no commit of its own
                act.noted = True
                with writing(engine()) as conn:
                    act.note(conn)
            return done

    return run


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their columns; nothing at all is a dash."""
    cells = [[*columns], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(columns))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _who() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "somebody"
    return f"{name}@{platform.node()}"
