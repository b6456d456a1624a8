"""StartTransaction: a session begins, once, whatever is sent twice (OCPP 1.6 section 4.8)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, update

from .. import clock
from ..database import bulk, reservations, transactions
from ..database.base import AnyRow
from ..database.models import Command, Transaction
from ..domain import authorisation, facts, oddities
from ..domain import transactions as rules
from ..domain.authorisation import TagRecord, Verdict
from ..domain.keys import key
from ..domain.outcomes import Begun
from ..feed import SessionBegan
from ..intake import inbox
from ..intake.messages import ChargerMessage, Reply
from ..settings import Settings
from ..status import of_sessions
from ..status.of_sessions import Outlet
from ..tags.lookup import count_active, find_tags

#: A remote start may take this long to cause its StartTransaction (the driver has to plug in).
REMOTE_START_WINDOW = timedelta(minutes=15)


@dataclass(slots=True)
class _Start:
    """One StartTransaction, as far as it could be read, and what became of it."""

    message: ChargerMessage[facts.SessionBegins]
    said: facts.SessionBegins
    key: bytes
    #: The charger's own name for it, or the sessionId of the remote start that caused it.
    session_id: str | None
    #: Its time can be believed.
    believed: bool
    #: The time that counts.
    effective_start: datetime
    meter_start_mwh: int | None
    ordinal: int = 0
    flags: set[str] = field(default_factory=set)
    transaction_id: int | None = None
    verdict: Verdict | None = None
    #: What is known of the tag.
    tag: TagRecord | None = None
    command_id: int | None = None
    #: It made a session of its own.
    is_new: bool = False
    #: The same start, earlier in this batch.
    twin: _Start | None = None


def start(
    conn: Connection,
    messages: Sequence[ChargerMessage[facts.SessionBegins]],
    now: datetime,
    settings: Settings,
) -> list[Reply]:
    """Give each start its transactionId: a new one, or the one that it was given before.

    A transactionId is given whatever the tag's status: the session exists already. The outcomes are Begun.
    """
    starts = [_read(message) for message in messages]
    tags = find_tags(conn, [s.said.id_tag for s in starts if s.said.id_tag is not None], starting=True)
    fresh = _recognise(conn, starts)
    if fresh:
        charger_ids = [s.message.charger_id for s in fresh]
        open_sessions = transactions.open_sessions(conn, charger_ids)
        _judge(conn, fresh, open_sessions, tags, now, settings)
        _supersede(conn, fresh, open_sessions)
        _link_remote_starts(conn, fresh, now)
        _insert(conn, fresh, transactions.unapproved(conn, charger_ids, settings.charger_onboarding))
        if odd := [(s.message, s.transaction_id) for s in fresh if s.message.oddities]:
            inbox.keep_unreadable(conn, odd)
        if quiet := [s for s in fresh if not s.message.dialect.reports_status]:
            outlets = [
                Outlet(s.message.charger_id, s.said.connector_id, s.message.received_at) for s in quiet
            ]
            of_sessions.show(conn, outlets)
    return [_reply(s, tags) for s in starts]


def _read(message: ChargerMessage[facts.SessionBegins]) -> _Start:
    said = message.fact
    if said.name is not None:
        key_ = key("session", message.charger_id, said.name)
    else:
        key_ = rules.start_key(
            message.charger_id, said.connector_id, said.id_tag or "", said.at or said.at_text, said.meter_wh
        )
    believed = message.believes(said.at)
    effective = said.at if believed and said.at is not None else message.received_at
    meter = rules.milliwatt_hours(said.meter_wh)
    started = _Start(message, said, key_, said.name, believed, effective, meter)
    if not oddities.INCOMPLETE.isdisjoint(message.oddities):
        started.flags.add(rules.FORM)
    if not believed:
        started.flags.add(rules.CLOCK)
    elif message.received_at - effective > rules.LATE:
        started.flags.add(rules.OLD)
    if meter is None and message.dialect.reports_meters:
        started.flags.add(rules.NO_METER_START)
    return started


def _recognise(conn: Connection, starts: Sequence[_Start]) -> list[_Start]:
    """Find the starts that came before; returns the new ones."""
    by_key = transactions.by_start_keys(conn, [s.key for s in starts])
    names = [(s.message.charger_id, s.session_id) for s in starts if s.session_id is not None]
    by_session = transactions.by_sessions(conn, names) if names else {}
    fresh: dict[bytes, _Start] = {}
    for s in starts:
        known = by_key.get(s.key)
        if s.session_id is not None:
            known = _same_name(s, by_session.get((s.message.charger_id, s.session_id), [])) or known
        if known is not None and not _begins_anew(s, known):
            s.transaction_id = known.id
            s.verdict = Verdict(known.id_tag_status or authorisation.ACCEPTED)
        elif s.key in fresh:
            s.twin = fresh[s.key]
        else:
            s.ordinal = known.start_ordinal + 1 if known is not None else 0
            fresh[s.key] = s
    return list(fresh.values())


def _same_name(s: _Start, named: Sequence[AnyRow]) -> AnyRow | None:
    """Of the sessions by a flat charger's name for it, the one that began when it says, else the newest."""
    candidates = [row for row in named if row.start_timestamp == s.said.at] or named
    return candidates[-1] if candidates else None


