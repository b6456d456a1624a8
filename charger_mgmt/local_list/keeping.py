"""Chargers' local authorization lists are kept like the tags (sections 3.5.2, 5.10, 5.15).

The tags' changes are numbered. A charger's list holds the tags of a number; what has changed since goes to it as a
Differential, and all of it as a Full list when nobody can tell what it holds. Long lists go in parts with rising versions.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import gevent
from sqlalchemy import Engine

from .. import clock
from ..central import Central
from ..commands import command_rows, outbox
from ..commands.outbox import SYSTEM, CommandOutcome
from ..database.base import AnyRow
from ..database.chargers import find as find_charger
from ..database.connections import reading, writing
from ..domain.roles import Sites
from ..errors import ChargerManagementError, ChargerOffline
from ..tags import tag_rows
from ..web.replies import time_text
from . import list_rows
from .answers import NOT_SUPPORTED

log = logging.getLogger(__name__)

#: Entries in one message to a charger that does not say how many it takes.
AT_A_TIME = 50
#: How long a charger whose list could not be written is left alone.
TRY_AGAIN = timedelta(minutes=5)
_AT_ONCE = 20
_LIMITS: Final = ("LocalAuthListEnabled", "LocalAuthListMaxLength", "SendLocalListMaxLength")
_RETRIED_AS_FULL: Final = ("Failed", "VersionMismatch")


@dataclass(frozen=True, slots=True)
class ListState:
    """What is known of a charger's list; `changes`: tags whose last change it does not hold (None: nobody can tell)."""

    row: AnyRow | None
    changes: int | None
    tags: int
    most: int | None

    @property
    def in_sync(self) -> bool:
        return self.changes == 0


def state(engine: Engine, identity: str) -> ListState:
    """Raises NotFound."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
        row = list_rows.of(conn, charger.id)
        known = row is not None and row.revision is not None
        changes = list_rows.count(conn, row.revision) if known and row is not None else None
        most = _number(list_rows.limits(conn, charger.id).get("localauthlistmaxlength"))
        return ListState(row, changes, list_rows.count(conn, None), most)


def want(
    central: Central, engine: Engine, identities: Sequence[str], wanted: bool, *, sites: Sites = None
) -> None:
    """Say whether these chargers' lists are to be kept like the tags; those that are there are seen to at once. Raises NotFound."""
    with writing(engine) as conn:
        chargers = [find_charger(conn, identity, sites=sites) for identity in identities]
        for charger in chargers:
            list_rows.change(conn, charger.id, wanted=wanted, tried_at=None)
    there = [row.identity for row in chargers if central.owner_of(row) is not None]
    if wanted and there:
        gevent.spawn(_see_to, central, there, SYSTEM)


def see_to(central: Central, engine: Engine, identity: str, *, requested_by: str) -> None:
    """Bring a charger's list to what the tags are, in the background. Raises NotFound, ChargerOffline."""
    with reading(engine) as conn:
        charger = find_charger(conn, identity)
    if central.owner_of(charger) is None:
        raise ChargerOffline(f"Charger {identity} is not connected.")
    gevent.spawn(_see_to, central, [identity], requested_by)


def apply_waiting(central: Central) -> None:
    """See to the lists that are not what the tags are. To be called now and then, by who leads."""
    with central.database.engine.connect() as conn:
        rows = list_rows.waiting(conn, tag_rows.revision(conn), clock.now() - TRY_AGAIN, _AT_ONCE)
    if rows:
        gevent.spawn(_see_to, central, [row.identity for row in rows], SYSTEM)


def bring_up_to_date(central: Central, identity: str, *, requested_by: str = SYSTEM) -> bool:
    """Send a charger what its list lacks; whether it holds the tags now. Raises as outbox.send does."""

    def call(action: str, payload: dict[str, Any]) -> CommandOutcome:
        wait = central.settings.call_timeout
        return outbox.send(central, identity, action, payload, requested_by=requested_by, wait=wait)

    with central.database.writing() as conn:
        charger = find_charger(conn, identity)
        list_rows.change(conn, charger.id, tried_at=clock.now())
        known = list_rows.limits(conn, charger.id)
    if len(known) < len(_LIMITS):
        call("GetConfiguration", {"key": list(_LIMITS)})
    asked = call("GetLocalListVersion", {})
    if asked.state not in (command_rows.ACCEPTED, command_rows.ERROR):
        return False
    for full in (False, True):
        with central.database.reading() as conn:
            row = list_rows.of(conn, charger.id)
            known = list_rows.limits(conn, charger.id)
            revision = tag_rows.revision(conn)
            assert row is not None
            if row.version == NOT_SUPPORTED or (known.get("localauthlistenabled") or "").lower() == "false":
                return False
            if row.revision is not None and row.revision >= revision and not full:
                return True
            since = None if full else row.revision
            most = _number(known.get("localauthlistmaxlength"))
            tags, since = _entries(conn, since, most)
        done = _send(call, row.version, tags, since is not None, known)
        if done == "Accepted":
            with central.database.writing() as conn:
                list_rows.change(conn, charger.id, revision=revision, tried_at=None)
            return True
        if since is None or done not in _RETRIED_AS_FULL:
            return False
    return False


def _entries(conn: Any, since: int | None, most: int | None) -> tuple[Sequence[AnyRow], int | None]:
    """The tags to be sent, and since which number they are all of them; None: it is a Full list.

    A list that is too short for all of them gets those that may charge, the latest first.
    """
    if most is not None and list_rows.count(conn, None) > most:
        now = clock.now()
        fitting = [
            row
            for row in list_rows.entries(conn, None)
            if row.status == "Accepted" and (row.expiry_date is None or row.expiry_date > now)
        ]
        return fitting[:most], None
    return list_rows.entries(conn, since), since


def _send(
    call: Any, version: int, tags: Sequence[AnyRow], differential: bool, known: dict[str, str | None]
) -> str | None:
    """Send the entries in parts; the charger's word to the last of them that it answered, None: it did not answer."""
    size = _number(known.get("sendlocallistmaxlength")) or AT_A_TIME
    word: str | None = "Accepted"
    for number, part in enumerate(_parts(tags, size, differential)):
        payload = {
            "listVersion": max(version, 0) + 1 + number,
            "updateType": "Differential" if differential or number else "Full",
            "localAuthorizationList": [_entry(row) for row in part],
        }
        outcome = call("SendLocalList", payload)
        word = (outcome.response or {}).get("status")
        if word != "Accepted":
            return word
    return word


def _parts(tags: Sequence[AnyRow], size: int, differential: bool) -> Iterator[Sequence[AnyRow]]:
    """An empty Full list is sent, too: it clears the charger's."""
    if not tags and not differential:
        yield ()
    for start in range(0, len(tags), size):
        yield tags[start : start + size]


def _entry(row: AnyRow) -> dict[str, Any]:
    info: dict[str, Any] = {"status": row.status}
    if row.expiry_date is not None:
        info["expiryDate"] = time_text(row.expiry_date)
    if row.parent_id_tag is not None:
        info["parentIdTag"] = row.parent_id_tag
    return {"idTag": row.id_tag, "idTagInfo": info}


def _see_to(central: Central, identities: Collection[str], requested_by: str) -> None:
    for identity in identities:
        try:
            bring_up_to_date(central, identity, requested_by=requested_by)
        except ChargerManagementError as error:
            log.info("charger %s: its local list is not what the tags are: %s", identity, error)
        except Exception:
            log.exception("charger %s: its local list could not be seen to", identity)


def _number(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if text.isdecimal() and 0 < len(text) < 7 and int(text) else None
