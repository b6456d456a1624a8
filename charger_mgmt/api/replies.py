"""Shaping answers: JSON, timestamps, and pages with a cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response, request

from ..errors import InvalidInput


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers=headers, content_type="application/json")


def time_text(moment: datetime | None) -> str | None:
    """UTC with milliseconds, as RFC 3339: 2025-03-30T12:00:00.000Z."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def page(rows: list[dict[str, Any]], next_key: Sequence[Any] | None) -> Response:
    """A plain list; while there is more, a Link header with rel="next"."""
    headers = None
    if next_key is not None:
        arguments = request.args.to_dict() | {"cursor": cursor_text(next_key)}
        headers = {"Link": f'<{request.path_info}?{urlencode(arguments)}>; rel="next"'}
    return reply(rows, headers=headers)


def cursor_text(key: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def read_cursor(text: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The key inside a cursor, its parts of these types. Raises InvalidInput naming the field."""
    if text is None:
        return None
    try:
        key = msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        key = None
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise InvalidInput(
            "cursor: is not one of ours", {"cursor": "is not one of ours; take it from a Link header"}
        )
    if any(type(part) is int and not 0 <= part < 2**63 for part in key):
        raise InvalidInput("cursor: is not one of ours", {"cursor": "is out of range"})
    return tuple(key)