def _begins_anew(s: _Start, known: AnyRow) -> bool:
    """Whether an equal start is another session, because the first one has ended and the charger restarts:

    its clock at every boot, or, in the flat dialect, the count of its sessions.
    """
    if s.session_id is None:
        return known.status != rules.IN_PROGRESS and not s.believed
    other_time = None not in (s.said.at, known.start_timestamp) and s.said.at != known.start_timestamp
    if known.status != rules.IN_PROGRESS:
        return other_time or (s.said.at is not None and not s.believed) or _differs(s, known)
    return other_time and _differs(s, known)


def _differs(s: _Start, known: AnyRow) -> bool:
    """Whether a flat charger's start, by a name that it used before, says another tag, meter or connector."""
    meter = s.meter_start_mwh
    tags = (s.said.id_tag, known.id_tag)
    return (
        (None not in tags and not authorisation.may_be_same(*tags))
        or (None not in (meter, known.meter_start_mwh) and meter != known.meter_start_mwh)
        or (
            None not in (s.said.connector_id, known.connector_id)
            and s.said.connector_id != known.connector_id
        )
    )


def _judge(
    conn: Connection,
    fresh: Sequence[_Start],
    open_sessions: Mapping[int, Sequence[AnyRow]],
    tags: dict[str, TagRecord],
    now: datetime,
    settings: Settings,
) -> None:
    """Judge the tags again, whatever Authorize said (section 4.8); count those that are limited.

    A session that would give way to the start does not count: the card comes back after a power cut.
    """
    active = Counter(count_active(conn, tags.values()) if tags else {})
    unknown = authorisation.unknown_status(settings.unknown_tags)
    for s in fresh:
        if s.said.id_tag is None:  # a flat charger need not show a tag
            s.verdict = Verdict(authorisation.ACCEPTED)
            continue
        s.tag = tags.get(s.said.id_tag)
        name = authorisation.tag_key(s.tag.id_tag) if s.tag else ""
        leaving = sum(
            authorisation.tag_key(row.id_tag or "") == name
            for row in _on_connector(s, open_sessions)
            if row.effective_start <= s.effective_start and counts_as_active(row)
        )
        s.verdict = authorisation.judge(
            s.tag,
            now,
            at=s.message.charger_id,
            unknown=unknown,
            active=active[name] - leaving,
        )
        if s.verdict.status == authorisation.ACCEPTED:
            active[name] += 1 - leaving


def _on_connector(s: _Start, open_sessions: Mapping[int, Sequence[AnyRow]]) -> list[AnyRow]:
    """The sessions that are open on the connector of a start."""
    if s.said.connector_id is None:
        return []
    return [
        row for row in open_sessions.get(s.message.charger_id, ()) if row.connector_id == s.said.connector_id
    ]


def counts_as_active(row: AnyRow) -> bool:
    """Whether an open session is one of its tag's: it was not refused at its start."""
    return row.id_tag_status in (None, authorisation.ACCEPTED)


def _supersede(
    conn: Connection, fresh: Sequence[_Start], open_sessions: Mapping[int, Sequence[AnyRow]]
) -> None:
    """A connector has one session: an open one that began earlier has lost its stop.

    It ends with the last thing known of it and turns Completed if the stop arrives after all. A start that
    we refuse takes nobody's place.
    """
    ended: dict[int, dict[str, Any]] = {}
    for s in fresh:
        assert s.verdict is not None
        if s.verdict.status != authorisation.ACCEPTED:
            continue
        for row in _on_connector(s, open_sessions):
            if row.id in ended:
                continue
            if row.effective_start > s.effective_start:
                s.flags.add(rules.OVERLAPS)
            else:
                ended[row.id] = interrupted(row, {rules.SUPERSEDED}, s.effective_start)
    if ended:
        bulk.update(conn, Transaction.__table__, list(ended.values()))


