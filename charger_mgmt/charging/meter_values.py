"""MeterValues: samples as rows, each once (OCPP 1.6 section 4.7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from ..beside import beside, size_of
from ..database import bulk, transactions
from ..database.base import AnyRow
from ..database.models import Connector, MeterValue, Transaction
from ..domain import authorisation, facts, registers, samples
from ..domain import transactions as rules
from ..intake import inbox
from ..intake.messages import ChargerMessage, Reply
from ..settings import Settings

#: Chargers cut timestamps to seconds, and not all of a message's in the same way: a session's first sample
#: may be stamped just before its start.
START_TOLERANCE = timedelta(seconds=2)


def record(
    conn: Connection, messages: Sequence[ChargerMessage[facts.Metered]], now: datetime, settings: Settings
) -> list[Reply]:
    """Store the samples, under the session they belong to where that can be told.

    Samples after the stop belong to the closed session, which stays closed. Nothing is refused: samples
    of unknown sessions are kept without one.
    """
    found = _Sessions(conn, messages)
    read = beside(size_of(messages[0].raw, conn.dialect.name), _read, messages, found)
    bulk.insert_new(conn, MeterValue.__table__, read.rows)
    inbox.keep_unreadable(conn, read.messages)
    bulk.update(conn, Transaction.__table__, read.changed)
    return [Reply() for _ in messages]


@dataclass(slots=True)
class _Read:
    """What a batch comes to: new samples, changed sessions, and the messages with their transactionId."""

    rows: list[dict[str, Any]]
    changed: list[dict[str, Any]]
    messages: list[tuple[ChargerMessage[facts.Metered], int | None]]


def _read(messages: Sequence[ChargerMessage[facts.Metered]], found: _Sessions) -> _Read:
    rows: dict[bytes, dict[str, Any]] = {}
    news: dict[int, _News] = defaultdict(_News)
    of_sessions = []
    for message in messages:
        connector_id, session = found.of(message)
        session_id = session.id if session is not None else None
        of_sessions.append((message, session_id))
        read = message.fact.samples
        for sample in read:
            row = sample_row(message, sample, connector_id, session_id)
            rows.setdefault(row["sample_key"], row)
        if session_id is not None and read:
            of_session = news[session_id]
            of_session.readings += registers.readings(read, message.received_at, message.behind)
            of_session.sampled_at.append(_newest_time(message))
    changed = [
        change
        for session_id, of_session in news.items()
        if (change := after_samples(found.by_id[session_id], of_session)) is not None
    ]
    return _Read(list(rows.values()), changed, of_sessions)


@dataclass(slots=True)
class _News:
    """What a batch brings of one session: its register's readings, and when samples were taken."""

    readings: list[registers.Reading] = field(default_factory=list)
    sampled_at: list[datetime] = field(default_factory=list)


def sample_row(
    message: ChargerMessage[Any],
    sample: samples.Sample,
    connector_id: int | None,
    session_id: int | None,
) -> dict[str, Any]:
    """A sample as a row of meter_values."""
    return {
        "charger_id": message.charger_id,
        "connector_id": connector_id,
        "transaction_id": session_id,
        "sample_key": sample.key(
            message.charger_id, connector_id, session_id, believed=message.believes(sample.timestamp)
        ),
        "timestamp": sample.timestamp,
        "received_at": message.received_at,
        "measurand": sample.measurand,
        "phase": sample.phase,
        "context": sample.context,
        "location": sample.location,
        "format": sample.format,
        "unit": sample.unit,
        "value_micro": sample.value_micro,
        "raw": sample.raw,
    }


