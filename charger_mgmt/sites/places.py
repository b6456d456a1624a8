"""Sites: where chargers stand, and what somebody may be limited to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..database.connections import reading, writing
from ..domain.roles import Sites
from ..errors import Conflict, InvalidInput, NotFound
from . import site_rows


@dataclass(frozen=True, slots=True)
class Place:
    """A site's row, and how many chargers it has."""

    site: Row[Any]
    chargers: int


def listed(engine: Engine, sites: Sites, *, after: str | None, limit: int) -> list[Place]:
    """Those of these sites, by name."""
    with reading(engine) as conn:
        return _with_chargers(conn, site_rows.listed(conn, sites, after=after, limit=limit))


def find(engine: Engine, site_id: int, sites: Sites) -> Place:
    """Raises NotFound, also for one that is none of these sites."""
    with reading(engine) as conn:
        return _find(conn, site_id, sites)


def create(engine: Engine, values: Mapping[str, Any]) -> Place:
    """Raises Conflict when the name is taken."""
    try:
        with writing(engine) as conn:
            return _find(conn, site_rows.add(conn, clock.now(), **values), None)
    except IntegrityError:
        raise Conflict(f"The site {values['name']!r} exists already.") from None


def change(engine: Engine, site_id: int, values: Mapping[str, Any], sites: Sites) -> Place:
    """Raises NotFound, Conflict when the name is taken."""
    try:
        with writing(engine) as conn:
            _find(conn, site_id, sites)
            if values:
                site_rows.change(conn, site_id, **values)
            return _find(conn, site_id, sites)
    except IntegrityError:
        raise Conflict(f"The site {values['name']!r} exists already.") from None


def remove(engine: Engine, site_id: int) -> None:
    """Raises NotFound, Conflict while chargers belong to it."""
    with writing(engine) as conn:
        if site_rows.by_id(conn, site_id, lock=True) is None:
            raise _unknown(site_id)
        if left := site_rows.chargers(conn, [site_id]).get(site_id):
            raise Conflict(f"Site {site_id} has {left} chargers: give them another site, or none, first.")
        site_rows.release_removed(conn, site_id)
        site_rows.remove(conn, site_id)


def check(conn: Connection, ids: Collection[int] | None, field: str) -> None:
    """Raises InvalidInput, naming the field, when one of these sites is not there."""
    if ids and (missing := sorted(set(ids) - site_rows.known(conn, ids))):
        message = f"there is no site {', '.join(map(str, missing))}"
        raise InvalidInput(f"{field}: {message}", {field: message})


def _find(conn: Connection, site_id: int, sites: Sites) -> Place:
    row = site_rows.by_id(conn, site_id) if sites is None or site_id in sites else None
    if row is None:
        raise _unknown(site_id)
    return _with_chargers(conn, [row])[0]


def _with_chargers(conn: Connection, rows: Sequence[Row[Any]]) -> list[Place]:
    counts = site_rows.chargers(conn, [row.id for row in rows])
    return [Place(row, counts.get(row.id, 0)) for row in rows]


def _unknown(site_id: int) -> NotFound:
    return NotFound(f"There is no site {site_id}.")
