"""StopTransaction: a session ends, whatever the stop looks like (OCPP 1.6 section 4.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from ..beside import beside, size_of
from ..database import bulk, transactions
from ..database.base import AnyRow
from ..database.models import MeterValue, Transaction
from ..domain import authorisation, facts, oddities, registers
from ..domain import transactions as rules
from ..domain.outcomes import Ended
from ..feed import SessionEnded
from ..intake import inbox
from ..intake.messages import ChargerMessage, Reply
from ..settings import Settings
from ..status import of_sessions
from ..status.of_sessions import Outlet
from ..tags.lookup import find_tags
from .meter_values import sample_row

#: How far back a stop without a usable transactionId is looked for among its charger's sessions.
RECENT = 50


@dataclass(slots=True)
class _Stop:
    """One StopTransaction and the session that it ends, if any."""

    message: ChargerMessage[facts.SessionEnds]
    said: facts.SessionEnds
    meter_stop_mwh: int | None
    reason: str
    session: Any = None
    reconciled: bool = False
    #: It is this stop that has ended the session.
    ends: bool = False


def stop(
    conn: Connection, messages: Sequence[ChargerMessage[facts.SessionEnds]], now: datetime, settings: Settings
) -> list[Reply]:
    """End the sessions. The first stop counts; the same again changes nothing and is answered the same.

    A stop that belongs to no session of its charger is kept in the inbox for the operator. The answer is
    always a normal one, with idTagInfo only if an idTag was sent.
    """
    stops = [_read(message) for message in messages]
    _find_sessions(conn, stops)
    came_to = beside(size_of(messages[0].raw, conn.dialect.name), _come_to, stops)
    bulk.update(conn, Transaction.__table__, came_to.ended)
    bulk.insert_new(conn, MeterValue.__table__, came_to.rows)
    inbox.keep_orphans(conn, [s.message for s in stops if s.session is None])
    inbox.keep_conflicting(conn, came_to.conflicting)
    inbox.keep_unreadable(conn, [(s.message, s.session.id) for s in stops if s.session is not None])
    of_sessions.show(
        conn,
        [
            Outlet(s.message.charger_id, s.session.connector_id, s.message.received_at)
            for s in stops
            if s.session is not None and not s.message.dialect.reports_status
        ],
    )
    return _replies(conn, stops, now, settings)


@dataclass(slots=True)
class _Outcome:
    """What a batch comes to: what changes in sessions, new samples, stops that contradict (with transactionId)."""

    ended: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    conflicting: list[tuple[ChargerMessage[facts.SessionEnds], int]]


def _come_to(stops: Sequence[_Stop]) -> _Outcome:
    ended: dict[int, dict[str, Any]] = {}
    rows: dict[bytes, dict[str, Any]] = {}
    conflicting: list[tuple[ChargerMessage[facts.SessionEnds], int]] = []
    for s in stops:
        if s.session is not None:
            s.ends = not _is_ended(s)
            changed = _completed(s) if s.ends else _conflict(s, conflicting)
            if changed:
                ended.setdefault(s.session.id, {"id": s.session.id}).update(changed)
                vars(s.session).update(changed)
        _collect_samples(s, rows)
    return _Outcome(list(ended.values()), list(rows.values()), conflicting)


def _read(message: ChargerMessage[facts.SessionEnds]) -> _Stop:
    said = message.fact
    return _Stop(message, said, rules.milliwatt_hours(said.meter_wh), said.reason[:32])


def _find_sessions(conn: Connection, stops: Sequence[_Stop]) -> None:
    by_id = _mutable(
        transactions.by_ids(
            conn,
            {
                s.said.transaction_id
                for s in stops
                if s.said.transaction_id is not None and 0 < s.said.transaction_id <= transactions.LARGEST_ID
            },
            transactions.STOPPED,
        )
    )
    by_session = {
        name: list(_mutable({row.id: row for row in rows}).values())
        for name, rows in transactions.by_sessions(
            conn,
            ((s.message.charger_id, s.said.name) for s in stops if s.said.name is not None),
            lock=True,
        ).items()
    }
    for s in stops:
        if s.said.name is not None:
            s.session = _same_name(s, by_session.get((s.message.charger_id, s.said.name), []))
            continue
        session = by_id.get(s.said.transaction_id)
        if session is not None and session.charger_id == s.message.charger_id:
            s.session = session
        elif s.said.transaction_id is None or not 0 < s.said.transaction_id <= transactions.LARGEST_ID:
            s.session = _reconcile(conn, s, by_id)


def _same_name(s: _Stop, named: Sequence[Any]) -> Any:
    """Of the sessions by a flat charger's name for it (oldest first): the one that this stop ended before,
    else the newest that had begun by then.
    """
    if s.said.at is None:
        return named[-1] if named else None
    repeated = [row for row in named if _says_the_same(s, row)]
    begun = [row for row in named if row.start_timestamp is None or row.start_timestamp <= s.said.at]
    return (repeated or begun or named or [None])[-1]


def _reconcile(conn: Connection, s: _Stop, by_id: dict[int, Any]) -> Any:
    """The one session that a stop without a usable transactionId can mean; None if it is not clear.

    The charger never got an id (it sends -1: errata 3.18) or garbled it. Tag, meter and time must fit,
    and only one open session may; a repeat of such a stop finds the session that it ended.
    """
    # As earlier stops of this batch have left them.
    recent = [by_id.get(row.id, row) for row in transactions.latest_of(conn, s.message.charger_id, RECENT)]
    repeated = [row for row in recent if rules.RECONCILED in row.flags.split() and _says_the_same(s, row)]
    fitting = repeated or _with_the_same_begin(s, [row for row in recent if _fits(s, row)])
    if len(fitting) != 1:
        return None
    s.reconciled = True
    if fitting[0].id not in by_id:
        by_id |= _mutable(transactions.by_ids(conn, [fitting[0].id], transactions.STOPPED))
        by_id[fitting[0].id].id_tag = fitting[0].id_tag
    return by_id[fitting[0].id]


def _says_the_same(s: _Stop, row: Any) -> bool:
    """Whether this stop, in all that it says, is the one that has ended the session."""
    same_tag = (s.said.id_tag is None) == (row.stop_id_tag is None) and authorisation.tag_key(
        (s.said.id_tag or "")[:255]
    ) == authorisation.tag_key(row.stop_id_tag or "")
    return (
        same_tag
        and row.stop_timestamp == s.said.at
        and row.meter_stop_mwh == s.meter_stop_mwh
        and row.reason == s.reason
    )


def _with_the_same_begin(s: _Stop, fitting: list[Any]) -> list[Any]:
    """Of several sessions that fit, those whose begin stands in the stop's transactionData, if it does."""
    if len(fitting) < 2:
        return fitting
    begins = {
        (sample.timestamp, sample.register_mwh())
        for sample in s.said.samples
        if sample.context == "Transaction.Begin" and sample.register_mwh() is not None
    }
    if not begins:
        return fitting
    whole = [row for row in fitting if (row.start_timestamp, row.meter_start_mwh) in begins]
    return whole or [row for row in fitting if row.meter_start_mwh in {mwh for _, mwh in begins}]


