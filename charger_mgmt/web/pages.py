"""Pages of lists: what their queries have in common, and the Link header to the next one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

from flask import request
from msgspec import Meta, field

from .fields import Moment, Reader, about, meta, read_text, text
from .paths import as_it_came
from .reading import Sent
from .replies import Reply

Row = TypeVar("Row")
Shown = TypeVar("Shown")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: A part of a cursor.
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
#: What stands in a path that came over the wire: escapes stay as they are.
_IN_PATH = "/%!$&'()*+,;=:@~"
_LONGEST_CURSOR = 1000

#: The header of an answer that may have a next page.
NEXT = {"Link": 'rel="next": the next page, while there is one.'}


def page(
    rows: Sequence[Row], limit: int, shape: Callable[[Row], Shown], key: Callable[[Row], Sequence[Any]]
) -> Reply[list[Shown]]:
    """A plain list of at most `limit` rows; a row more means a Link header to the next page.

    `key` gives the parts of a row's cursor.
    """
    shown = rows[:limit]
    more = len(rows) > limit
    return Reply([shape(row) for row in shown], headers=next_link(key(shown[-1])) if more else {})


def next_link(key: Sequence[Any]) -> dict[str, str]:
    """The Link header to this query's next page."""
    arguments = request.args.to_dict() | {"cursor": ".".join(str(part) for part in key)}
    return {"Link": f'<{quote(as_it_came(), safe=_IN_PATH)}?{urlencode(arguments)}>; rel="next"'}


def milliseconds(moment: datetime) -> int:
    """A moment as a part of a cursor."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _numbers(cursor: Any, count: int) -> list[int]:
    parts = read_text(cursor, longest=_LONGEST_CURSOR).split(".")
    if len(parts) != count or not all(_WHOLE.fullmatch(part) for part in parts):
        raise ValueError("is not one of ours; take it from a Link header")
    return [int(part) for part in parts]


def _read_id(cursor: Any) -> int:
    return _numbers(cursor, 1)[0]


def _read_start(cursor: Any) -> tuple[datetime, int]:
    since, number = _numbers(cursor, 2)
    try:
        return _EPOCH + timedelta(milliseconds=since), number
    except OverflowError:
        raise ValueError("is out of range") from None


def _cursor(read: Reader, part: str, parameter: str) -> Meta:
    schema = {"type": "string", "minLength": 1, "maxLength": _LONGEST_CURSOR, "pattern": f"^{part}$"}
    return meta(read, instead=schema, parameter=parameter, description=_WHERE)


_WHERE = "Where the page begins: take it from the Link header of the page before."
#: A row's id, a moment with a row's id, a name: what the rows are ordered by.
IdCursor = Annotated[int, _cursor(_read_id, "(0|[1-9][0-9]{0,17})", "cursor")]
StartCursor = Annotated[
    tuple[datetime, int], _cursor(_read_start, r"(0|[1-9][0-9]{0,13})\.(0|[1-9][0-9]{0,17})", "timeCursor")
]
NameCursor = Annotated[str, text(_LONGEST_CURSOR, parameter="nameCursor", description=_WHERE)]
Limit = Annotated[
    int,
    Meta(
        ge=1,
        le=1000,
        description="Rows per page, at most: a page whose texts are long ends sooner.",
        extra_json_schema={"x-parameter": "limit"},
    ),
]


class Period(Sent):
    """A half-open span of time, either end of which may be missing."""

    since: Annotated[
        Moment | None, about("The first moment, RFC 3339.", extra_json_schema={"x-parameter": "from"})
    ] = field(default=None, name="from")
    until: Annotated[
        Moment | None,
        about(
            "The end; this moment does not belong to it any more. It must not lie before from.",
            extra_json_schema={"x-parameter": "to"},
        ),
    ] = field(default=None, name="to")

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> dict[str, str]:
        since, until = values.get("since"), values.get("until")
        return {"to": "must not lie before from"} if since and until and since > until else {}


class Journal(Period):
    """A list that grows at its top."""

    limit: Limit = 100
    cursor: IdCursor | None = None
