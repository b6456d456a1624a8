"""Plain Python values as SQL literals of MySQL and MariaDB.

PyMySQL writes its parameters into the statement's text as well, but looks at each of them through six
function calls; in a batch of a thousand rows that is most of the work. The escaping of texts is its own.
It holds for every `sql_mode` without NO_BACKSLASH_ESCAPES; database/engine.py sets the mode of each connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pymysql.converters import escape_string

from ..clock import cut_to_milliseconds

#: Longer texts are not remembered: what repeats in a batch are words like "Outlet".
_SHORT = 64


def moment_text(moment: datetime) -> str:
    """UTC, cut to milliseconds: as both databases take it."""
    cut = cut_to_milliseconds(moment.astimezone(UTC)).replace(tzinfo=None)
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
