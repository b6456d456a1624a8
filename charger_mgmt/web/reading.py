"""Reading what a client sent into the Struct that a view asks for: strict, and every bad field named in one answer.

msgspec ends at the first error it finds, so each field is read by itself, by the reader that its type names (fields.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import islice
from typing import Any, NamedTuple

import gevent
import msgspec
from flask import request
from gunicorn.http.errors import ParseException
from msgspec import UNSET, inspect
from werkzeug.exceptions import BadRequest, RequestTimeout, UnsupportedMediaType

from ..errors import InvalidInput
from . import fields
from .fields import Reader
from .process import serving

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

    def shown(self) -> dict[str, Any]:
        """What was sent, by the names it was sent by, as it may be kept: without secrets."""
        return {
            sent_as: "***" if name in _secrets(type(self)) and value is not None else value
            for name, sent_as in zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
            if (value := getattr(self, name)) is not UNSET
        }


@cache
def _secrets(kind: type[Sent]) -> frozenset[str]:
    """The fields that nobody may ever read again (`secret`, see fields.text)."""
    about = inspect.type_info(kind)
    assert isinstance(about, inspect.StructType)
    return frozenset(each.name for each in about.fields if _is_secret(each.type))


def _is_secret(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(map(_is_secret, kind.types))
    return isinstance(kind, inspect.Metadata) and (
        bool((kind.extra or {}).get("secret")) or _is_secret(kind.type)
    )


class Nothing(Sent):
    """A query or body without a field."""


class _Field(NamedTuple):
    name: str
    sent_as: str
    required: bool
    null: bool
    read: Reader


def segment(kind: Any) -> Reader:
    """How a segment of a path is read: by its type's reader, else as it is."""
    about = inspect.type_info(kind)
    extra = about.extra if isinstance(about, inspect.Metadata) else None
    read: Reader = (extra or {}).get("read", str)
    return read


def struct(kind: Any, *, spelled: bool) -> Reader:
    """How a body or (`spelled`: every value comes as text) a query is read: as this Struct, or as it is for any other type.

    The reader raises InvalidInput. Raises TypeError itself for a Struct with a field that nobody can read.
    """
    if not (isinstance(kind, type) and issubclass(kind, Sent)):
        return lambda sent: sent
    about = inspect.type_info(kind)
    assert isinstance(about, inspect.StructType)
    known = [
        _Field(each.name, each.encode_name, each.required, *_reader(each.type, spelled=spelled))
        for each in about.fields
    ]
    known.sort(key=lambda field: not field.required)
    return partial(_read, kind, known)


def parameters() -> dict[str, str]:
    """The query's parameters, each at most once. Raises InvalidInput."""
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise InvalidInput("A parameter is given twice.", dict.fromkeys(repeated, "is given more than once"))
    return request.args.to_dict()


def json_object(*, optional: bool) -> dict[str, Any]:
    """The request's JSON object; `optional`: no body at all is `{}`. Raises InvalidInput, UnsupportedMediaType (415)."""
    if optional and not _data():
        return {}
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


def _reader(kind: inspect.Type, *, spelled: bool) -> tuple[bool, Reader]:
    """Whether null is a value of this type, and how the others are read."""
    null = False
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.UnionType):
            null = True
            (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
        elif kind.extra and "read" in kind.extra:
            return null, kind.extra["read"]
        else:
            kind = kind.type
    match kind:
        case inspect.IntType(ge=int(least), le=int(most)):
            read = partial(fields.read_whole, least=least, most=most)
            return null, (lambda text: read(fields.spelled_whole(text))) if spelled else read
        case inspect.BoolType():
            flag = fields.read_flag
            return null, (lambda text: flag(fields.spelled_flag(text))) if spelled else flag
        case inspect.DateTimeType():
            return null, fields.read_moment
    raise TypeError(f"nothing says how a field of the type {kind} is read")


def _read(kind: type[Sent], known: Sequence[_Field], sent: Mapping[str, Any]) -> Sent:
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


def _data() -> bytes:
    """The whole body. Raises BadRequest (400) when its framing is broken, RequestTimeout (408): nobody may hold a
    connection by never ending it.
    """
    waiting = serving().waiting
    with waiting.for_body(RequestTimeout), gevent.Timeout(BODY_SECONDS, RequestTimeout(_LATE)):
        try:
            return request.get_data()
        except ParseException as error:
            raise BadRequest(f"The body is broken: {error}"[:200]) from None
