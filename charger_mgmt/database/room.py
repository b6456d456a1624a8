"""How many connections the database gives us, and whether ours fit."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from ..errors import ConfigurationError
from ..settings import LEAST_BESIDES_COMMITTERS, Settings

#: Besides the two pools: the lock of database/sole.py, and a `flask` command.
BESIDES = 2


def check(conn: Connection, settings: Settings) -> None:
    """Raises ConfigurationError when the pools, filled, would exceed what the server allows this account.

    Every worker of this server has its pools; what other hosts have is not known here.
    """
    allowed = _allowed(conn)
    if allowed is not None:
        allowed //= settings.web_concurrency
    for_chargers, for_rest = settings.charger_connections, settings.rest_connections
    wanted = for_chargers + for_rest + BESIDES
    if allowed is None or wanted <= allowed:
        return
    each = f" for each of {settings.web_concurrency} workers" if settings.web_concurrency > 1 else ""
    least = settings.committers + LEAST_BESIDES_COMMITTERS
    rest = max(1, min(for_rest, (allowed - BESIDES) // 3))
    chargers = min(for_chargers, allowed - BESIDES - rest)
    advice = (
        f"Set CHARGER_CONNECTIONS={chargers} and REST_CONNECTIONS={rest}, for example."
        if chargers >= least
        else f"At least {least + 1 + BESIDES} are needed, with CHARGER_CONNECTIONS={least} and REST_CONNECTIONS=1;"
        " COMMITTERS=1 saves one."
    )
    raise ConfigurationError(
        f"The database allows this account {allowed} connections{each}, and {wanted} are asked for:"
        f" CHARGER_CONNECTIONS={for_chargers}, REST_CONNECTIONS={for_rest} and {BESIDES} besides. {advice}"
    )


def warm(engine: Engine, connections: int) -> None:
    """Open the chargers' connections now, so that nobody else can have them later. Never raises for the database."""
    pool = engine.pool
    if not isinstance(pool, QueuePool) or engine.dialect.name == "sqlite":
        return
    opened: list[Connection] = []
    try:
        opened.extend(engine.connect() for _ in range(connections - pool.checkedout()))
    except SQLAlchemyError:
        pass  # what is missing is opened when it is needed, or the committer notices that the database is away
    finally:
        for conn in opened:
            conn.close()


def _allowed(conn: Connection) -> int | None:
    """The lower of the server's limit and the account's; None: there is none (SQLite)."""
    if conn.dialect.name == "sqlite":
        return None
    limits = conn.execute(text("SELECT @@GLOBAL.max_connections, @@SESSION.max_user_connections")).one()
    return min((int(limit) for limit in limits if limit), default=None)
