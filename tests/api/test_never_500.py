"""Every field, parameter and path of the document, with every value that has ever broken something."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from charger_mgmt.serving.process import process_of

from .conftest import DOCUMENT, Api, Charger

TEXTS = (
    "", " ", "\x00", "a\x00b", "\n", "\u202e", "\ufeff", "ß" * 20, "🔌", "é" * 128, "a" * 128, "a" * 255, "a" * 300,
    "'", '"', "\\", "%", "%s", "%(x)s", ":x", "{}", "${x}", "..", ".", "null", "NaN", "1e5", "-0", "00", "٣",
    "' OR 1=1 --", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999999999+00:00", "2016-12-31T23:59:60Z",
    "1969-12-31T23:59:59Z", "2025-03-30T12:00:00Z", "2147483648", "9223372036854775808", "9" * 100,
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**32, 2**53, 2**63, -(2**63) - 1, 10**100, 0.1, -0.0, 1e308, [], {}, [[]],
    {"a": None}, [None] * 100,
)  # fmt: skip
#: Not JSON, or JSON that no library writes.
RAW = (
    '"\\ud800"',
    '"\\udc00\\ud800"',
    "NaN",
    "-Infinity",
    "1e400",
    "1E-400",
    "01",
    "'a'",
    "[" * 5000,
    '"\x01"',
)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def operations() -> Iterator[tuple[str, str, dict[str, Any], list[dict[str, Any]]]]:
    """(method, path, operation, its parameters)."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            parameters = [
                DOCUMENT["components"]["parameters"][p["$ref"].rpartition("/")[2]] if "$ref" in p else p
                for p in operation.get("parameters", [])
            ]
            yield method.upper(), path, operation, parameters


def requests() -> Iterator[tuple[str, str, str | None]]:
    """(method, path with query, body)."""
    known = {"chargerId": "CP1", "command": "ClearCache", "transactionId": "1", "idTag": "CARD-9"}
    for method, path, operation, parameters in operations():
        filled = path
        for name, value in known.items():
            filled = filled.replace(f"{{{name}}}", value)
        body = None if method == "GET" else "{}"
        for parameter in parameters:
            name = parameter["name"]
            for text in TEXTS:
                if parameter["in"] == "query":
                    yield method, f"{filled}?{name}={quote(text, safe='')}", body
                else:
                    other = path.replace(f"{{{name}}}", quote(text, safe=""))
                    for known_name, value in known.items():
                        other = other.replace(f"{{{known_name}}}", value)
                    yield method, other, body
        if "requestBody" in operation:
            schema = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
            for name in [*schema.get("properties", {}), "unknown"]:
                for value in (*TEXTS, *OTHERS):
                    yield method, filled, json.dumps({**_needed(schema, name), name: value})
                for raw in RAW:
                    yield method, filled, '{"' + name + '": ' + raw + "}"


def _needed(schema: dict[str, Any], besides: str) -> dict[str, str]:
    """The required fields with values that are in order, so that the one field decides."""
    return {name: "X-1" for name in schema.get("required", []) if name != besides}


@pytest.mark.settings(operator_wait=0.01, call_timeout=0.01)
def test_nothing_that_is_sent_makes_an_error_of_ours(
    app: Flask, api: Api, charger: Callable[..., Charger]
) -> None:
    process_of(app).throttle.attempts = 10**6
    made = charger("CP1")
    made.starts()["transactionId"]
    api.post("/api/tags", {"idTag": "CARD-9"})
    headers = api.auth | {"Content-Type": "application/json"}
    tried, wrong = 0, []
    for method, path, body in requests():
        answer = api.client.open(path, method=method, headers=headers, data=body)
        tried += 1
        # 502 to 504 have a name: the charger's or the database's fault, never bad input's.
        if answer.status_code >= 500 and answer.status_code != 504:
            wrong.append((method, path, body, answer.text))
        elif answer.status_code >= 400:
            assert answer.mimetype == "application/problem+json"
    assert wrong == []
    assert tried > 2000
