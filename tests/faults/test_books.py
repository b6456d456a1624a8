"""The comparison itself: whatever is missing, doubled or made up does not pass."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from flask import Flask

from charger_mgmt.simulate.charger import FakeCharger
from tests.support.chargers import ChargerFactory

from .books import Account, Rows, compare
from .fleet import in_the_ledger
from .lives import meters


@pytest.fixture(scope="module")
def backend() -> str:
    return "sqlite"


@pytest.fixture
def worked(chargers: ChargerFactory) -> FakeCharger:
    """A charger that has had one session, with samples and statuses."""
    charger = chargers("CP-1")
    charger.boots()
    charger.reports(1, "Charging", info="S-1")
    session = charger.starts(1, tag="T-1")
    charger.registers[1] = 100
    meters(charger, 1, session)
    charger.stops(session, meter=200)
    return charger


def account(charger: FakeCharger, app: Flask) -> Account:
    ledger = {"CP-1": in_the_ledger(charger, drained=True)}
    return compare(json.loads(json.dumps(ledger)), Rows(app.config["SQLALCHEMY_DATABASE_URI"], ledger))


def tamper(tmp_path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "chargers.sqlite3")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_what_was_stored_once_balances(worked: FakeCharger, app: Flask) -> None:
    found = account(worked, app)
    found.must_balance()
    assert (found.sent, found.acknowledged, found.stored) == (4, 4, 4)


@pytest.mark.parametrize(
    ("statement", "lost", "duplicated"),
    [
        ("DELETE FROM meter_values WHERE raw LIKE '%.1'", 1, 0),
        ("DELETE FROM status_history WHERE info = 'S-1'", 1, 0),
        ("UPDATE transactions SET status = 'In Progress'", 1, 0),
        ("UPDATE transactions SET meter_stop_mwh = 7", 1, 0),
        ("UPDATE transactions SET id_tag = 'OTHER'", 1, 0),
        ("INSERT INTO status_history (charger_id, connector_id, status, info, received_at)"
         " SELECT charger_id, connector_id, status, info, received_at FROM status_history", 0, 1),
        ("INSERT INTO transactions (charger_id, id_tag, status, start_received_at, effective_start)"
         " SELECT charger_id, id_tag, status, start_received_at, effective_start FROM transactions", 0, 1),
    ],
)  # fmt: skip
def test_what_is_missing_or_doubled_does_not_balance(
    worked: FakeCharger, app: Flask, tmp_path: Path, statement: str, lost: int, duplicated: int
) -> None:
    tamper(tmp_path, "PRAGMA foreign_keys=OFF", statement)
    found = account(worked, app)
    assert (found.lost, found.duplicated) == (lost, duplicated)
    with pytest.raises(AssertionError):
        found.must_balance()


def test_what_nobody_sent_does_not_balance(worked: FakeCharger, app: Flask, tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE meter_values SET raw = '99' WHERE raw LIKE '%.0'")
    assert any("never sent" in wrong for wrong in account(worked, app).wrong)


def test_one_transaction_id_for_two_sessions_does_not_balance(worked: FakeCharger, app: Flask) -> None:
    first = worked.ledger.of("StartTransaction")[0].answer
    worked.starts(2, tag="T-2").start.answer = first  # type: ignore[union-attr]
    assert any("was given to" in wrong for wrong in account(worked, app).wrong)


def test_what_was_never_acknowledged_does_not_balance(worked: FakeCharger, app: Flask) -> None:
    worked.ledger.of("StopTransaction")[0].answer = None
    assert any("never acknowledged" in wrong for wrong in account(worked, app).wrong)
