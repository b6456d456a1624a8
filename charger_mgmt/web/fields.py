"""What a field of a request may hold: said once, for whoever reads it and for the document.

A field stands in a Struct as `Annotated[<what the view gets>, <one of the Metas below>]`. For what msgspec has no words for
the Meta carries a reader: a function that takes what was sent and gives the view's value, or raises ValueError with
a sentence without a subject ("must be a string"). Fields without one are read by their type: `int` with its `ge` and
`le`, `bool`, `datetime`.

Extensions that openapi.py understands: `x-component` and `x-parameter` (the name under which the document has the
schema, or the whole parameter), `x-instead` (the schema, where it is not that of the type).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Annotated, Any, TypeAlias

from msgspec import Meta

from ..domain import identities
from ..domain.authorisation import tag_problem
from ..errors import NotFound

Reader: TypeAlias = Callable[[Any], Any]

#: What a connectorId and the like may be at most, where nothing else is said.
LARGEST = 2**31 - 1
#: Texts as the document has them; `read_text` says the same in sentences.
_NAME = r"^[^\s\u0085\u0000-\u001f\u007f]([^\u0000-\u001f\u007f]*[^\s\u0085\u0000-\u001f\u007f])?$"
_PROSE = r"^[^\u0000-\u001f\u007f]+$"
_ID_TAG = r"^(?!\.{1,2}$)[!-~]([ -~]{0,18}[!-~])?$"
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_MOST_CHARGERS = 1000
_ROW_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,12}))?([Zz]|[-+ ][0-9]{2}:[0-9]{2})?"
)


def about(description: str, **more: Any) -> Meta:
    """What is to be known of a field, or of a part of a path."""
    return Meta(description=description, **more)


def meta(
    read: Reader,
    *,
    instead: dict[str, Any] | None = None,
    parameter: str | None = None,
    secret: bool = False,
    **more: Any,
) -> Meta:
    """A field that `read` reads; `instead` is its schema, `parameter` its name among the document's parameters.

    What is `secret` is kept nowhere as it came.
    """
    extensions = {"x-instead": instead, "x-parameter": parameter}
    schema = {name: value for name, value in extensions.items() if value is not None}
    return Meta(extra={"read": read, "secret": secret}, extra_json_schema=schema, **more)


def text(
    longest: int = 255,
    *,
    blanks: bool = False,
    pattern: str | None = None,
    then: Reader | None = None,
    **more: Any,
) -> Meta:
    """A string without control characters; `blanks` allows blanks at its ends, `then` reads what it says."""
    read = partial(read_text, longest=longest, blanks=blanks, then=then)
    pattern = pattern or (_PROSE if blanks else _NAME)
    return meta(read, min_length=1, max_length=longest, pattern=pattern, **more)


def choice(words: Sequence[str], component: str | None = None, **more: Any) -> Meta:
    """One of a few words; `component` names them in the document."""
    named = {} if component is None else {"x-component": component}
    return Meta(
        extra={"read": partial(_read_choice, words=tuple(words))},
        extra_json_schema={"enum": list(words)} | named,
        **more,
    )


def coordinate(most: int) -> Meta:
    """A geographic coordinate, read exactly and kept to six decimals."""
    return meta(partial(_read_degrees, most=most), ge=-most, le=most)


def read_text(value: Any, *, longest: int, blanks: bool = False, then: Reader | None = None) -> Any:
    """Some databases count "A" and "A " as equal, others do not: names have no blanks at their ends."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not 1 <= len(value) <= longest:
        raise ValueError(f"must have 1 to {longest} characters")
    if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise ValueError("must not contain control characters")
    if value != value.strip() and not blanks:
        raise ValueError("must not begin or end with a blank")
    return value if then is None else then(value)