def after_samples(session: AnyRow, news: _News) -> dict[str, Any] | None:
    """What samples change in a session that is not completed; None: nothing.

    An Interrupted session ends with the last thing known of it, so a later reading moves its end; samples
    taken after it was given up say that it goes on.
    """
    if session.status == rules.COMPLETED:
        return None
    course = registers.follow(session, news.readings)
    flags = registers.settled(session.flags, course) - {rules.NO_SIGN}
    last = course.last_at
    status, end, energy = session.status, session.effective_end, session.energy_mwh
    given_up_at = session.interrupted_at or end
    if status == rules.INTERRUPTED and given_up_at is not None:
        if max(news.sampled_at) > given_up_at + START_TOLERANCE:
            status, end, energy = rules.IN_PROGRESS, None, None
            flags -= {rules.SUPERSEDED, rules.CLOSED_BY_OPERATOR}
        elif last is not None and (end is None or last > end):
            end = last
            energy, odd = rules.energy(course.start_mwh, course.last_mwh, end - session.effective_start)
            flags |= odd
    after = {
        "status": status,
        "meter_start_mwh": course.start_mwh,
        "meter_last_at": last,
        "meter_last_mwh": course.last_mwh,
        "meter_source": course.source,
        "effective_end": end,
        "energy_mwh": energy,
        "flags": rules.join_flags(flags),
    }
    changed = {name: value for name, value in after.items() if value != getattr(session, name)}
    return {"id": session.id} | changed if changed else None


class _Sessions:
    """The sessions that a batch of MeterValues belongs to, looked up together."""

    def __init__(self, conn: Connection, messages: Sequence[ChargerMessage[facts.Metered]]) -> None:
        named = {message.fact.transaction_id for message in messages}
        self.by_id = transactions.by_ids(
            conn,
            {number for number in named if number and 0 < number <= transactions.LARGEST_ID},
        )
        unnamed = {message.charger_id for message in messages if self._named(message) is None}
        self._open = transactions.open_sessions(conn, unnamed)
        self.by_id |= {row.id: row for rows in self._open.values() for row in rows}
        on_main = {message.charger_id for message in messages if message.fact.connector_id in (None, 0)}
        self._outlets = _outlets(conn, on_main)

    def of(self, message: ChargerMessage[facts.Metered]) -> tuple[int | None, AnyRow | None]:
        """(connectorId, session) of a message.

        A box with one outlet that reports it as connector 0 means connector 1, one that never reported any
        means the session that it has. Samples without a
        usable transactionId belong to the session that is open on their connector, unless they were taken
        before it began: an offline queue delivers those of earlier sessions late.
        """
        connector_id = message.fact.connector_id
        open_ones = self._open.get(message.charger_id, ())
        if connector_id in (None, 0):
            outlets = self._outlets.get(message.charger_id, 0)
            if outlets == 1:
                connector_id = 1
            elif not outlets and len(open_ones) == 1:
                connector_id = open_ones[0].connector_id
        session = self._named(message)
        if session is not None:
            return (connector_id if connector_id is not None else session.connector_id), session
        on_connector = [
            row for row in open_ones if connector_id is not None and row.connector_id == connector_id
        ]
        if on_connector:
            taken = _newest_time(message) + START_TOLERANCE
            begun = [row for row in on_connector if row.effective_start <= taken]
            return connector_id, max(begun, key=_charges, default=None)
        return connector_id, None

    def _named(self, message: ChargerMessage[facts.Metered]) -> AnyRow | None:
        session = self.by_id.get(message.fact.transaction_id or 0)
        return session if session is not None and session.charger_id == message.charger_id else None


def _charges(session: AnyRow) -> tuple[bool, datetime]:
    """Of several open sessions the one that charges: not one that was refused, and the newest."""
    return session.id_tag_status in (None, authorisation.ACCEPTED), session.effective_start


def _newest_time(message: ChargerMessage[facts.Metered]) -> datetime:
    """When the message's newest sample was taken, as far as the charger's clock can be believed."""
    taken = {sample.timestamp for sample in message.fact.samples}
    return max((message.effective(moment) for moment in taken), default=message.received_at)


def _outlets(conn: Connection, charger_ids: Iterable[int]) -> dict[int, int]:
    """How many connectors besides 0 each charger has reported; absent: none."""
    wanted = bulk.distinct(charger_ids)
    if not wanted:
        return {}
    c = Connector.__table__.c
    rows = conn.execute(
        select(c.charger_id, func.count())
        .where(c.charger_id.in_(wanted), c.connector_id > 0, c.retired_at.is_(None))
        .group_by(c.charger_id)
    )
    return {row[0]: row[1] for row in rows}
