"""The audit trail: who did what to what, when, from where, with what result.

Whoever begins something that is to be kept says so (`acting`); the first commit that it makes holds its entry. So no use
case can forget it, and there is no act without its entry, nor an entry of what was never stored. What failed, and what
needed no commit, gets an entry of its own in the end (`Act.end`). Entries are added and never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, insert, select

from .. import clock
from .bulk import storable, storable_tree
from .models import AuditEntry

DONE: Final = "done"
#: What is kept of the details, in bytes of JSON; of more of it the beginnings of long values.
MOST_DETAILS = 4000
_MOST_LISTED = 100
_LONGEST_TEXT = 60
_LONGEST = {"action": 64, "target": 500, "result": 64, "address": 64, "username": 80}
_A = AuditEntry.__table__.c

_current: ContextVar[Act | None] = ContextVar("act", default=None)


@dataclass(slots=True)
class Act:
    """Something that somebody is about to do. Fields as in AuditEntry."""

    action: str
    target: str
    username: str | None = None
    by: str | None = None
    key_id: int | None = None
    address: str | None = None
    details: dict[str, Any] | None = None
    #: It has its entry.
    noted: bool = False

    def add(self, **details: Any) -> None:
        """More of what is to be known of it."""
        self.details = (self.details or {}) | details

    def note(self, conn: Connection, result: str = DONE) -> None:
        """Its entry, in this transaction."""
        values = {name: getattr(self, name) for name in ("action", "target", "username", "address")}
        values["result"] = result
        for name, value in values.items():
            values[name] = None if value is None else storable(value)[: _LONGEST[name]]
        conn.execute(
            insert(AuditEntry.__table__).values(
                at=clock.now(), by=self.by, key_id=self.key_id, details=_bounded(self.details), **values
            )
        )


def current() -> Act | None:
    """What is being done here, if it is to be kept."""
    return _current.get()


def describe(**details: Any) -> None:
    """Add to what is known of the current act, if there is one."""
    if (act := _current.get()) is not None:
        act.add(**details)


def begin(act: Act) -> None:
    """From now on this act is the current one, until `end`."""
    _current.set(act)


def end() -> Act | None:
    """The act that was the current one; there is none any more."""
    act = _current.get()
    _current.set(None)
    return act


@contextmanager
def acting(act: Act) -> Iterator[Act]:
    """The block is this act."""
    before = _current.get()
    _current.set(act)
    try:
        yield act
    finally:
        _current.set(before)


@contextmanager
def within(conn: Connection) -> Iterator[None]:
    """What the block stores is the current act: its entry stands in the same commit."""
    yield
    if (act := _current.get()) is not None and not act.noted:
        act.note(conn)


def committed() -> None:
    """The transaction that began `within` has been committed."""
    if (act := _current.get()) is not None:
        act.noted = True


def listed(
    conn: Connection,
    *,
    username: str | None = None,
    action: str | None = None,
    result: str | None = None,
    q: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Entries of [since, until), newest first; those with an id below `before`. `q` is a part of the target."""
    query = select(AuditEntry.__table__)
    for column, value in ((_A.username, username), (_A.action, action), (_A.result, result)):
        if value is not None:
            query = query.where(column == value)
    if q is not None:
        query = query.where(_A.target.contains(q, autoescape=True))
    if since is not None:
        query = query.where(_A.at >= since)
    if until is not None:
        query = query.where(_A.at < until)
    if before is not None:
        query = query.where(_A.id < before)
    return conn.execute(query.order_by(_A.id.desc()).limit(limit)).all()


def _bounded(details: dict[str, Any] | None) -> dict[str, Any] | None:
    if not details:
        return None
    kept: dict[str, Any] = storable_tree(msgspec.to_builtins(details))
    if len(msgspec.json.encode(kept)) <= MOST_DETAILS:
        return kept
    cut: dict[str, Any] = _cut(kept)
    size = len(msgspec.json.encode(cut))
    return cut if size <= 8 * MOST_DETAILS else {"left out": f"{size} bytes"}


def _cut(value: Any) -> Any:
    """The same with everything in it by name, and long values as their beginnings: padding hides nothing."""
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    if isinstance(value, list):
        left = [f"and {len(value) - _MOST_LISTED} more"] if len(value) > _MOST_LISTED else []
        return [*map(_cut, value[:_MOST_LISTED]), *left]
    return value[:_LONGEST_TEXT] + "…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value
