"""The description of this API, made of what stands at its views: /api/openapi.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Flask, current_app
from msgspec import Meta

from ..domain.roles import ROLES
from . import problems
from .endpoint import Endpoint, endpoint
from .problems import Problem
from .replies import LINES, Lines

blueprint = Blueprint("openapi", __name__)

_INFO = {
    "title": "Charger management",
    "version": "1",
    "license": {"name": "MIT", "identifier": "MIT"},
    "description": "What operators of EV chargers see and do. Times are RFC 3339 in UTC with milliseconds; energy is in Wh."
    " Lists are plain JSON arrays, their next page is in the Link header. Unknown fields and parameters are refused by name."
    " Every error is application/problem+json (RFC 9457); x-problems lists the codes that an operation's may have, x-role the"
    " least role that may ask (viewer, operator, admin). The bearer token is an access token, a key (cmk_...), or a token of"
    " the identity provider.",
}
_REFERENCE = "#/components/schemas/{name}"
#: What msgspec's schemas have besides, and the document has not.
_LEFT_OUT = ("title", "x-component", "x-parameter")


@blueprint.get("/openapi.json")
@endpoint(access="anyone", answers={200: "OpenAPI 3.1."}, any_query=True)
def openapi() -> Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]:
    """This document."""
    return msgspec.Raw(document())


def document() -> bytes:
    """The document of this application's routes, made once: the same routes give the same bytes."""
    made = current_app.extensions
    if "openapi" not in made:
        written = _Writer().document(current_app)
        made["openapi"] = msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"
    return bytes(made["openapi"])


class _Writer:
    """One document, whose parts are named in it as they come up."""

    def __init__(self) -> None:
        self._schemas: dict[str, Any] = {}
        self._parameters: dict[str, Any] = {}
        self._responses: dict[str, Any] = {}

    def document(self, app: Flask) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for rule in app.url_map.iter_rules():
            view = app.view_functions[rule.endpoint]
            if isinstance(view, Endpoint):
                path = re.sub(r"<(\w+)>", lambda found: f"{{{_camel(found[1])}}}", rule.rule)
                tag = rule.endpoint.split(".")[-2]
                for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                    paths.setdefault(path, {})[method.lower()] = self._operation(view, method, tag)
        return {
            "openapi": "3.1.0",
            "info": _INFO,
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
                "schemas": dict(sorted(self._schemas.items())),
                "parameters": dict(sorted(self._parameters.items())),
                "responses": dict(sorted(self._responses.items())),
            },
        }

    def _operation(self, view: Endpoint, method: str, tag: str) -> dict[str, Any]:
        summary, _, description = (view.__doc__ or "").partition("\n")
        operation: dict[str, Any] = {"operationId": operation_id(view), "tags": [tag]}
        operation["summary"] = summary.removesuffix(".")
        if description := " ".join(description.split()):
            operation["description"] = description
        if view.access == "open":
            operation["security"] = []
        elif view.access in ROLES:
            operation["x-role"] = view.access
        if parameters := [*self._segments(view), *self._query(view)]:
            operation["parameters"] = parameters
        if view.body is not None:
            content = {"application/json": {"schema": self._schema(view.body)}}
            operation["requestBody"] = {"required": not view.optional_body, "content": content}
        operation["responses"] = {
            str(status): self._answer(view, said) for status, said in view.answers.items()
        }
        codes = view.errors(method)
        for status in sorted({problems.CODES[code] for code in codes}):
            operation["responses"][str(status)] = self._problem(status)
        operation["x-problems"] = sorted(codes)
        return operation

    def _segments(self, view: Endpoint) -> list[dict[str, Any]]:
        kinds = view.path.items()
        return [
            self._parameter(_camel(name), msgspec.json.schema(kind), where="path", required=True)
            for name, kind in kinds
        ]

    def _query(self, view: Endpoint) -> list[dict[str, Any]]:
        if view.query is None:
            return []
        _, components = msgspec.json.schema_components([view.query], ref_template=_REFERENCE)
        properties = components[view.query.__name__]["properties"]
        return [self._parameter(name, raw, where="query") for name, raw in properties.items()]

    def _parameter(self, name: str, raw: dict[str, Any], *, where: str, **more: Any) -> dict[str, Any]:
        about, what = raw, raw
        if "anyOf" in raw:  # what may be absent: a parameter has no null, it is what it is when it is there
            (what,) = (each for each in raw["anyOf"] if each != {"type": "null"})
            about = what | raw
        if "x-component" not in what:  # a component keeps its own description
            what = {key: value for key, value in what.items() if key != "description"}
        parameter = {"name": name, "in": where} | more | {"schema": self._tidy(what)}
        if "description" in about:
            parameter["description"] = about["description"]
        return _named(self._parameters, "parameters", about.get("x-parameter"), parameter)

    def _answer(self, view: Endpoint, said: str | tuple[str, Mapping[str, str]]) -> dict[str, Any]:
        description, headers = (said, {}) if isinstance(said, str) else said
        answer: dict[str, Any] = {"description": description}
        if view.answer is Lines:
            answer["content"] = {LINES: {"schema": {"type": "string"}}}
        elif view.answer is not type(None):
            answer["content"] = {"application/json": {"schema": self._schema(view.answer)}}
        if headers:
            answer["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
            }
        return answer

    def _problem(self, status: int) -> dict[str, Any]:
        name, description = problems.DOCUMENTED[status]
        content = {"application/problem+json": {"schema": self._schema(Problem)}}
        return _named(self._responses, "responses", name, {"description": description, "content": content})

    def _schema(self, kind: Any) -> dict[str, Any]:
        """The schema of a type as the document has it; what is named in it becomes a component."""
        (schema,), components = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
        for name, component in components.items():
            _named(self._schemas, "schemas", name, self._tidy(component))
        return self._tidy(schema)

    def _tidy(self, raw: dict[str, Any]) -> dict[str, Any]:
        """One of msgspec's schemas as the document has it."""
        if "x-instead" in raw:
            raw = {key: raw[key] for key in ("description", "examples") if key in raw} | raw["x-instead"]
        schema: dict[str, Any] = {}
        for key, value in raw.items():
            if key == "properties":
                schema[key] = {name: self._tidy(each) for name, each in value.items()}
            elif key == "items":
                schema[key] = self._tidy(value)
            elif key == "anyOf":
                schema |= _either([self._tidy(each) for each in value])
            elif key not in _LEFT_OUT and (key, value) != ("default", None):
                schema[key] = value
        return _named(self._schemas, "schemas", raw.get("x-component"), schema)


def _either(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """One or the other: a list of types where that is all that tells them apart, as with null."""
    first, *others = schemas
    if "type" not in first or any(each.keys() != {"type"} for each in others):
        return {"anyOf": schemas}
    either = first | {"type": [first["type"], *(each["type"] for each in others)]}
    if "enum" in first:
        either["enum"] = [*first["enum"], None]
    return either


def _named(components: dict[str, Any], kind: str, name: str | None, value: dict[str, Any]) -> dict[str, Any]:
    """The value itself, or a reference to it as a component. Raises TypeError when another one has its name."""
    if name is None:
        return value
    if components.setdefault(name, value) != value:
        raise TypeError(f"two {kind} are called {name}")
    return {"$ref": f"#/components/{kind}/{name}"}


def operation_id(view: Any) -> str:
    """What the document calls a view's operation."""
    return _camel(view.__name__)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
