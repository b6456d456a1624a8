"""Shaping answers: JSON, timestamps, links, and pages with a cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from flask import Response, request

from ..errors import InvalidInput
from ..store.bulk import storable
from .paths import as_it_came

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
    """The key inside a cursor, its parts of these types. Raises InvalidInput naming the field."""
    if text is None:
        return None
    try:
        key = msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        key = None
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise _bad_cursor()
    if any(type(part) is int and not 0 <= part < 2**63 for part in key):
        raise _bad_cursor()
    return tuple(key)


def _bad_cursor() -> InvalidInput:
    message = "is not one of ours; take it from a Link header"
    return InvalidInput(f"cursor: {message}", {"cursor": message})


def _cursor_text(key: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): _encodable(item) for key, item in value.items()}
    return value
