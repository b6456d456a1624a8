"""Writing many rows in one statement, on MySQL, MariaDB and SQLite alike.

A charger's message costs microseconds, a round trip to the database a hundred times as many: so what a
batch writes goes out as one multi-row statement per table. Values are plain Python (aware datetimes,
bytes, int, str, None; dict and list become JSON); they are parameters for SQLite, and literals in the text for MySQL
and MariaDB: PyMySQL writes its parameters into the text as well, but looks at each of them through six function calls,
which in a batch of a thousand rows is most of the work. The escaping of texts is its own. It holds for every `sql_mode`
without NO_BACKSLASH_ESCAPES; engine.py sets the mode of each connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import gevent
from pymysql.converters import escape_string
from sqlalchemy import ColumnElement, Connection, Dialect, Table, bindparam
from sqlalchemy.types import UserDefinedType

from ..clock import A_TURN

__all__ = [
    "among",
    "count_up",
    "distinct",
    "insert",
    "insert_new",
    "insert_returning",
    "storable",
    "storable_tree",
    "update",
    "upsert",
]

#: What goes into one statement: well below SQLite's limit of 32,766 parameters and, with the longest
#: message on top, below MySQL's smallest max_allowed_packet.
MOST_VALUES = 16_000
MOST_CHARACTERS = 250_000
#: Rows of a statement whose text takes a few milliseconds; then others have a turn.
_ROWS_OF_A_TURN = 100


def insert(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; every row must have the same columns."""
    _insert(conn, table, rows, "")