def read_whole(value: Any, *, least: int, most: int) -> int:
    """In a body a JSON integer, never 1.0 or "1"."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return value


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def read_moment(value: Any) -> datetime:
    """An RFC 3339 timestamp with its zone, as aware UTC."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a timestamp like 2025-03-30T12:00:00Z")
    day, time, fraction, zone = match.groups()
    if zone is None:
        raise ValueError("says no time zone: end it with Z or an offset like +02:00")
    try:
        # An unescaped + in a query arrives as a blank.
        moment = datetime.fromisoformat(
            f"{day}T{time}.{(fraction or '0')[:6]:0<6}{zone.replace(' ', '+').upper()}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a time that exists") from None
    if moment.year < 1000:
        raise ValueError("must not lie before the year 1000")
    return moment


def spelled_whole(value: str) -> int | str:
    """The number that a query's text spells; what spells none is left for `read_whole` to refuse."""
    return int(value) if _WHOLE.fullmatch(value) else value


def spelled_flag(value: str) -> bool | str:
    return {"true": True, "false": False}.get(value, value)


def _read_id_tag(text: str) -> str:
    if (problem := tag_problem(text)) is not None:
        raise ValueError(problem)
    return text


def _read_choice(value: Any, *, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ValueError(f"must be one of {', '.join(words)}")
    return str(value)


def _read_milliwatt_hours(value: Any) -> int:
    number = Decimal(str(value)) if type(value) in (int, float) else Decimal("NaN")
    if not number.is_finite() or not 0 < number <= 1_000_000:
        raise ValueError("must be a number of kWh above 0, up to 1000000")
    return max(1, int(number * 1_000_000))


def _read_country(code: str) -> str:
    if not _COUNTRY.fullmatch(code):
        raise ValueError("must be an ISO 3166 code of two capital letters")
    return code


def _read_charger_ids(value: Any) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_CHARGERS:
        raise ValueError(f"must be a list of 1 to {_MOST_CHARGERS} chargers")
    return list(dict.fromkeys(identities.from_json(each) for each in value))


def _read_row_id(segment: str) -> int:
    if not _ROW_ID.fullmatch(segment):
        raise NotFound(f"There is no {segment[:40]!r}.")
    return int(segment)


def _read_degrees(value: Any, *, most: int) -> float:
    try:
        number = Decimal(str(value)) if type(value) in (int, float) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not -most <= number <= most:
        raise ValueError(f"must be a number from {-most} to {most}")
    return float(round(number, 6))


KilowattHours = Annotated[
    int,
    meta(
        _read_milliwatt_hours,
        instead={"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
        description="In kWh, to six decimals.",
    ),
]
Minutes = Annotated[int, Meta(ge=1, le=525_600)]
Name = Annotated[str, text()]
Country = Annotated[
    str,
    text(
        then=_read_country,
        instead={"type": "string", "pattern": "^[A-Z]{2}$"},
        description="ISO 3166-1 alpha-2.",
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
IdTag = Annotated[str, text(20, pattern=_ID_TAG, then=_read_id_tag)]
ConnectorFilter = Annotated[int, Meta(ge=0, le=LARGEST, description="Only this connector.")]
SiteFilter = Annotated[int, Meta(ge=1, le=LARGEST, description="Only at this site.")]
Measurand = Annotated[
    str, text(64, parameter="measurand", description="Only this measurand, as Energy.Active.Import.Register.")
]
ChargerIds = Annotated[
    list[str],
    meta(
        _read_charger_ids,
        instead={
            "type": "array",
            "items": {"type": ["string", "integer"]},
            "minItems": 1,
            "maxItems": _MOST_CHARGERS,
        },
        description="Identities of chargers.",
    ),
]
#: The segment of a path that is a number of ours.
RowId = Annotated[int, meta(_read_row_id, description="Our number for it.")]
#: The segment of a path that names a charger.
ChargerName = Annotated[
    str,
    about(
        "The charger's identity, percent-encoded.",
        examples=["1", "CP001"],
        extra_json_schema={"x-parameter": "chargerId"},
    ),
]
