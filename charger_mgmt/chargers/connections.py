"""A charger's socket opens and closes: who owns the identity.

The database issues a generation for each connection; the newest one owns the identity, and only it may
change the connection state. So the late close of a dead socket cannot touch the living one, on this
process or another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, true, update

from ..database import bulk, sightings, watch
from ..database.base import AnyRow
from ..database.bulk import storable
from ..database.models import Charger
from ..domain import dialect, facts
from ..domain.outcomes import Opened
from ..domain.registration import admits, shut_out
from ..feed import ConnectionTaken
from ..intake import events
from ..intake.messages import ChargerMessage, Reply
from ..settings import Settings

_C = Charger.__table__.c  # `connected = true`, not IS: that would read the whole index
#: What an operator, or the charger itself, has said of a charger before it was removed, unsaid.
AS_NEW: dict[str, Any] = {
    "removed_at": None,
    "approved": None,
    "blocked": False,
    "registration": None,
    "bound_dialect": None,
    "dialect_pinned": False,
    "password_hash": None,
    "pending_password_hashes": None,
    "allow_without_password": False,
    "allow_missing_subprotocol": False,
    "strict": False,
    "automatic_calls": True,
    "journal": None,
    "booted_at": None,
    "number_of_connectors": None,
    "box_since": None,
    "clock_skew_ms": None,
    **dict.fromkeys(
        ("vendor", "model", "firmware_version", "charge_point_serial_number", "charge_box_serial_number")
    ),
    **dict.fromkeys(("iccid", "imsi", "meter_type", "meter_serial_number")),
    **dict.fromkeys(("firmware_status", "firmware_status_at", "diagnostics_status", "diagnostics_status_at")),
    **dict.fromkeys(
        ("name", "address", "city", "postal_code", "country", "latitude", "longitude", "site_id")
    ),
}
#: Dialects in which a socket stands for one charger.
_OWN_SOCKETS = [each.name for each in dialect.BY_NAME.values() if each.takes_calls]
_RULES = select(
    _C.identity, _C.approved, _C.blocked, _C.strict, _C.automatic_calls, _C.removed_at, _C.password_hash
).where(bulk.among(_C.identity, "identities"))
_PLACES = select(_C.identity, _C.process_id, _C.generation).where(
    bulk.among(_C.identity, "identities"), _C.connected == true()
)
#: So many chargers go into one statement.
_PORTION = 1000
#: Of connections whose process ended without a word.
_LEFT_BEHIND = "the server's process ended"


def connect(
    conn: Connection, messages: Sequence[ChargerMessage[facts.Comes]], now: datetime, settings: Settings
) -> list[Reply]:
    """Give each connection its generation; create the charger where it is new.

    The outcomes are Opened. The messages' own charger_id is not looked at: it may not exist yet. A charger that was
    removed begins anew.
    """
    identities = bulk.distinct(message.identity for message in messages)
    rows = _lock(conn, identities)
    if removed := [row.id for row in rows.values() if row.removed_at is not None]:
        conn.execute(update(Charger.__table__).where(_C.id.in_(removed)).values(AS_NEW | {"created_at": now}))
        rows |= _lock(conn, identities)
    missing = [identity for identity in identities if identity not in rows]
    if missing:
        bulk.insert_new(
            conn, Charger.__table__, [{"identity": identity, "created_at": now} for identity in missing]
        )
        rows |= _lock(conn, missing)
    generations = {identity: row.generation for identity, row in rows.items()}
    latest: dict[str, dict[str, Any]] = {}
    replies: list[Reply] = []
    for message in messages:
        row = rows[message.identity]
        generations[message.identity] += 1
        generation = generations[message.identity]
        message.charger_id = row.id
        latest[message.identity] = {
            "id": row.id,
            "generation": generation,
            "dialect": message.fact.dialect,
            "connected": True,
            "process_id": message.fact.process_id,
            "connected_since": message.received_at,
        }
        replies.append(
            Reply(
                Opened(
                    charger_id=row.id,
                    generation=generation,
                    registration=row.registration,
                    approved=row.approved,
                    blocked=bool(row.blocked),
                    password_hash=row.password_hash,
                    automatic_calls=bool(row.automatic_calls),
                    strict=bool(row.strict),
                    journal=row.journal,
                ),
                happened=_taken(message, row, generation),
            )
        )
    bulk.update(conn, Charger.__table__, list(latest.values()))
    events.journal(
        conn,
        (
            (
                message,
                "Connected",
                {"generation": reply.outcome.generation, "address": message.fact.address},
            )
            for message, reply in zip(messages, replies, strict=True)
        ),
    )
    return replies


def _taken(message: ChargerMessage[facts.Comes], row: AnyRow, generation: int) -> tuple[ConnectionTaken, ...]:
    """What another process is to know, if it held the charger until now."""
    if not row.connected or row.process_id in (None, message.fact.process_id):
        return ()
    return (ConnectionTaken(message.identity, generation, message.fact.process_id),)


def disconnect(
    conn: Connection, messages: Sequence[ChargerMessage[facts.Goes]], now: datetime, settings: Settings
) -> list[Reply]:
    """Note that a socket has closed, unless a newer one owns the identity by now."""
    _have_gone(conn, [_Gone(m.charger_id, m.fact.generation, m.received_at, m.fact.reason) for m in messages])
    events.journal(
        conn,
        (
            (message, "Disconnected", {"generation": message.fact.generation, "reason": message.fact.reason})
            for message in messages
        ),
    )
    return [Reply() for _ in messages]


def put_right(conn: Connection, process_id: str, now: datetime) -> int:
    """At a start: chargers that a process no longer alive left as connected are not. Returns how many."""
    return conn.execute(
        update(Charger.__table__)
        .where(_C.connected == true(), _C.process_id != process_id)
        .values(connected=False, disconnected_at=now, disconnected_reason=_LEFT_BEHIND, process_id=None)
    ).rowcount


def put_right_of(conn: Connection, process_id: str, now: datetime) -> int:
    """The process is dead: a thousand of its chargers are not connected, and have a whole limit from now on to be heard
    elsewhere. Returns how many; 0: there are no more.
    """
    held = select(_C.id).where(_C.connected == true(), _C.process_id == process_id)
    portion = sorted(conn.scalars(held.limit(_PORTION)))
    if portion:
        conn.execute(
            update(Charger.__table__)
            .where(_C.id.in_(portion), _C.connected == true(), _C.process_id == process_id)
            .values(connected=False, disconnected_at=now, disconnected_reason=_LEFT_BEHIND, process_id=None)
        )
        sightings.grant(conn, portion, watch.database_now(conn))
    return len(portion)


def is_all_of(conn: Connection, process_id: str, charger_ids: Collection[int]) -> bool:
    """Whether just these chargers are connected to a process, by their number and sum: nobody reads ten thousand ids for it."""
    ours = select(func.count(), func.coalesce(func.sum(_C.id), 0)).where(
        _C.connected == true(), _C.process_id == process_id
    )
    count, total = conn.execute(ours).one()
    return (int(count), int(total)) == (len(charger_ids), sum(charger_ids))


def left_by_others(conn: Connection, living: Collection[str]) -> set[str]:
    """Processes to which chargers are connected, by what the rows say, and that are none of the `living`."""
    # Reads what lies between the living in the index; all owners would be as many entries as there are chargers.
    return set(
        conn.scalars(
            select(_C.process_id).where(_C.connected == true(), _C.process_id.not_in(living)).distinct()
        )
    )


def of_process(conn: Connection, process_id: str) -> set[int]:
    """The row ids of the chargers that are connected to a process."""
    return set(conn.scalars(select(_C.id).where(_C.connected == true(), _C.process_id == process_id)))


def places(conn: Connection, since: Mapping[str, int]) -> list[str]:
    """The processes to which these chargers (identity → generation) have connected since; the others are left out."""
    rows = conn.execute(_PLACES, {"identities": [storable(identity) for identity in since]})
    return [row.process_id for row in rows if row.generation > since.get(row.identity, row.generation)]


def generations(conn: Connection, charger_ids: Iterable[int]) -> dict[int, int]:
    """The newest generation of each charger."""
    wanted = bulk.distinct(charger_ids)
    if not wanted:
        return {}
    rows = conn.execute(select(_C.id, _C.generation).where(_C.id.in_(wanted)))
    return {row.id: row.generation for row in rows}


class Rule(NamedTuple):
    """How a charger is dealt with."""

    admitted: bool
    strict: bool
    automatic_calls: bool
    #: Why its sockets must end; None: they may stay.
    shut_out: str | None
    password_hash: str | None

    @property
    def as_told(self) -> dict[str, Any]:
        """The same as fields of a ChargerChanged."""
        return {name: value for name, value in self._asdict().items() if name != "password_hash"}


def rules(conn: Connection, identities: Iterable[str], settings: Settings) -> dict[str, Rule]:
    """Identity → how it is dealt with, of the chargers that there are or were."""
    wanted = [storable(identity) for identity in identities]
    found: dict[str, Rule] = {}
    for first in range(0, len(wanted), _PORTION):
        for row in conn.execute(_RULES, {"identities": wanted[first : first + _PORTION]}):
            out = row.removed_at is not None or shut_out(row.blocked, row.approved)
            found[row.identity] = Rule(
                admits(row.approved, settings.charger_onboarding),
                bool(row.strict),
                bool(row.automatic_calls),
                "the operator has shut this charger out" if out else None,
                row.password_hash,
            )
    return found


def put_right_ours(
    conn: Connection, process_id: str, held: Callable[[], Mapping[int, int]], before: datetime, now: datetime
) -> int:
    """After an outage: chargers shown as connected to this process that no socket of it stands for.

    When the database goes away during a commit nobody knows whether the connection in it was stored.
    `held` tells charger row id → generation of the sockets that there are, and is asked after the rows are
    read. Only connections made `before` the database returned are looked at; later ones may not have their
    socket registered yet. Flat chargers share sockets and are left alone. Returns how many.
    """
    rows = conn.execute(
        select(_C.id, _C.generation).where(
            _C.connected == true(),
            _C.process_id == process_id,
            _C.dialect.in_(_OWN_SOCKETS),
            _C.connected_since < before,
        )
    ).all()
    sockets = held()
    ghosts = [row for row in rows if sockets.get(row.id) != row.generation]
    _have_gone(conn, [_Gone(ghost.id, ghost.generation, now, "the database was away") for ghost in ghosts])
    return len(ghosts)


class _Gone(NamedTuple):
    """A connection that has ended."""

    charger_id: int
    generation: int
    at: datetime
    reason: str | None


def _have_gone(conn: Connection, gone: Sequence[_Gone]) -> None:
    """Connections have ended; nothing changes where a newer one owns the identity."""
    wanted = bulk.distinct(one.charger_id for one in gone)
    if not wanted:
        return
    newest = select(_C.id, _C.generation).where(_C.id.in_(wanted)).order_by(_C.id).with_for_update()
    generations = {row.id: row.generation for row in conn.execute(newest)}
    changed = {
        one.charger_id: {
            "id": one.charger_id,
            "connected": False,
            "disconnected_at": one.at,
            "disconnected_reason": one.reason and storable(one.reason)[:255],
            "process_id": None,
        }
        for one in gone
        if generations.get(one.charger_id) == one.generation
    }
    bulk.update(conn, Charger.__table__, list(changed.values()))


_LOCK = (
    select(
        _C.id,
        _C.identity,
        _C.generation,
        _C.registration,
        _C.approved,
        _C.blocked,
        _C.password_hash,
        _C.automatic_calls,
        _C.strict,
        _C.journal,
        _C.removed_at,
        _C.connected,
        _C.process_id,
    )
    .where(bulk.among(_C.identity, "identities"))
    .order_by(_C.id)
    .with_for_update()
)


def _lock(conn: Connection, identities: list[str]) -> dict[str, Any]:
    return {
        row.identity: row
        for row in conn.execute(_LOCK, {"identities": [storable(each) for each in identities]})
    }
