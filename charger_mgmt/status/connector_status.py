"""Writing what connectors report, and the charger's summary that follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from ..database import bulk, sightings, watch
from ..database.models import Charger, Connector, StatusChange
from ..domain import status as rules

_CHARGER = Charger.__table__.c
_CONNECTOR = Connector.__table__.c
_DETAILS = ("status", "error_code", "reported_error_code", "info", "vendor_id", "vendor_error_code")


@dataclass(slots=True)
class Report:
    """A connector's news. `timestamp` is the charger's own, `received_at` ours."""

    charger_id: int
    connector_id: int
    status: str
    received_at: datetime
    timestamp: datetime | None = None
    error_code: str = "NoError"
    info: str | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None
    #: The charger's own word, where `error_code` stands for one that the specification does not know.
    reported_error_code: str | None = None
    clock_skew_ms: int | None = None


def apply(conn: Connection, reports: Sequence[Report], *, spoken: bool = True) -> None:
    """Store the reports in their order: current state, history of changes, the chargers' summaries.

    Order of arrival decides, not the chargers' clocks. A report that repeats the current state changes
    nothing but its times. `spoken`: the chargers said so themselves, so they are not silent; what an
    operator says of a silent charger counts once it speaks again.
    """
    if not reports:
        return
    charger_ids = bulk.distinct(report.charger_id for report in reports)
    chargers = _locked(conn, charger_ids)
    current = _current(conn, charger_ids)
    changes: list[dict[str, Any]] = []
    touched: dict[tuple[int, int], dict[str, Any]] = {}
    skews: dict[int, int] = {}
    for report in reports:
        row = _row(report)
        before = current[report.charger_id].get(report.connector_id)
        if before is None or any(before[name] != row[name] for name in _DETAILS):
            changes.append(row)
        current[report.charger_id][report.connector_id] = row
        touched[report.charger_id, report.connector_id] = row
        if report.clock_skew_ms is not None:
            skews[report.charger_id] = report.clock_skew_ms
    present = [row | {"retired_at": None} for row in touched.values()]
    bulk.upsert(conn, Connector.__table__, present, ["charger_id", "connector_id"])
    changes += _summarise(conn, chargers, current, skews, reports[-1].received_at, spoken)
    bulk.insert(conn, StatusChange.__table__, changes)


def summarise_anew(conn: Connection, charger_ids: Sequence[int], now: datetime) -> None:
    """The chargers' connectors have changed without a word of theirs: let their summaries follow."""
    chargers = _locked(conn, charger_ids)
    current = _current(conn, charger_ids)
    bulk.insert(conn, StatusChange.__table__, list(_summarise(conn, chargers, current, {}, now, False)))


def _locked(conn: Connection, charger_ids: Sequence[int]) -> dict[int, Any]:
    rows = conn.execute(
        select(_CHARGER.id, _CHARGER.status, _CHARGER.silent, _CHARGER.clock_skew_ms)
        .where(_CHARGER.id.in_(charger_ids))
        .order_by(_CHARGER.id)
        .with_for_update()
    )
    return {row.id: row for row in rows}


def _summarise(
    conn: Connection,
    chargers: dict[int, Any],
    current: dict[int, dict[int, dict[str, Any]]],
    skews: dict[int, int],
    now: datetime,
    spoken: bool,
) -> Iterable[dict[str, Any]]:
    """Write the summaries; returns the history rows of those that changed."""
    updates, changes = [], []
    seen = {"silent": False} if spoken else {}
    for charger_id, charger in chargers.items():
        statuses = {number: row["status"] for number, row in current[charger_id].items()}
        reported = rules.summary(statuses)
        word = rules.UNAVAILABLE if charger.silent and not spoken else reported
        changed = {
            "id": charger_id,
            "status": word,
            "reported_status": reported,
            "has_fault": rules.has_fault(statuses),
            "clock_skew_ms": skews.get(charger_id, charger.clock_skew_ms),
        }
        updates.append(changed | seen)
        if word != charger.status:
            changes.append(summary_change(charger_id, word, now))
    bulk.update(conn, Charger.__table__, updates)
    if spoken:  # on the database's clock, as the sweep that judges by it: ours may have been set
        sightings.have_spoken(conn, list(chargers), watch.database_now(conn))
    return changes


def summary_change(charger_id: int, word: str, now: datetime) -> dict[str, Any]:
    """A history row of a charger's own four-word summary."""
    row = dict.fromkeys(("connector_id", *_DETAILS[1:], "timestamp"))
    return {"charger_id": charger_id, "status": word, "received_at": now} | row


def _row(report: Report) -> dict[str, Any]:
    return {
        "charger_id": report.charger_id,
        "connector_id": report.connector_id,
        "status": report.status,
        "error_code": report.error_code,
        "info": report.info,
        "vendor_id": report.vendor_id,
        "vendor_error_code": report.vendor_error_code,
        "reported_error_code": report.reported_error_code,
        "timestamp": report.timestamp,
        "received_at": report.received_at,
    }


def _current(conn: Connection, charger_ids: Sequence[int]) -> dict[int, dict[int, dict[str, Any]]]:
    rows = conn.execute(
        select(
            _CONNECTOR.charger_id,
            _CONNECTOR.connector_id,
            *(_CONNECTOR[name] for name in _DETAILS),
        ).where(_CONNECTOR.charger_id.in_(charger_ids), _CONNECTOR.retired_at.is_(None))
    )
    found: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in rows.mappings():
        found[row["charger_id"]][row["connector_id"]] = dict(row)
    return found