def _fits(s: _Stop, row: Any) -> bool:
    if row.status != rules.IN_PROGRESS:
        return False
    if s.said.id_tag is not None and not authorisation.may_be_same(s.said.id_tag, row.id_tag):
        return False
    if None not in (s.meter_stop_mwh, row.meter_start_mwh) and s.meter_stop_mwh < row.meter_start_mwh:
        return False
    return s.said.at is None or row.start_timestamp is None or s.said.at >= row.start_timestamp


def _is_ended(s: _Stop) -> bool:
    """Whether the session has had its stop. An operator's end, where the charger could not be asked, gives way to it."""
    if s.session.status != rules.COMPLETED:
        return False
    return s.message.dialect.takes_calls or s.said.at is None or s.session.stop_timestamp is not None


def _completed(s: _Stop) -> dict[str, Any]:
    """What a first stop changes in its session."""
    session, message = s.session, s.message
    course = registers.follow(
        session, registers.readings(s.said.samples, message.received_at, message.behind)
    )
    flags: set[str] = set()
    if not oddities.INCOMPLETE.isdisjoint(message.oddities):
        flags.add(rules.FORM)
    if s.reconciled:
        flags.add(rules.RECONCILED)
    believed = message.believes(s.said.at)
    if not believed:
        flags.add(rules.CLOCK)
    end = message.effective(s.said.at)
    if end < session.effective_start:
        flags.add(rules.STOP_BEFORE_START)
        end = max(message.received_at, session.effective_start)
    if session.meter_last_at is not None and end - session.meter_last_at > rules.LONGEST_GAP:
        flags.add(rules.GAP)
    register = s.meter_stop_mwh
    if register is None:
        register = course.last_mwh if course.end_mwh is None else course.end_mwh
        if message.dialect.reports_meters:
            flags.add(rules.NO_METER_STOP)
    elif course.last_mwh is not None and course.last_at is not None:
        rounding = registers.ROUNDING_MWH
        flags |= registers.step(
            course.last_at, course.last_mwh, end, register, known=believed, rounding=rounding
        )
    duration = end - session.effective_start
    if s.said.at is not None and session.start_timestamp is not None:
        # with a clock that restarts, the charger's own two times still tell how long it took
        duration = max(duration, s.said.at - session.start_timestamp)
    energy, odd = rules.energy(course.start_mwh, register, duration)
    if not message.dialect.reports_meters:
        odd.discard(rules.NO_METER_START)
    kept = registers.settled(session.flags, course) - {rules.SUSPECT, rules.NO_SIGN}
    return {
        "status": rules.COMPLETED,
        "stop_timestamp": s.said.at,
        "stop_received_at": message.received_at,
        "effective_end": end,
        "meter_start_mwh": course.start_mwh,
        "meter_stop_mwh": s.meter_stop_mwh,
        "energy_mwh": energy,
        "reason": s.reason,
        "stop_id_tag": None if s.said.id_tag is None else s.said.id_tag[:255],
        "flags": rules.join_flags(kept, flags, odd),
    }


