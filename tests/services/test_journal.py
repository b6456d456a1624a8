"""The journal's bounds, and whose messages it keeps."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from charger_mgmt.database.models import Message
from charger_mgmt.journal import writer
from charger_mgmt.journal.writer import Journal
from charger_mgmt.serving import retention


def test_so_many_in_a_hundred_chargers(central: Any) -> None:
    names = [f"CP{number}" for number in range(2000)]
    for percent, least, most in ((0, 0, 0), (10, 140, 260), (100, 2000, 2000)):
        journal = Journal(central.engine, percent)
        kept = [name for name in names if journal.of(name, 1, None) is not None]
        assert least <= len(kept) <= most
        assert journal.of("CP1", 1, False) is None
        assert journal.of("CP1", 1, True) is not None
    # Who is in the share stays in it.
    assert (journal.of("CP1", 1, None) is None) == (journal.of("CP1", 1, None) is None)


def test_what_comes_too_fast_is_left_out_and_counted(
    central: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "MOST_FRAMES", 10)
    journal = Journal(central.engine, 100)
    note = journal.of("CP1", 1, None)
    for number in range(25):
        note(False, f'[2,"{number}","Heartbeat",{{}}]')
    with caplog.at_level(logging.WARNING):
        journal.write()
    assert len(central.rows(Message)) == 10
    assert "15 messages are left out" in caplog.text
    note(False, '[2,"x","Heartbeat",{}]')
    journal.write()
    assert len(central.rows(Message)) == 11


def test_only_so_many_are_kept(central: Any) -> None:
    from dataclasses import replace

    journal = Journal(central.engine, 100)
    note = journal.of("CP1", 1, None)
    for number in range(50):
        note(True, f'[2,"{number}","Reset",{{}}]')
    journal.write()
    settings = replace(central.settings, most_messages=20)
    assert retention.drop_surplus(central.engine, settings, step=7) == 30
    assert [row.message_id for row in central.rows(Message)] == [str(number) for number in range(30, 50)]
