"""Shaping answers: JSON, timestamps, links, and pages with a cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from flask import Response, request

from ..errors import InvalidInput
from ..store.bulk import storable
from .paths import as_it_came

#: A part of a cursor.
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
#: What stands in a path that came over the wire: escapes stay as they are.
_IN_PATH = "/%!$&'()*+,;=:@~"


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a charger's text with half a character in it
        data = msgspec.json.encode(_encodable(value))
    return Response(data, status, headers=headers, content_type="application/json")


def time_text(moment: datetime | None) -> str | None:
    """UTC with milliseconds, as RFC 3339: 2025-03-30T12:00:00.000Z."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def page(
    rows: Sequence[Any],
    limit: int,
    shape: Callable[[Any], dict[str, Any]],
    key: Callable[[Any], Sequence[Any]],
) -> Response:
    """A plain list of at most `limit` rows; a row more means a Link header to the next page.

    `key` gives the parts of a row's cursor.
    """
    if len(rows) <= limit:
        return reply([shape(row) for row in rows])
    shown = rows[:limit]
    return reply([shape(row) for row in shown], headers=next_link(key(shown[-1])))


def next_link(key: Sequence[Any]) -> dict[str, str]:
    """The Link header to this query's next page."""
    arguments = request.args.to_dict() | {"cursor": _cursor_text(key)}
    return {"Link": f'<{quote(as_it_came(), safe=_IN_PATH)}?{urlencode(arguments)}>; rel="next"'}


def command_href(identity: str, command_id: int) -> str:
    return f"/api/chargers/{quote(identity, safe='')}/commands/{command_id}"


def command_link(identity: str, command_id: int) -> dict[str, str]:
    """The Link header to the command that an answer is about."""
    return {"Link": f'<{command_href(identity, command_id)}>; rel="related"'}


def read_cursor(text: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The key inside a cursor: a text, or whole numbers with points between. Raises InvalidInput naming the field."""
    if text is None:
        return None
    if kinds == (str,):
        return (text,)
    parts = text.split(".")
    if len(parts) != len(kinds) or not all(_WHOLE.fullmatch(part) for part in parts):
        raise _bad_cursor()
    return tuple(int(part) for part in parts)


def _bad_cursor() -> InvalidInput:
    message = "is not one of ours; take it from a Link header"
    return InvalidInput(f"cursor: {message}", {"cursor": message})


def _cursor_text(key: Sequence[Any]) -> str:
    return ".".join(str(part) for part in key)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): _encodable(item) for key, item in value.items()}
    return value
