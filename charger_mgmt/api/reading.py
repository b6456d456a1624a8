"""Reading what a client sent into the Struct that a view asks for: strict, and every bad field named in one answer.

msgspec ends at the first error it finds, so each field is read by itself, by the reader that its type names (fields.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import gevent
import msgspec
from flask import current_app, request
from gunicorn.http.errors import ParseException
from msgspec import inspect
from werkzeug.exceptions import BadRequest, RequestTimeout, UnsupportedMediaType

from ..errors import InvalidInput
from . import fields
from .fields import Reader

#: How long a body may take to arrive.
BODY_SECONDS = 10.0
_LATE = "The body did not arrive in time."
#: Unknown fields that are named in an answer.
_MOST_UNKNOWN = 50


class Sent(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a request's body or query may say. A field that may be null says so in its type; UNSET is one not sent."""

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with these good values together, by the name that was sent."""
        return {}


class Nothing(Sent):
    """A query or body without a field."""


T = TypeVar("T", bound=Sent)


class _Field(NamedTuple):
    name: str
    sent_as: str
    required: bool
    null: bool
    read: Reader


def query(kind: type[T]) -> T:
    """The query's parameters, each at most once. Raises InvalidInput."""
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise InvalidInput("A parameter is given twice.", dict.fromkeys(repeated, "is given more than once"))
    return _read(kind, request.args.to_dict(), spelled=True)


def body(kind: Any, *, optional: bool) -> Any:
    """The request's JSON object as a Struct, or as it is for a `kind` that is none: a schema will check it.

    `optional`: no body at all is `{}`. Raises InvalidInput, UnsupportedMediaType (415).
    """
    sent = {} if optional and not _data() else _json_object()
    is_struct = isinstance(kind, type) and issubclass(kind, Sent)
    return _read(kind, sent, spelled=False) if is_struct else sent


def _json_object() -> dict[str, Any]:
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        value = msgspec.json.decode(_data())
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("The body is nested too deeply.") from None
    if not isinstance(value, dict):
        raise InvalidInput("The body must be a JSON object.")
    return value


def reader(kind: inspect.Type, *, spelled: bool = False) -> tuple[Reader, bool]:
    """How values of a type are read, and whether null is one; `spelled`: numbers and flags come as text."""
    null = False
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.UnionType):
            null = True
            (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
        elif kind.extra and "read" in kind.extra:
            return kind.extra["read"], null
        else:
            kind = kind.type
    match kind:
        case inspect.IntType(ge=int(least), le=int(most)):
            read = partial(fields.read_whole, least=least, most=most)
            return (lambda value: read(fields.spelled_whole(value))) if spelled else read, null
        case inspect.BoolType():
            flag = fields.read_flag
            return (lambda value: flag(fields.spelled_flag(value))) if spelled else flag, null
        case inspect.DateTimeType():
            return fields.read_moment, null
    raise TypeError(f"nothing says how a field of the type {kind} is read")


def _read(kind: type[T], sent: Mapping[str, Any], *, spelled: bool) -> T:
    known = _fields(kind, spelled)
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in known:
        try:
            if field.sent_as in sent:
                values[field.name] = _value(field, sent[field.sent_as])
            elif field.required:
                raise ValueError("is missing")
        except ValueError as error:
            wrong[field.sent_as] = str(error)
    wrong |= kind.contradictions(values)
    names = sorted(field.sent_as for field in known)
    for name in islice((name for name in sent if name not in names), _MOST_UNKNOWN):
        wrong[name[:100]] = f"is not known here; known: {', '.join(names) or 'none'}"
    if wrong:
        first, message = next(iter(wrong.items()))
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InvalidInput(f"{first}: {message}{more}", wrong)
    return kind(**values)


def _value(field: _Field, sent: Any) -> Any:
    if sent is not None:
        return field.read(sent)
    if not field.null:
        raise ValueError("must not be null")
    return None


@cache
def _fields(kind: type[Sent], spelled: bool) -> tuple[_Field, ...]:
    """The fields of a Struct, the required ones first."""
    about = inspect.type_info(kind)
    assert isinstance(about, inspect.StructType)
    every = []
    for field in about.fields:
        read, null = reader(field.type, spelled=spelled)
        every.append(_Field(field.name, field.encode_name, field.required, null, read))
    return tuple(sorted(every, key=lambda field: not field.required))


def _data() -> bytes:
    """The whole body. Raises BadRequest (400) when its framing is broken, RequestTimeout (408): nobody may hold a
    connection by never ending it.
    """
    waiting = current_app.extensions["gateway"].waiting
    with waiting.for_body(RequestTimeout), gevent.Timeout(BODY_SECONDS, RequestTimeout(_LATE)):
        try:
            return request.get_data()
        except ParseException as error:
            raise BadRequest(f"The body is broken: {error}"[:200]) from None
