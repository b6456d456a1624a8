"""What operators do with chargers: look at them, create them ahead, change what is theirs to change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import gevent
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..central import Central
from ..database import chargers, sightings, transactions
from ..database.chargers import find as find_charger
from ..database.connections import reading, writing
from ..database.pages import Page
from ..domain.registration import PENDING
from ..domain.roles import Sites
from ..errors import ChargerOffline, Conflict, InvalidInput
from ..feed import ChargerChanged, NewConnectionWanted
from ..settings import Settings
from ..sites import site_rows
from . import passwords
from .connections import AS_NEW

log = logging.getLogger(__name__)

_JOURNAL = {True: "on", False: "off", None: "share"}
#: Rows that are read in one go.
_PORTION = 500


@dataclass(frozen=True, slots=True)
class Details:
    """One charger with its connectors and the sessions it has open."""

    charger: Row[Any]
    last_seen_at: datetime | None
    connectors: Sequence[Row[Any]]
    open_transactions: Sequence[Row[Any]]


def listed(engine: Engine, **filters: Any) -> tuple[Sequence[Row[Any]], dict[int, list[Row[Any]]]]:
    """Rows as database.chargers.listed gives them, and the Faulted connectors of each, by the row's id."""
    with reading(engine) as conn:
        rows = _in_portions(conn, **filters)
        faults: dict[int, list[Row[Any]]] = {}
        for fault in chargers.faults(conn, (row.id for row in rows if row.has_fault)):
            faults.setdefault(fault.charger_id, []).append(fault)
        return rows, faults


def _in_portions(conn: Connection, *, after: str | None, limit: int, **filters: Any) -> list[Row[Any]]:
    """Thousands of rows are read a few hundred at a time: in between it is others' turn."""
    rows: list[Row[Any]] = []
    while len(rows) < limit:
        portion = min(_PORTION, limit - len(rows))
        found = chargers.listed(conn, after=after, limit=portion, **filters)
        rows += found
        if len(found) < portion:
            break
        after = found[-1].identity
        gevent.sleep(clock.A_TURN)
    return rows


def details(engine: Engine, identity: str) -> Details:
    """Raises NotFound."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        return Details(
            charger,
            sightings.last(conn, charger.id),
            chargers.connectors(conn, charger.id),
            chargers.open_transactions(conn, charger.id),
        )


def create(engine: Engine, identity: str, changes: Mapping[str, Any], sites: Sites = None) -> Details:
    """A charger before it first dials in; approved unless `changes` says otherwise.

    Raises Conflict when the identity is taken, InvalidInput as `change` does.
    """
    values = {"approved": True} | _columns(changes)
    now = clock.now()
    try:
        with writing(engine) as conn:
            _check_site(conn, {"site_id": None} | values, sites)
            before = chargers.by_identity(conn, identity, lock=True, removed=True)
            if before is not None and sites is not None and before.site_id not in sites:
                raise _taken(identity)  # its history is not theirs to take
            if before is not None and before.removed_at is not None:
                chargers.change(conn, before.id, **AS_NEW | values | {"created_at": now})
            else:
                chargers.add(conn, identity, now, **values)
    except IntegrityError:
        raise _taken(identity) from None
    return details(engine, identity)


def _taken(identity: str) -> Conflict:
    return Conflict(f"Charger {identity} exists already.")


def change(
    central: Central, engine: Engine, identity: str, changes: Mapping[str, Any], sites: Sites = None
) -> Details:
    """Change the named columns; `password` (text or None) is stored as its hash. `sites`: those of who asks.

    What takes access away (a new password, blocked, approved: false, another dialect) ends the charger's socket at
    once, and admission knows. A charger that was Pending and is approved is asked for a new BootNotification at
    once, so that it need not wait for its own retry. Raises NotFound, InvalidInput.
    """
    values = _columns(changes)
    with writing(engine) as conn:
        charger = find_charger(conn, identity, lock=True)
        _check_site(conn, values, sites)
        if values:
            chargers.change(conn, charger.id, **values)
        if values.get("approved"):
            transactions.approve(conn, charger.id)
    after = details(engine, identity)
    central.feed.publish(
        [
            ChargerChanged(
                identity,
                admitted=values.get("approved"),
                strict=values.get("strict"),
                automatic_calls=values.get("automatic_calls"),
                journal=_JOURNAL[values["journal"]] if "journal" in values else None,
                shut_out=_shut_out(values, after.charger, central.settings),
                boot_is_due=bool(values.get("approved")) and after.charger.registration == PENDING,
            )
        ]
    )
    return after


def _check_site(conn: Connection, values: Mapping[str, Any], sites: Sites) -> None:
    """Raises InvalidInput for a site that is not there, or none of these: nobody loses sight of what is theirs."""
    if "site_id" not in values:
        return
    site_id, message = values["site_id"], None
    if sites is not None and site_id not in sites:
        message = f"must be one of your sites: {', '.join(map(str, sorted(sites))) or 'you have none'}"
    elif site_id is not None and site_rows.by_id(conn, site_id, lock=True) is None:
        message = f"there is no site {site_id}"
    if message is not None:
        raise InvalidInput(f"siteId: {message}", {"siteId": message})


def _shut_out(values: Mapping[str, Any], charger: Row[Any], settings: Settings) -> str | None:
    """Why a socket that is open may not stay so after these changes; None: it may."""
    needs_password = settings.charger_auth == "password" and not charger.allow_without_password
    changed = values.keys() & {"password_hash", "allow_without_password"}
    if changed and needs_password and charger.password_hash is None:
        return "this charger needs a password"
    if values.get("blocked"):
        return "the operator has blocked this charger"
    if values.get("approved") is False:
        return "the operator has refused this charger"
    if values.get("password_hash"):
        return "the password of this charger has changed"
    if values.get("bound_dialect"):
        return "the operator has set the dialect of this charger"
    return None


def approve(engine: Engine, identity: str) -> None:
    """Let a charger in at its next BootNotification; what it has stored so far is history. Raises NotFound."""
    with writing(engine) as conn:
        charger = find_charger(conn, identity)
        chargers.change(conn, charger.id, approved=True)
        transactions.approve(conn, charger.id)


def disconnect(central: Central, engine: Engine, identity: str) -> None:
    """End the charger's socket, so that it dials anew. Raises NotFound, ChargerOffline, BusAway."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
    if not central.is_connected(charger):
        raise ChargerOffline(f"Charger {identity} is not connected.")
    if (owner := central.owner_of(charger)) is not None:
        central.check_reach(owner)
    central.feed.publish([NewConnectionWanted(identity)])
    log.info("charger %s: disconnected by an operator", identity)


