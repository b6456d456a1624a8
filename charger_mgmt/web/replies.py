"""Shaping answers: JSON, timestamps, exact numbers, links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec
from flask import Response

from ..database.bulk import storable
from ..trees import mapped

T = TypeVar("T")

#: The media type of Lines.
LINES = "application/x-ndjson"

#: The header of an answer that is about a call to a charger.
RELATED = {"Link": 'rel="related": the command\'s record.'}
#: The header of an answer about something new.
LOCATION = {"Location": "The address of what has been created."}


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """A view's answer, where there is more to it than its value; without a status it has the first that is declared."""

    value: T
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lines:
    """An answer of any length: JSON values, one a line, sent as they are made."""

    lines: Iterator[bytes]


def respond(value: Any, status: int, headers: Mapping[str, str]) -> Response:
    """The answer with this value as JSON; None is one without a body."""
    if value is None:
        return Response(status=status, headers=headers)
    if isinstance(value, Lines):
        return Response(value.lines, status, headers=headers, content_type=LINES)
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a charger's text with half a character in it
        data = msgspec.json.encode(_encodable(value))
    return Response(data, status, headers=headers, content_type="application/json")


def time_text(moment: datetime | None) -> str | None:
    """UTC with milliseconds, as RFC 3339: 2025-03-30T12:00:00.000Z."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def command_href(identity: str, command_id: int) -> str:
    return f"/api/chargers/{quote(identity, safe='')}/commands/{command_id}"


def command_link(identity: str, command_id: int) -> dict[str, str]:
    """The Link header to the command that an answer is about."""
    return {"Link": f'<{command_href(identity, command_id)}>; rel="related"'}


def _encodable(value: Any) -> Any:
    return mapped(
        value, _encodable_leaf, lambda tree: ((storable(name), item) for name, item in tree.items())
    )


def _encodable_leaf(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return type(value)(*map(_encodable, msgspec.structs.astuple(value)))
    return storable(value) if isinstance(value, str) else value