def interrupted(row: AnyRow, flags: set[str], at: datetime) -> dict[str, Any]:
    """An open session given up at a moment, without its stop: end and energy are the last that is known."""
    end = row.meter_last_at or row.effective_start
    energy, odd = rules.energy(row.meter_start_mwh, row.meter_last_mwh, end - row.effective_start)
    return {
        "id": row.id,
        "status": rules.INTERRUPTED,
        "effective_end": max(end, row.effective_start),
        "energy_mwh": energy,
        "flags": rules.join_flags(row.flags, flags, odd),
        "interrupted_at": at,
    }


def _link_remote_starts(conn: Connection, fresh: Sequence[_Start], now: datetime) -> None:
    """Find the remote start that caused a session; its sessionId becomes the session's."""
    by_tag: dict[tuple[int, str], list[AnyRow]] = defaultdict(list)
    tagged = [s for s in fresh if s.said.id_tag]
    if not tagged:
        return
    for row in transactions.remote_starts(
        conn, [s.message.charger_id for s in tagged], now - REMOTE_START_WINDOW
    ):
        if row.id_tag:
            by_tag[row.charger_id, authorisation.tag_key(row.id_tag)].append(row)
    for s in tagged:
        for id_tag in authorisation.candidate_keys(s.said.id_tag or ""):
            waiting = by_tag.get((s.message.charger_id, id_tag), [])
            fitting = [row for row in waiting if row.connector_id in (None, s.said.connector_id)]
            if fitting:
                s.command_id, s.session_id = fitting[0].id, fitting[0].session_id
                waiting.remove(fitting[0])
                break
    names = [(s.message.charger_id, s.session_id) for s in tagged if s.session_id is not None]
    if not names:
        return
    taken = set(transactions.by_sessions(conn, names))
    for s in tagged:
        if s.session_id is None:
            continue
        if (s.message.charger_id, s.session_id) in taken:
            s.session_id = None
        else:
            taken.add((s.message.charger_id, s.session_id))


def _insert(conn: Connection, fresh: Sequence[_Start], strangers: set[int]) -> None:
    ids = transactions.add(conn, [_row(s) | {"unapproved": s.message.charger_id in strangers} for s in fresh])
    used = {
        (s.message.charger_id, s.said.reservation_id): ids[s.key]
        for s in fresh
        if s.said.reservation_id is not None
    }
    if used:
        reservations.use(conn, used, clock.now())
    for s in fresh:
        s.transaction_id, s.is_new = ids[s.key], True
        if s.command_id is not None:
            conn.execute(
                update(Command).where(Command.id == s.command_id).values(transaction_id=s.transaction_id)
            )


def _row(s: _Start) -> dict[str, Any]:
    reservation = s.said.reservation_id
    assert s.verdict is not None
    return {
        "charger_id": s.message.charger_id,
        "connector_id": s.said.connector_id,
        "session_id": s.session_id,
        # As it was issued: chargers fold its case and append to it, and a limit counts by it.
        "id_tag": s.tag.id_tag if s.tag else None if s.said.id_tag is None else s.said.id_tag[:255],
        "id_tag_status": s.verdict.status,
        "status": rules.IN_PROGRESS,
        "start_key": s.key,
        "start_ordinal": s.ordinal,
        "start_timestamp": s.said.at,
        "start_received_at": s.message.received_at,
        "effective_start": s.effective_start,
        "meter_start_mwh": s.meter_start_mwh,
        "reservation_id": reservation if reservation is not None and abs(reservation) < 2**63 else None,
        "flags": rules.join_flags(s.flags),
    }


def _reply(s: _Start, tags: dict[str, TagRecord]) -> Reply:
    origin = s.twin or s
    assert origin.verdict is not None
    info = Verdict(origin.verdict.status)
    if (tag := tags.get(s.said.id_tag or "")) is not None:
        # The life of a one-use tag ends with the start that it was made for, not in the middle of its session.
        expiry = tag.expiry_date if tag.only_at is None else None
        info = Verdict(origin.verdict.status, expiry, tag.parent_id_tag)
    assert origin.transaction_id is not None
    outcome = Begun(origin.transaction_id, info)
    if not s.is_new or s.transaction_id is None:
        return Reply(outcome)
    began = SessionBegan(s.message.identity, s.transaction_id, origin.verdict.status, s.command_id)
    return Reply(outcome, happened=(began,))