def remove(central: Central, engine: Engine, identity: str) -> None:
    """Remove a charger: nobody knows it any more, its sessions stay.

    Should it dial in again, it is a new one. Raises NotFound, Conflict while it has a session that is open.
    """
    with writing(engine) as conn:
        charger = find_charger(conn, identity, lock=True)
        if still_open := chargers.open_transactions(conn, charger.id):
            raise Conflict(
                f"Charger {identity} has open sessions ({', '.join(str(row.id) for row in still_open[:5])}): end or"
                " close them first."
            )
        chargers.remove(conn, charger.id, clock.now())
    central.feed.publish([ChargerChanged(identity, shut_out="the operator has removed this charger")])
    log.info("charger %s: removed by an operator", identity)


def status_history(engine: Engine, identity: str, **filters: Any) -> Sequence[Row[Any]]:
    """As database.chargers.status_history, newest first. Raises NotFound."""
    with reading(engine) as conn:
        return chargers.status_history(conn, find_charger(conn, identity).id, **filters)


def events(engine: Engine, identity: str, **filters: Any) -> Page:
    """As database.chargers.events, newest first. Raises NotFound."""
    with reading(engine) as conn:
        return chargers.events(conn, find_charger(conn, identity).id, **filters)


def meter_values(engine: Engine, identity: str, **filters: Any) -> Page:
    """Samples outside of sessions, as database.chargers.meter_values, newest first. Raises NotFound."""
    with reading(engine) as conn:
        return chargers.meter_values(conn, find_charger(conn, identity).id, **filters)


def inbox(
    engine: Engine,
    *,
    identity: str | None,
    kind: str | None,
    sites: Sites = None,
    before: int | None,
    limit: int,
) -> Page:
    """A page, newest first, of chargers at these sites. Raises NotFound for an unknown charger."""
    with reading(engine) as conn:
        charger_id = find_charger(conn, identity, sites=sites).id if identity is not None else None
        return chargers.inbox(conn, charger_id=charger_id, kind=kind, sites=sites, before=before, limit=limit)


def _columns(changes: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(changes)
    if "password" in values:
        password = values.pop("password")
        values["password_hash"] = None if password is None else _hashed(password)
        values["pending_password_hashes"] = None
    return values


def _hashed(password: str) -> str:
    data = passwords.canonical(password)
    if not passwords.SHORTEST <= len(data) <= passwords.LONGEST:
        limits = f"must have {passwords.SHORTEST} to {passwords.LONGEST} bytes"
        raise InvalidInput(f"password: {limits}", {"password": limits})
    return passwords.hashed(data)
