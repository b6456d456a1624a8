"""The published JSON schemas of OCPP 1.6, compiled once, and what their errors mean on the wire.

The schema files are those of the package `ocpp`; nothing of its code is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema_rs

from ...ocppj import errors
from .. import Violation


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of a schema. `path` leads to the field that is meant, also when it is the missing one."""

    code: str
    path: tuple[str | int, ...]
    message: str
    #: The schema's keyword ("type", "required", "enum", …) and its arguments.
    keyword: str
    arguments: dict[str, Any]

    @property
    def pointer(self) -> str:
        """The field as a JSON pointer (RFC 6901); "" is the whole payload."""
        return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in self.path)

    def violation(self) -> Violation:
        return Violation(self.code, f"{self.pointer.lstrip('/') or 'the payload'} {self.message}"[:255])


#: Keyword → error code (section 1.5 of our rules). What is not here is a value that is not allowed.
_CODES = {
    "type": errors.TYPE_CONSTRAINT_VIOLATION,
    "required": errors.OCCURENCE_CONSTRAINT_VIOLATION,
    "minItems": errors.OCCURENCE_CONSTRAINT_VIOLATION,
    "additionalProperties": errors.FORMATION_VIOLATION,
}
#: When a payload has several faults, the one that says most about it is named.
_ORDER = (
    errors.FORMATION_VIOLATION,
    errors.PROPERTY_CONSTRAINT_VIOLATION,
    errors.OCCURENCE_CONSTRAINT_VIOLATION,
    errors.TYPE_CONSTRAINT_VIOLATION,
)
_FORMATS = {
    "date-time": "must be a date and time with an offset, like 2025-03-30T12:00:00Z",
    "uri": "must be a URI, like https://example.com/file",
}
_TYPES = {"integer": "a whole number", "array": "a list", "object": "an object", "string": "a text"}


def _folder() -> Path:
    spec = find_spec("ocpp")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the package `ocpp`, which brings the schema files, is not installed")
    return Path(spec.submodule_search_locations[0]) / "v16" / "schemas"


@cache
def names() -> frozenset[str]:
    """Every action that OCPP 1.6 and its security extension define."""
    return frozenset(path.stem for path in _folder().glob("*.json") if not path.stem.endswith("Response"))


@cache
def document(name: str) -> dict[str, Any]:
    """The schema called `name` (`Heartbeat`, `HeartbeatResponse`). Treat it as read-only."""
    schema: dict[str, Any] = json.loads((_folder() / f"{name}.json").read_text("utf-8-sig"))
    return schema


def compiled(schema: dict[str, Any], *, formats: bool) -> Any:
    """A validator for a schema; `formats`: dates must be RFC 3339 dates, URIs URIs."""
    return jsonschema_rs.validator_for(schema, validate_formats=formats)


def is_valid(validator: Any, payload: Any) -> bool:
    """Like the validator's own, but False instead of an exception for what it cannot take in."""
    try:
        return bool(validator.is_valid(payload))
    except (ValueError, RecursionError, OverflowError):
        return False


def faults(validator: Any, payload: Any, most: int = 100) -> list[Fault]:
    """The errors of a payload, the most telling one first; [] when it is valid. Never raises.

    Stops looking after `most` errors: a payload with thousands of them is a matter of one answer.
    """
    try:
        errors_found = islice(validator.iter_errors(payload), most)
        found = [fault for error in errors_found for fault in islice(_faults(error), most)]
    except (ValueError, RecursionError, OverflowError):
        # Not JSON at all: lone surrogates, keys that are no texts, nesting without end.
        return [Fault(errors.FORMATION_VIOLATION, (), "cannot be written as JSON", "", {})]
    found.sort(key=lambda fault: _ORDER.index(fault.code), reverse=True)
    return found


def _faults(error: Any) -> Iterator[Fault]:
    path = tuple(error.instance_path)
    keyword = error.kind.name
    arguments = error.kind.as_dict()
    code = _CODES.get(keyword, errors.PROPERTY_CONSTRAINT_VIOLATION)
    if keyword == "required":
        yield Fault(code, (*path, arguments["property"]), "is required", keyword, arguments)
    elif keyword == "additionalProperties":
        for name in arguments["unexpected"]:
            yield Fault(code, (*path, name), "is not a field of this message", keyword, arguments)
    else:
        if keyword == "type" and not path:
            code = errors.FORMATION_VIOLATION
        yield Fault(code, path, _sentence(keyword, arguments, error), keyword, arguments)


def _sentence(keyword: str, arguments: dict[str, Any], error: Any) -> str:
    """What a field must be, in plain English; the value itself is never repeated (it may be secret)."""
    match keyword:
        case "type":
            return "must be " + " or ".join(_TYPES.get(name, f"a {name}") for name in arguments["types"])
        case "enum":
            return "must be one of " + ", ".join(str(option) for option in arguments["options"])
        case "maxLength":
            return f"must have at most {arguments['limit']} characters"
        case "minItems":
            return f"must have at least {arguments['limit']} entries"
        case "maxItems":
            return f"must have at most {arguments['limit']} entries"
        case "multipleOf":
            return f"must be a multiple of {arguments['multiple_of']}"
        case "format":
            return _FORMATS.get(arguments["format"], f"must be a {arguments['format']}")
        case "minimum" | "maximum":
            return f"must be at {'least' if keyword == 'minimum' else 'most'} {arguments['limit']}"
    return f"breaks the rule {keyword} of the schema"
