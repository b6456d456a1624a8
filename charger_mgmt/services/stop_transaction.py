"""StopTransaction: a session ends, whatever the stop looks like (OCPP 1.6 section 4.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from ..domain import authorisation, samples
from ..domain import transactions as rules
from ..ocpp import oddities, timestamps
from ..store import bulk, transactions
from ..store.authorisation import find_tags
from ..store.base import AnyRow
from ..store.models import MeterValue, Transaction
from . import flat_status, inbox
from .authorize import unknown_tag_status
from .flat_status import Outlet
from .inbound import ChargerMessage, Reply, Settings
from .meter_values import sample_row

#: How far back a stop without a usable transactionId is looked for among its charger's sessions.
RECENT = 50


@dataclass(slots=True)
class _Stop:
    """One StopTransaction and the session that it ends, if any."""

    message: ChargerMessage
    transaction_id: int | None
    timestamp: datetime | None
    meter_stop_mwh: int | None
    id_tag: str | None
    session: Any = None
    reconciled: bool = False


def stop(
    conn: Connection, messages: Sequence[ChargerMessage], now: datetime, settings: Settings
) -> list[Reply]:
    """End the sessions. The first stop counts; the same again changes nothing and is answered the same.

    A stop that belongs to no session of its charger is kept in the inbox for the operator. The answer is
    always a normal one, with idTagInfo only if an idTag was sent.
    """
    stops = [_read(message) for message in messages]
    _find_sessions(conn, stops)
    ended: dict[int, dict[str, Any]] = {}
    rows: dict[bytes, dict[str, Any]] = {}
    for s in stops:
        if s.session is not None:
            changed = _conflict(s) if _is_ended(s) else _completed(s)
            if changed:
                ended.setdefault(s.session.id, {"id": s.session.id}).update(changed)
                vars(s.session).update(changed)
        _collect_samples(s, rows)
    bulk.update(conn, Transaction.__table__, list(ended.values()))
    bulk.insert_new(conn, MeterValue.__table__, list(rows.values()))
    inbox.keep_orphans(conn, [s.message for s in stops if s.session is None])
    inbox.keep_unreadable(conn, [(s.message, s.session.id) for s in stops if s.session is not None])
    flat_status.show(
        conn,
        [
            Outlet(s.message.charger_id, s.session.connector_id, s.message.received_at)
            for s in stops
            if s.message.flat and s.session is not None
        ],
    )
    return _replies(conn, stops, now, settings)


def _read(message: ChargerMessage) -> _Stop:
    payload = message.payload
    return _Stop(
        message=message,
        transaction_id=payload.get("transactionId"),
        timestamp=timestamps.parse(payload.get("timestamp") or ""),
        meter_stop_mwh=rules.milliwatt_hours(payload.get("meterStop")),
        id_tag=payload.get("idTag"),
    )


def _find_sessions(conn: Connection, stops: Sequence[_Stop]) -> None:
    by_id = _mutable(
        transactions.by_ids(
            conn,
            (
                s.transaction_id
                for s in stops
                if s.transaction_id is not None and 0 < s.transaction_id <= transactions.LARGEST_ID
            ),
            transactions.STOPPED,
        )
    )
    by_session = {
        name: list(_mutable({row.id: row for row in rows}).values())
        for name, rows in transactions.by_sessions(
            conn,
            (
                (s.message.charger_id, s.message.payload["sessionId"])
                for s in stops
                if "sessionId" in s.message.payload
            ),
            lock=True,
        ).items()
    }
    for s in stops:
        if "sessionId" in s.message.payload:
            named = by_session.get((s.message.charger_id, s.message.payload["sessionId"]), [])
            s.session = _same_name(s, named)
            continue
        session = by_id.get(s.transaction_id)
        if session is not None and session.charger_id == s.message.charger_id:
            s.session = session
        elif s.transaction_id is None or not 0 < s.transaction_id <= transactions.LARGEST_ID:
            s.session = _reconcile(conn, s, by_id)


def _same_name(s: _Stop, named: Sequence[Any]) -> Any:
    """Of the sessions by a flat charger's name for it (oldest first): the one that this stop ended before,
    else the newest that had begun by then.
    """
    if s.timestamp is None:
        return named[-1] if named else None
    repeated = [row for row in named if row.stop_timestamp == s.timestamp]
    begun = [row for row in named if row.start_timestamp is None or row.start_timestamp <= s.timestamp]
    return (repeated or begun or named or [None])[-1]


def _reconcile(conn: Connection, s: _Stop, by_id: dict[int, Any]) -> Any:
    """The one session that a stop without a usable transactionId can mean; None if it is not clear.

    The charger never got an id (it sends -1: errata 3.18) or garbled it. Tag, meter and time must fit,
    and only one open session may; a repeat of such a stop finds the session that it ended.
    """
    recent = transactions.latest_of(conn, s.message.charger_id, RECENT)
    repeated = [
        row
        for row in recent
        if rules.RECONCILED in row.flags.split()
        and row.stop_timestamp == s.timestamp
        and row.meter_stop_mwh == s.meter_stop_mwh
    ]
    fitting = repeated or [row for row in recent if _fits(s, row)]
    if len(fitting) != 1:
        return None
    s.reconciled = True
    locked = _mutable(transactions.by_ids(conn, [fitting[0].id], transactions.STOPPED))
    return by_id.setdefault(fitting[0].id, locked[fitting[0].id])


def _fits(s: _Stop, row: AnyRow) -> bool:
    if row.status != rules.IN_PROGRESS:
        return False
    if s.id_tag is not None and authorisation.tag_key(row.id_tag or "") not in (
        authorisation.tag_key(s.id_tag),
        *authorisation.candidate_keys(s.id_tag),
    ):
        return False
    if None not in (s.meter_stop_mwh, row.meter_start_mwh) and s.meter_stop_mwh < row.meter_start_mwh:
        return False
    return s.timestamp is None or row.start_timestamp is None or s.timestamp >= row.start_timestamp


def _is_ended(s: _Stop) -> bool:
    """Whether the session has had its stop. An operator's end of a flat session gives way to the charger's."""
    if s.session.status != rules.COMPLETED:
        return False
    return not s.message.flat or s.timestamp is None or s.session.stop_timestamp is not None


def _completed(s: _Stop) -> dict[str, Any]:
    """What a first stop changes in its session."""
    session, message = s.session, s.message
    flags: set[str] = set()
    if not oddities.INCOMPLETE.isdisjoint(message.oddities):
        flags.add(rules.FORM)
    if s.reconciled:
        flags.add(rules.RECONCILED)
    if not rules.is_plausible(s.timestamp, message.received_at):
        flags.add(rules.CLOCK)
    end = rules.effective(s.timestamp, message.received_at)
    if end < session.effective_start:
        flags.add(rules.STOP_BEFORE_START)
        end = max(message.received_at, session.effective_start)
    if session.meter_last_at is not None and end - session.meter_last_at > rules.LONGEST_GAP:
        flags.add(rules.GAP)
    register = s.meter_stop_mwh
    if register is None:
        register = _last_register(s)
        if not message.flat:
            flags.add(rules.NO_METER_STOP)
    duration = end - session.effective_start
    if s.timestamp is not None and session.start_timestamp is not None:
        # with a clock that restarts, the charger's own two times still tell how long it took
        duration = max(duration, s.timestamp - session.start_timestamp)
    energy, odd = rules.energy(session.meter_start_mwh, register, duration)
    if message.flat:
        odd.discard(rules.NO_METER_START)
    kept = set(session.flags.split()) - {rules.SUSPECT}
    return {
        "status": rules.COMPLETED,
        "stop_timestamp": s.timestamp,
        "stop_received_at": message.received_at,
        "effective_end": end,
        "meter_stop_mwh": s.meter_stop_mwh,
        "energy_mwh": energy,
        "reason": (message.payload.get("reason") or "Local")[:32],
        "stop_id_tag": None if s.id_tag is None else s.id_tag[:255],
        "flags": rules.join_flags(kept, flags, odd),
    }


def _last_register(s: _Stop) -> int | None:
    """The last reading of the energy register (mWh) that is known, transactionData included."""
    readings = [(s.session.meter_last_at, s.session.meter_last_mwh)] if s.session.meter_last_at else []
    for sample in samples.read(s.message.payload.get("transactionData")):
        if (register := sample.register_mwh()) is not None:
            readings.append((rules.effective(sample.timestamp, s.message.received_at), register))
    return sorted(readings, key=lambda reading: reading[0])[-1][1] if readings else None


def _conflict(s: _Stop) -> dict[str, Any] | None:
    """What a further stop changes: nothing, but that a different one is flagged."""
    session = s.session
    same = session.meter_stop_mwh == s.meter_stop_mwh and session.stop_timestamp == s.timestamp
    if same or s.message.flat or rules.CONFLICTING_STOP in session.flags.split():
        return None
    return {"flags": rules.join_flags(session.flags, {rules.CONFLICTING_STOP})}


def _collect_samples(s: _Stop, rows: dict[bytes, dict[str, Any]]) -> None:
    """transactionData, merged with what MeterValues brought already: a sample counts once."""
    connector_id = s.session.connector_id if s.session is not None else None
    session_id = s.session.id if s.session is not None else None
    for sample in samples.read(s.message.payload.get("transactionData")):
        row = sample_row(s.message, sample, connector_id, session_id)
        rows.setdefault(row["sample_key"], row)


def _mutable(rows: dict[Any, AnyRow]) -> dict[Any, Any]:
    """Sessions that a second stop in the same batch sees as the first one left them."""
    columns = next(iter(rows.values()))._fields if rows else ()
    return {name: SimpleNamespace(**dict(zip(columns, row, strict=True))) for name, row in rows.items()}


def _replies(conn: Connection, stops: Sequence[_Stop], now: datetime, settings: Settings) -> list[Reply]:
    tags = find_tags(conn, (s.id_tag for s in stops if s.id_tag is not None), starting=False)
    replies = []
    for s in stops:
        payload: dict[str, Any] = {}
        if s.id_tag is not None:
            verdict = authorisation.judge(
                tags.get(s.id_tag), now, at=s.message.charger_id, unknown=unknown_tag_status(settings)
            )
            payload["idTagInfo"] = verdict.info(timestamps.format)
        if s.message.flat and s.session is not None:
            payload["transactionId"] = s.session.id
        replies.append(Reply(payload))
    return replies