def insert_returning(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Insert the rows and return these columns of them, in any order, as the driver reads them.

    MySQL cannot: ask `conn.dialect.insert_returning` first.
    """
    return _insert(conn, table, rows, f" RETURNING {', '.join(columns)}")


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


def count_up(
    conn: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    newest: Sequence[str],
) -> None:
    """Insert the rows; where `keys` are there already, add `count` to theirs and replace `newest`."""
    if not rows:
        return
    changes = ", ".join(f"{c} = VALUES({c})" for c in newest)
    ending = _on_conflict(conn, f"count = {table.name}.count + VALUES(count), {changes}") or (
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET count = {table.name}.count + excluded.count, "
        + ", ".join(f"{c} = excluded.{c}" for c in newest)
    )
    _insert(conn, table, rows, ending)


def update(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set the other columns of the rows named by `id`: one statement for all rows of the same columns.

    An id may appear once.
    """
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        alike.setdefault(tuple(row), []).append(row)
    for columns, group in alike.items():
        portion = max(1, MOST_VALUES // (4 * len(columns)))
        for first in range(0, len(group), portion):
            _update(conn, table, columns, group[first : first + portion])


def _update(
    conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    ids = [str(int(row["id"])) for row in rows]
    statement = _Statement(conn)
    cases = []
    for column in columns:
        if column == "id":
            continue
        values = statement.values([row[column] for row in rows])
        whens = [f"WHEN {number} THEN {value}" for number, value in zip(ids, values, strict=True)]
        cases.append(f"{_name(conn, column)} = CASE id {' '.join(whens)} END")
    if cases:
        statement.execute(f"UPDATE {table.name} SET {', '.join(cases)} WHERE id IN ({', '.join(ids)})")


def _insert(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], ending: str
) -> list[tuple[Any, ...]]:
    """Returns what the statements return: nothing, if their ending asks for nothing."""
    returned: list[tuple[Any, ...]] = []
    if not rows:
        return returned
    columns = list(rows[0])
    names = ", ".join(_name(conn, column) for column in columns)
    beginning = f"INSERT INTO {table.name} ({names}) VALUES "
    statement, texts, size = _Statement(conn), [], 0
    # SQLite's writers wait in the driver, where nobody has a turn: whoever holds its lock keeps his.
    keeps_its_turn = conn.dialect.name == "sqlite"
    for number, row in enumerate(rows, 1):
        if not (number % _ROWS_OF_A_TURN or keeps_its_turn):
            gevent.sleep(A_TURN)
        text = f"({', '.join(statement.values([row[column] for column in columns]))})"
        texts.append(text)
        size += len(text)
        if size >= MOST_CHARACTERS or len(texts) * len(columns) >= MOST_VALUES - len(columns):
            returned += statement.execute(f"{beginning}{', '.join(texts)}{ending}")
            statement, texts, size = _Statement(conn), [], 0
    if texts:
        returned += statement.execute(f"{beginning}{', '.join(texts)}{ending}")
    return returned


class _Statement:
    """The values of one statement, in the order of its text, as the database takes them."""

    __slots__ = ("_conn", "_parameters")

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._parameters: list[Any] | None = [] if conn.dialect.name == "sqlite" else None

    def values(self, values: Sequence[Any]) -> list[str]:
        """What stands for these values in the text."""
        if self._parameters is None:
            return [LITERALS[type(value)](value) for value in values]
        self._parameters += map(_plain, values)
        return ["?"] * len(values)

    def execute(self, text: str) -> Sequence[Any]:
        """Execute it; the rows that it returns, if it returns any."""
        if self._parameters is None:
            result = self._conn.exec_driver_sql(text, execution_options={"no_parameters": True})
        else:
            result = self._conn.exec_driver_sql(text, tuple(self._parameters))
        return result.all() if result.returns_rows else ()


def _plain(value: Any) -> Any:
    """A value as SQLite's driver takes it."""
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, dict | list):
        return json_text(value)
    return storable(value) if isinstance(value, str) else value


def _on_conflict(conn: Connection, assignments: str) -> str:
    return f" ON DUPLICATE KEY UPDATE {assignments}" if conn.dialect.name != "sqlite" else ""


def _name(conn: Connection, name: str) -> str:
    return conn.dialect.identifier_preparer.quote(name)


class _Listed(UserDefinedType[Sequence[Any]]):
    """A list that is written into the statement when it is executed; it is compiled once for all lists."""

    cache_ok = True

    def literal_processor(self, dialect: Dialect) -> Callable[[Sequence[Any]], str]:
        # A text as its bytes: no quote and no percent sign in it means anything.
        as_text = "CAST(x'{}' AS TEXT)" if dialect.name == "sqlite" else "_utf8mb4 x'{}'"
        writers: dict[type, Callable[[Any], str]] = {
            str: lambda text: as_text.format(text.encode().hex()),
            int: LITERALS[int],
            bytes: LITERALS[bytes],
        }
        # Rows locked in one order do not deadlock.
        return lambda values: (
            f"({', '.join([writers[type(value)](value) for value in sorted(set(values))]) or 'NULL'})"
        )


_LISTED = _Listed()


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column IN` what is given as parameter `name`, in any order: int, bytes or storable str, nothing else.

    SQLAlchemy's `in_` makes an object and a parameter of each value, and PyMySQL a text of each parameter:
    together they cost more than most of what is asked with them.
    """
    return column.bool_op("IN")(bindparam(name, type_=_LISTED, literal_execute=True))


def distinct(values: Iterable[Any]) -> list[Any]:
    """The values once each, sorted: rows locked in one order do not deadlock."""
    return sorted(set(values))


#: Longer texts are not remembered: what repeats in a batch are words like "Outlet".
_SHORT = 64


def moment_text(moment: datetime) -> str:
    """UTC, cut to milliseconds: as both databases take it."""
    whole = moment.microsecond // 1000 * 1000
    cut = moment.astimezone(UTC).replace(tzinfo=None, microsecond=whole)
    return cut.isoformat(" ", "microseconds")


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


def json_text(value: Any) -> str:
    return json.dumps(storable_tree(value), default=str)


def _quoted(text: str) -> str:
    return f"'{escape_string(storable(text))}'"


_quoted_word = lru_cache(maxsize=8192)(_quoted)


def _text(text: str) -> str:
    return _quoted_word(text) if len(text) < _SHORT else _quoted(text)


@lru_cache(maxsize=1024)
def _moment(moment: datetime) -> str:
    return f"'{moment_text(moment)}'"


class _Literals(dict[type, Callable[[Any], str]]):
    """Type → how its values are written; a subclass as its base."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        for base in kind.__mro__[1:]:
            if base in self:
                return self[base]
        raise TypeError(f"{kind.__name__} has no form in SQL here")


LITERALS = _Literals(
    {
        type(None): lambda _: "NULL",
        bool: lambda value: "1" if value else "0",
        int: int.__repr__,
        str: _text,
        bytes: lambda value: f"x'{value.hex()}'",
        datetime: _moment,
        Decimal: lambda value: format(value, "f"),
        float: float.__repr__,
        dict: lambda value: _quoted(json_text(value)),
        list: lambda value: _quoted(json_text(value)),
    }
)
