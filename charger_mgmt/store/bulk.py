"""Writing many rows in one statement, on MySQL, MariaDB and SQLite alike.

A charger's message costs microseconds, a round trip to the database a hundred times as many: so what a
batch writes goes out as one multi-row statement per table. Values are plain Python (aware datetimes,
bytes, int, str, None; dict and list become JSON).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table

from ..clock import cut_to_milliseconds

#: Below SQLite's limit of 32,766 parameters and far below MySQL's smallest max_allowed_packet.
MOST_PARAMETERS = 16_000
MOST_BYTES = 2_000_000


def insert(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; every row must have the same columns."""
    _insert(conn, table, rows, "")


def insert_new(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose unique keys are not there yet; leave the others as they are.

    Any other violation still raises (INSERT IGNORE would swallow it).
    """
    key = next(iter(table.primary_key.columns)).name
    _insert(conn, table, rows, _on_conflict(conn, f"{key} = {key}") or " ON CONFLICT DO NOTHING")


def upsert(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> None:
    """Insert the rows, or replace the other columns where `keys` are there already."""
    if not rows:
        return
    others = [column for column in rows[0] if column not in keys]
    ending = _on_conflict(conn, ", ".join(f"{c} = VALUES({c})" for c in others)) or (
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in others)
    )
    _insert(conn, table, rows, ending)


def update(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set the other columns of the rows named by `id`, one statement for all.

    Every row must have the same columns; an id may appear once.
    """
    if not rows:
        return
    mark = _mark(conn)
    columns = [column for column in rows[0] if column != "id"]
    for chunk in _chunks([[row["id"], *(row[c] for c in columns)] for row in rows]):
        cases: list[str] = []
        parameters: list[Any] = []
        whens = f"WHEN {mark} THEN {mark} " * len(chunk)
        for position, column in enumerate(columns, start=1):
            cases.append(f"{_quoted(conn, column)} = CASE id {whens}END")
            for values in chunk:
                parameters += (_plain(values[0]), _plain(values[position]))
        parameters += [_plain(values[0]) for values in chunk]
        marks = ", ".join([mark] * len(chunk))
        conn.exec_driver_sql(
            f"UPDATE {table.name} SET {', '.join(cases)} WHERE id IN ({marks})", tuple(parameters)
        )


def _insert(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], ending: str) -> None:
    if not rows:
        return
    columns = list(rows[0])
    names = ", ".join(_quoted(conn, column) for column in columns)
    row_marks = f"({', '.join([_mark(conn)] * len(columns))})"
    for chunk in _chunks([[row[c] for c in columns] for row in rows]):
        conn.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row_marks] * len(chunk))}{ending}",
            tuple(_plain(value) for values in chunk for value in values),
        )


def _chunks(rows: list[list[Any]]) -> Iterator[list[list[Any]]]:
    """The rows in portions that fit one statement."""
    chunk: list[list[Any]] = []
    parameters = size = 0
    for row in rows:
        weight = sum(len(value) for value in row if isinstance(value, str | bytes))
        if chunk and (parameters + 2 * len(row) > MOST_PARAMETERS or size + weight > MOST_BYTES):
            yield chunk
            chunk, parameters, size = [], 0, 0
        chunk.append(row)
        parameters += 2 * len(row)
        size += weight
    if chunk:
        yield chunk


def _plain(value: Any) -> Any:
    """A value as both drivers take it."""
    if isinstance(value, datetime):
        moment = cut_to_milliseconds(value.astimezone(UTC)).replace(tzinfo=None)
        return moment.isoformat(" ", "microseconds")
    if isinstance(value, dict | list):
        return json.dumps(storable_tree(value), default=str)
    if isinstance(value, str):
        return storable(value)
    return value


def storable(text: str) -> str:
    """Text that any database takes: lone surrogates and NUL become visible escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\x00", "\\x00") if "\x00" in text else text


def storable_tree(value: Any) -> Any:
    """A JSON value whose every text is storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(name)): storable_tree(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_tree(item) for item in value]
    return value


def _on_conflict(conn: Connection, assignments: str) -> str:
    return f" ON DUPLICATE KEY UPDATE {assignments}" if conn.dialect.name != "sqlite" else ""


def _mark(conn: Connection) -> str:
    return "?" if conn.dialect.name == "sqlite" else "%s"


def _quoted(conn: Connection, name: str) -> str:
    return conn.dialect.identifier_preparer.quote(name)


def distinct(values: Iterable[Any]) -> list[Any]:
    """The values once each, sorted: rows locked in one order do not deadlock."""
    return sorted(set(values))