def _conflict(
    s: _Stop, conflicting: list[tuple[ChargerMessage[facts.SessionEnds], int]]
) -> dict[str, Any] | None:
    """What a further stop changes: nothing, but that a different one is flagged and kept in the inbox."""
    session = s.session
    if _says_the_same(s, session):
        return None
    # A stop that an operator's end came before, or that says no more than the first, is no contradiction.
    same = session.meter_stop_mwh == s.meter_stop_mwh and session.stop_timestamp == s.said.at
    if same and not s.message.dialect.takes_calls:
        return None
    conflicting.append((s.message, session.id))
    if rules.CONFLICTING_STOP in session.flags.split():
        return None
    return {"flags": rules.join_flags(session.flags, {rules.CONFLICTING_STOP})}


def _collect_samples(s: _Stop, rows: dict[bytes, dict[str, Any]]) -> None:
    """transactionData, merged with what MeterValues brought already: a sample counts once."""
    connector_id = s.session.connector_id if s.session is not None else None
    session_id = s.session.id if s.session is not None else None
    for sample in s.said.samples:
        row = sample_row(s.message, sample, connector_id, session_id)
        rows.setdefault(row["sample_key"], row)


def _mutable(rows: dict[Any, AnyRow]) -> dict[Any, Any]:
    """Sessions that a second stop in the same batch sees as the first one left them."""
    columns = next(iter(rows.values()))._fields if rows else ()
    return {name: SimpleNamespace(**dict(zip(columns, row, strict=True))) for name, row in rows.items()}


def _replies(conn: Connection, stops: Sequence[_Stop], now: datetime, settings: Settings) -> list[Reply]:
    tags = find_tags(conn, (s.said.id_tag for s in stops if s.said.id_tag is not None), starting=False)
    replies = []
    for s in stops:
        verdict = None
        if s.said.id_tag is not None:
            verdict = authorisation.judge(
                tags.get(s.said.id_tag),
                now,
                at=s.message.charger_id,
                unknown=authorisation.unknown_status(settings.unknown_tags),
            )
        outcome = Ended(verdict)
        happened = (SessionEnded(s.message.identity, s.session.id),) if s.ends else ()
        replies.append(Reply(outcome, happened=happened))
    return replies
