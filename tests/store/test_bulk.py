"""Many rows in one statement: what goes in comes out, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import gevent
import pytest
from flask import Flask
from sqlalchemy import Connection, select

from charger_mgmt.database import bulk
from charger_mgmt.database.models import Charger, ChargerEvent, Inbox, Tag
from charger_mgmt.serving.process import process_of

MOMENT = datetime(2026, 3, 29, 1, 59, 59, 987654, tzinfo=timezone(timedelta(hours=2)))
TEXTS = [
    "it's",
    'say "no"',
    "back\\slash\\",
    "\\'; DROP TABLE chargers; -- ",
    "100 % of %s and %(name)s",
    "? :name",
    "line\nfeed\rtab\t",
    "\x1a",
    "snow ☃ and 🔌",
    "",
    "x" * 70 + "'",
]


@pytest.fixture
def conn(app: Flask) -> Iterator[Connection]:
    engine = process_of(app).central.database.engine
    with engine.begin() as connection:
        bulk.insert(connection, Charger.__table__, [{"identity": "CP-1", "created_at": MOMENT}])
        yield connection


def _keep(conn: Connection, raws: list[str]) -> None:
    charger_id = conn.scalar(select(Charger.id))
    bulk.insert(
        conn,
        Inbox.__table__,
        [
            {
                "charger_id": charger_id,
                "kind": "poison",
                "message_key": number.to_bytes(2) + b"'\\\x00\xff%s" + bytes(8),
                "action": "Any",
                "message_id": None,
                "raw": raw,
                "reason": raw[:20],
                "received_at": MOMENT,
            }
            for number, raw in enumerate(raws)
        ],
    )


def test_every_text_comes_back_as_it_was(conn):
    _keep(conn, TEXTS)
    rows = conn.execute(select(Inbox.raw, Inbox.reason).order_by(Inbox.id)).all()
    assert [tuple(row) for row in rows] == [(text, text[:20]) for text in TEXTS]


def test_bytes_come_back_as_they_were(conn):
    _keep(conn, ["any"])
    assert bytes(conn.scalar(select(Inbox.message_key))) == b"\x00\x00'\\\x00\xff%s" + bytes(8)


def test_a_moment_is_stored_in_utc_cut_to_milliseconds(conn):
    assert conn.scalar(select(Charger.created_at)) == datetime(2026, 3, 28, 23, 59, 59, 987000, tzinfo=UTC)


def test_what_no_database_takes_becomes_visible(conn):
    _keep(conn, ["half \ud83d a character", "NUL \x00 inside"])
    assert conn.scalars(select(Inbox.raw).order_by(Inbox.id)).all() == [
        "half \\ud83d a character",
        "NUL \\x00 inside",
    ]


def test_objects_are_stored_as_json(conn):
    charger_id = conn.scalar(select(Charger.id))
    detail = {"text": 'it\'s \\ "so" %s', "list": [1, 2.5, None, True]}
    row = {"charger_id": charger_id, "kind": "DataTransfer", "detail": detail, "received_at": MOMENT}
    bulk.insert(conn, ChargerEvent.__table__, [row])
    assert conn.scalar(select(ChargerEvent.detail)) == detail


def test_rows_are_found_by_numbers_and_by_bytes(conn):
    _keep(conn, ["a", "b", "c"])
    keys = dict(conn.execute(select(Inbox.raw, Inbox.message_key)).all())
    c = Inbox.__table__.c
    for column, values in (
        (c.message_key, [bytes(keys["a"]), bytes(keys["c"]), b"'); DROP--\\%\x00:x"]),
        (c.id, [*conn.scalars(select(Inbox.id).where(Inbox.raw != "b")), -1, 2**63 - 1]),
    ):
        found = select(Inbox.raw).where(bulk.among(column, "values"), Inbox.raw != "d")
        assert sorted(conn.scalars(found, {"values": values})) == ["a", "c"]
        assert conn.scalars(found, {"values": []}).all() == []


def test_rows_are_found_by_texts_whatever_stands_in_them(conn):
    texts = [text for text in TEXTS if len(text) <= 20]
    others = ["A", "x' OR '1'='1"]
    bulk.insert(
        conn,
        Tag.__table__,
        [
            {"id_tag": text, "id_tag_key": text, "status": "Accepted", "created_at": MOMENT}
            for text in [*texts, *others]
        ],
    )
    column = Tag.__table__.c.id_tag_key
    found = select(column).where(bulk.among(column, "texts"), Tag.status != "?")
    assert sorted(conn.scalars(found, {"texts": [*texts, "a"]})) == sorted(texts)
    for text in [*texts, *others]:
        assert conn.scalars(found, {"texts": [text]}).all() == [text]
    assert conn.scalars(found, {"texts": []}).all() == []


def test_inserted_rows_return_what_the_database_gave_them(conn):
    if not conn.dialect.insert_returning:
        pytest.skip("MySQL has no INSERT ... RETURNING; MariaDB and SQLite have")
    rows = [{"identity": f"CP-{n:05}", "created_at": MOMENT, "name": "n" * 100} for n in range(4000)]
    returned = bulk.insert_returning(conn, Charger.__table__, rows, ("identity", "id"))
    stored = conn.execute(select(Charger.identity, Charger.id).where(Charger.name.is_not(None)))
    assert sorted(map(tuple, returned)) == sorted(map(tuple, stored))
    assert len(returned) == 4000


def test_more_rows_than_fit_one_statement(conn):
    rows = [{"identity": f"CP-{n:05}", "created_at": MOMENT, "name": "n" * 200} for n in range(9000)]
    bulk.insert(conn, Charger.__table__, rows)
    found = {row.identity: row.id for row in conn.execute(select(Charger.id, Charger.identity))}
    bulk.update(
        conn,
        Charger.__table__,
        [{"id": found[row["identity"]], "city": row["identity"], "connected": True} for row in rows],
    )
    changed = conn.execute(
        select(Charger.identity).where(Charger.city == Charger.identity, Charger.connected)
    )
    assert len(changed.all()) == 9000


def test_an_update_sets_each_row_to_its_own_values(conn):
    bulk.insert(conn, Charger.__table__, [{"identity": "CP-2", "created_at": MOMENT}])
    first, second = conn.scalars(select(Charger.id).order_by(Charger.id)).all()
    bulk.update(
        conn,
        Charger.__table__,
        [
            {"id": first, "name": "it's", "booted_at": MOMENT},
            {"id": second, "name": None, "booted_at": None},
        ],
    )
    rows = conn.execute(select(Charger.name, Charger.booted_at).order_by(Charger.id)).all()
    assert [tuple(row) for row in rows] == [("it's", MOMENT.replace(microsecond=987000)), (None, None)]


def test_others_have_turns_while_many_rows_are_written(conn: Connection) -> None:
    turns = 0

    def counts() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    counting = gevent.spawn(counts)
    _keep(conn, [f"row {number}" for number in range(1000)])
    counting.kill()
    if conn.dialect.name == "sqlite":  # nobody waits for its lock in the driver longer than need be
        assert turns == 0
    else:
        assert turns >= 5
