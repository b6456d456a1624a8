"""Reading what a client sent: strict, and every bad field is named in one answer.

    with body() as given:
        tag = given.text("idTag", longest=20)
        limit = given.whole("maxActiveTransactions", default=None, least=1)

The block's end raises InvalidInput with all that was wrong in it, fields nobody asked for included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from types import TracebackType
from typing import Any

import gevent
import msgspec
from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, RequestTimeout, UnsupportedMediaType

from ..errors import InvalidInput
from .central import process

#: Stands for "must be there" and, in a result, for "was not there".
MISSING: Any = type("Missing", (), {"__bool__": lambda self: False, "__repr__": lambda self: "MISSING"})()

#: How long a body may take to arrive.
BODY_SECONDS = 10.0
_LATE = "The body did not arrive in time."
#: Unknown fields that are named in an answer.
_MOST_UNKNOWN = 50
_CANONICAL = re.compile(r"0|[1-9][0-9]{0,8}")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,12}))?([Zz]|[-+ ][0-9]{2}:[0-9]{2})?"
)


def body() -> Fields:
    """The request's JSON object. Raises InvalidInput, UnsupportedMediaType (415)."""
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise UnsupportedMediaType("Send the body as application/json.")
    return Fields(_object(_data()), typed=True)


def optional_body() -> Fields:
    """As `body`, but no body at all is an empty object."""
    return body() if _data() else Fields({}, typed=True)


def json_object() -> dict[str, Any]:
    """The body's JSON object as it is, for payloads that a schema will check. No body: `{}`."""
    return optional_body().values


def query() -> Fields:
    """The query's parameters, each at most once."""
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise InvalidInput("A parameter is given twice.", dict.fromkeys(repeated, "is given more than once"))
    return Fields(request.args.to_dict(), typed=False)


def period(given: Fields) -> tuple[datetime | None, datetime | None]:
    """The query's `from` and `to`: a half-open span of time, either end of which may be missing."""
    since, until = given.moment("from", default=None), given.moment("to", default=None)
    if since and until and since > until:
        given.wrong("to", "must not lie before from")
    return since, until


def whole_id(text: str) -> int | None:
    """The number that a segment of a path spells, in the one spelling that it has: 65, never 065."""
    return int(text) if _CANONICAL.fullmatch(text) else None


def _data() -> bytes:
    """The whole body. Raises BadRequest (400) when its framing is broken, RequestTimeout (408): nobody may hold a
    connection by never ending it.
    """
    waiting = process().gateway.waiting
    with waiting.for_body(RequestTimeout), gevent.Timeout(BODY_SECONDS, RequestTimeout(_LATE)):
        try:
            return request.get_data()
        except ParseException as error:
            raise BadRequest(f"The body is broken: {error}"[:200]) from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("The body is nested too deeply.") from None
    if not isinstance(value, dict):
        raise InvalidInput("The body must be a JSON object.")
    return value


class Fields:
    """Named values, read one by one; a bad one is noted and the block's end raises InvalidInput."""

    def __init__(self, values: Mapping[str, Any], *, typed: bool) -> None:
        self.values = dict(values)
        self._typed = typed
        self._asked: set[str] = set()
        self._errors: dict[str, str] = {}

    def __enter__(self) -> Fields:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise InvalidInput for all that was wrong so far, fields nobody asked for included."""
        for name in islice(self.values.keys() - self._asked, _MOST_UNKNOWN):
            self._errors[name[:100]] = f"is not known here; known: {', '.join(sorted(self._asked)) or 'none'}"
        if self._errors:
            first, message = next(iter(self._errors.items()))
            more = f" (and {len(self._errors) - 1} more)" if len(self._errors) > 1 else ""
            raise InvalidInput(f"{first}: {message}{more}", self._errors)

    def has(self, name: str) -> bool:
        """Whether the field was sent; from now on it counts as known."""
        self._asked.add(name)
        return name in self.values

    def wrong(self, name: str, message: str) -> Any:
        """Note what is wrong with a field; the value to go on with is None."""
        self._errors.setdefault(name, message)
        return None

    def text(
        self,
        name: str,
        *,
        default: Any = MISSING,
        longest: int = 255,
        shortest: int = 1,
        null: bool = False,
        blanks: bool = False,
    ) -> Any:
        """A string without control characters. `null` allows JSON null, `blanks` blanks at the ends.

        Some databases count "A" and "A " as equal, others do not: names have none.
        """
        value, given = self._take(name, default, null)
        if not given:
            return value
        if not isinstance(value, str):
            return self.wrong(name, "must be a string")
        if not shortest <= len(value) <= longest:
            return self.wrong(name, f"must have {shortest} to {longest} characters")
        if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in value):
            return self.wrong(name, "must not contain control characters")
        if value != value.strip() and not blanks:
            return self.wrong(name, "must not begin or end with a blank")
        return value

    def choice(self, name: str, allowed: Iterable[str], *, default: Any = MISSING, null: bool = False) -> Any:
        value, given = self._take(name, default, null)
        if given and value not in (allowed := tuple(allowed)):
            return self.wrong(name, f"must be one of {', '.join(allowed)}")
        return value

    def whole(
        self, name: str, *, default: Any = MISSING, least: int = 0, most: int = 2**31 - 1, null: bool = False
    ) -> Any:
        """A whole number; in a body a JSON integer, never 1.0 or "1"."""
        value, given = self._take(name, default, null)
        if not given:
            return value
        if not self._typed and _WHOLE.fullmatch(value):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            return self.wrong(name, f"must be a whole number from {least} to {most}")
        return value

    def number(self, name: str, *, least: int, most: int, default: Any = MISSING, null: bool = False) -> Any:
        """A decimal number of the body, as Decimal."""
        value, given = self._take(name, default, null)
        if not given:
            return value
        try:
            number = Decimal(str(value)) if type(value) in (int, float) else Decimal("NaN")
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or not least <= number <= most:
            return self.wrong(name, f"must be a number from {least} to {most}")
        return number

    def flag(self, name: str, *, default: Any = MISSING, null: bool = False) -> Any:
        value, given = self._take(name, default, null)
        if not given:
            return value
        if not self._typed:
            value = {"true": True, "false": False}.get(value)
        return value if isinstance(value, bool) else self.wrong(name, "must be true or false")

    def moment(self, name: str, *, default: Any = MISSING, null: bool = False) -> Any:
        """An RFC 3339 timestamp with its zone, as aware UTC."""
        value, given = self._take(name, default, null)
        if not given:
            return value
        match = _TIME.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return self.wrong(name, "must be a timestamp like 2025-03-30T12:00:00Z")
        day, time, fraction, zone = match.groups()
        if zone is None:
            return self.wrong(name, "says no time zone: end it with Z or an offset like +02:00")
        try:
            # An unescaped + in a query arrives as a blank.
            moment = datetime.fromisoformat(
                f"{day}T{time}.{(fraction or '0')[:6]:0<6}{zone.replace(' ', '+').upper()}"
            ).astimezone(UTC)
        except (ValueError, OverflowError):
            return self.wrong(name, "is not a time that exists")
        return moment if moment.year >= 1000 else self.wrong(name, "must not lie before the year 1000")

    def _take(self, name: str, default: Any, null: bool) -> tuple[Any, bool]:
        """The raw value and whether there is one to check."""
        if not self.has(name):
            return (self.wrong(name, "is missing"), False) if default is MISSING else (default, False)
        value = self.values[name]
        if value is None:
            return (None, False) if null else (self.wrong(name, "must not be null"), False)
        return value, True
