"""What the chargers' ledgers say against what the database holds."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import create_engine, text

_DONE = "Completed"


@dataclass
class Account:
    """The sums of one scenario, over starts, stops, meter values and statuses.

    `wrong` names what must not be, in words.
    """

    sent: int = 0
    attempts: int = 0
    acknowledged: int = 0
    stored: int = 0
    duplicated: int = 0
    lost: int = 0
    sessions: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"sent {self.sent} ({self.attempts} attempts), acknowledged {self.acknowledged},"
            f" stored {self.stored}, duplicated {self.duplicated}, lost {self.lost}, sessions {self.sessions}"
        )

    def must_balance(self) -> None:
        """Nothing lost, nothing twice, nothing left over."""
        shown = "\n".join(self.wrong[:20])
        assert not self.wrong, f"{self}\n{len(self.wrong)} wrong:\n{shown}"
        assert self.acknowledged > 0, "no message was acknowledged: nothing was tested"
        assert (self.duplicated, self.lost) == (0, 0), str(self)


class Rows:
    """What the database holds, counted by what is unique in each message of these chargers."""

    def __init__(self, database_url: str, identities: Collection[str]) -> None:
        engine = create_engine(database_url)
        with engine.connect() as conn:
            names = dict(conn.execute(text("SELECT id, identity FROM chargers")).all())
            self.sessions: dict[tuple[str, str], list[Any]] = defaultdict(list)
            for row in conn.execute(
                text(
                    "SELECT id, charger_id, id_tag, status, meter_start_mwh, meter_stop_mwh, connector_id, flags"
                    " FROM transactions"
                )
            ):
                self.sessions[names[row.charger_id], row.id_tag or ""].append(row)
            self.ends = Counter(
                (identity, row.id, row.meter_stop_mwh)
                for (identity, _), found in self.sessions.items()
                for row in found
                if row.status == _DONE
            )
            samples = conn.execute(text("SELECT charger_id, raw FROM meter_values")).all()
            self.samples = Counter((names[row.charger_id], row.raw) for row in samples)
            reports = conn.execute(
                text("SELECT charger_id, info FROM status_history WHERE info IS NOT NULL")
            ).all()
            self.reports = Counter((names[row.charger_id], row.info) for row in reports)
            self.inbox = conn.execute(text("SELECT charger_id, kind, raw, transaction_id FROM inbox")).all()
            for row in self.inbox:
                if names[row.charger_id] in identities:
                    self._count_as_stored(names[row.charger_id], row)
        engine.dispose()

    def _count_as_stored(self, identity: str, kept: Any) -> None:
        """Poison is stored whole, in the inbox; a session stands for a start."""
        _, _, action, payload = json.loads(kept.raw)
        if action == "StartTransaction":
            session = next(row for row in self.sessions[identity, ""] if row.id == kept.transaction_id)
            self.sessions[identity, payload["idTag"]].append(session)
        elif action == "MeterValues":
            for group in payload["meterValue"]:
                self.samples.update((identity, sample["value"]) for sample in group["sampledValue"])

    @staticmethod
    def connected_chargers(database_url: str) -> int:
        """How many chargers are shown as connected."""
        engine = create_engine(database_url)
        try:
            with engine.connect() as conn:
                return conn.execute(text("SELECT COUNT(*) FROM chargers WHERE connected")).scalar_one()
        finally:
            engine.dispose()


def compare(ledger: dict[str, Any], rows: Rows) -> Account:
    """Every acknowledged message is stored once, nothing is stored twice, every session has its end."""
    account = Account()
    ids_given: dict[int, str] = {}
    said: set[tuple[str, str, str]] = set()
    for identity, charger in ledger.items():
        if not charger["drained"]:
            account.wrong.append(f"{identity}: its queue was not delivered")
        for message in charger["messages"]:
            if not message["attempts"]:
                continue  # replaced by newer news before it was ever sent
            acknowledged = message["answer"] is not None
            if message["must_arrive"] and not acknowledged:
                account.wrong.append(f"{identity}: never acknowledged: {message}")
            if message["error"] is not None:
                account.wrong.append(f"{identity}: refused: {message}")
            copies = _copies(identity, message, rows, said)
            if copies is None:
                continue
            account.sent += 1
            account.attempts += message["attempts"]
            account.acknowledged += acknowledged
            account.stored += all(copies)
            if max(copies) > 1:
                account.duplicated += 1
                account.wrong.append(f"{identity}: stored {copies} times: {message}")
            if acknowledged and not all(copies):
                account.lost += 1
                account.wrong.append(f"{identity}: acknowledged and not stored: {message}")
        account.sessions += _check_sessions(identity, charger["messages"], rows, ids_given, account.wrong)
    account.wrong += _never_said(ledger, rows, said)
    return account


def _copies(
    identity: str, message: dict[str, Any], rows: Rows, said: set[tuple[str, str, str]]
) -> list[int] | None:
    """How many rows each part of the message has; None: it is none of the four that must be stored."""
    payload = message["payload"]
    if message["action"] == "StartTransaction":
        said.add(("start", identity, payload["idTag"]))
        return [len(rows.sessions[identity, payload["idTag"]])]
    if message["action"] == "MeterValues":
        values = [sample["value"] for group in payload["meterValue"] for sample in group["sampledValue"]]
        said.update(("sample", identity, value) for value in values)
        return [rows.samples[identity, value] for value in values]
    if message["action"] == "StatusNotification" and "info" in payload:
        said.add(("report", identity, payload["info"]))
        return [rows.reports[identity, payload["info"]]]
    if message["action"] == "StopTransaction":
        stop = (identity, payload.get("transactionId"), payload["meterStop"] * 1000)
        return [rows.ends[stop]]
    return None


def _check_sessions(
    identity: str,
    messages: Iterable[dict[str, Any]],
    rows: Rows,
    ids_given: dict[int, str],
    wrong: list[str],
) -> int:
    """Each start has an id of its own, and its session the stop that the charger sent. How many there are."""
    stops = {
        message["payload"].get("transactionId"): message
        for message in messages
        if message["action"] == "StopTransaction" and message["answer"] is not None
    }
    starts = [m for m in messages if m["action"] == "StartTransaction" and m["answer"] is not None]
    for start in starts:
        tag, number = start["payload"]["idTag"], start["answer"]["transactionId"]
        if number in ids_given:
            wrong.append(f"{identity}: transactionId {number} was given to {tag} and to {ids_given[number]}")
        ids_given[number] = tag
        for row in rows.sessions[identity, tag]:
            stop = stops.get(number)
            if row.id != number:
                wrong.append(f"{identity}: {tag} was answered {number} and is stored as {row.id}")
            elif "poison" not in row.flags and row.meter_start_mwh != start["payload"]["meterStart"] * 1000:
                wrong.append(f"{identity}: the start of {number} is stored wrongly: {row}")
            elif stop is None:
                wrong.append(f"{identity}: session {number} was never stopped")
            elif row.status != _DONE or row.meter_stop_mwh != stop["payload"]["meterStop"] * 1000:
                wrong.append(f"{identity}: session {number} is without its end: {row}")
    return len(starts)


def _never_said(ledger: dict[str, Any], rows: Rows, said: set[tuple[str, str, str]]) -> list[str]:
    """Rows that no charger of this ledger has sent."""
    stored = [("start", *name) for name, found in rows.sessions.items() if found and name[1]]
    stored += [("sample", *name) for name in rows.samples] + [("report", *name) for name in rows.reports]
    return [f"stored and never sent: {name}" for name in stored if name[1] in ledger and name not in said]
