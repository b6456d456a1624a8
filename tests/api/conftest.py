"""The operator's side in memory: a client whose every answer is held against the OpenAPI document."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from sqlalchemy import select
from werkzeug.test import TestResponse

import config
from charger_mgmt.database.models import Base
from charger_mgmt.extensions import db
from charger_mgmt.gateway.session import Session
from charger_mgmt.ocppj import frames
from charger_mgmt.serving.process import process_of
from charger_mgmt.web.replies import LINES
from tests.support.messages import Charger as MessageCharger

DOCUMENT = json.loads((config.ROOT / "docs" / "openapi.json").read_text())


def path_shape(path: str) -> str:
    """A path or route with the names of its parameters left out."""
    return re.sub(r"<[^>]*>|\{[^}]*\}", "{}", path)


OPERATIONS = {
    (path_shape(path), method.upper()): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


def _closed(node: Any) -> Any:
    """The schemas, with every key that the document does not name forbidden."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if "properties" in closed and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


_COMPONENTS = _closed(copy.deepcopy(DOCUMENT["components"]))


class Api:
    """An operator who calls the REST API, and a document that every answer must agree with."""

    def __init__(self, app: Flask, client: FlaskClient, auth: dict[str, str]) -> None:
        self.app = app
        self.client = client
        self.auth = auth

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("POST", path, json=json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("PATCH", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.call("DELETE", path, **options)

    def call(self, method: str, path: str, *, token: bool = True, **options: Any) -> TestResponse:
        if options.get("json", ...) is None:
            del options["json"]
        headers = (self.auth if token else {}) | options.pop("headers", {})
        response = self.client.open(path, method=method, headers=headers, **options)
        self._agrees(method, response)
        return response

    def _agrees(self, method: str, response: TestResponse) -> None:
        described = self._description(method, response)
        if described is None:
            assert response.status_code in (404, 405, 308), response.text
            described = {
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            }
        if "$ref" in described:
            described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
        if "content" not in described:
            assert response.data == b""
            return
        ((media_type, content),) = described["content"].items()
        assert response.mimetype == media_type
        if media_type == LINES:
            assert all(isinstance(json.loads(line), dict) for line in response.text.splitlines())
            return
        schema = _closed(content["schema"]) | {"components": _COMPONENTS}
        Draft202012Validator(schema).validate(json.loads(response.data))

    def _description(self, method: str, response: TestResponse) -> dict[str, Any] | None:
        """What the document says of this answer; None when the path is none of ours."""
        operation = self._operation(method, response)
        if operation is None:
            return None
        assert str(response.status_code) in operation["responses"], (response.status_code, response.text)
        if response.status_code >= 400:
            assert response.json["code"] in operation["x-problems"], response.text
        return operation["responses"][str(response.status_code)]

    def _operation(self, method: str, response: TestResponse) -> dict[str, Any] | None:
        # Which route it is does not hang on the characters of a name.
        path = response.request.environ["RAW_URI"].partition("?")[0].replace("%2F", "_")
        with self.app.test_request_context(path, method=method):
            rule = request.url_rule
        if rule is None:
            return None
        return OPERATIONS[path_shape(rule.rule), method]


@pytest.fixture
def api(app: Flask, client: FlaskClient, auth: dict[str, str]) -> Api:
    return Api(app, client, auth)


@pytest.fixture
def rows(app: Flask) -> Callable[[type[Base]], list[Any]]:
    """Reads a whole table."""

    def read(model: type[Base]) -> list[Any]:
        table = model.__table__
        with app.app_context(), db.engine.connect() as conn:
            return list(conn.execute(select(table).order_by(*table.primary_key.columns)))

    return read


class Charger(MessageCharger):
    """A charger in memory. It speaks through the committer, as from a socket.

    `plugged_in()` gives it an OCPP-J session whose other end is this object: what it answers to our
    calls is decided by `answers` (action → payload, frames.CallError, None for silence, or a function of
    the call's payload that gives one of these); what it was asked stands in `asked`.
    """

    def __init__(self, app: Flask, identity: str, *, flat: bool = False) -> None:
        super().__init__(process_of(app).central, identity, flat)
        self.is_open = True
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.unanswered: list[str] = []
        self.session: Session | None = None
        self.connects()

    def plugged_in(self) -> Charger:
        self.session = Session(
            self.identity,
            charger_id=self.id,
            generation=self.generation,
            registration=None,
            socket=self,
            last_seen=self.central.last_seen,
            handle=lambda _session, _call: None,
        )
        self.central.registry.add(self.session)
        return self

    def answers_late(self, payload: dict[str, Any]) -> None:
        """The answer to the oldest call that it kept silent on."""
        assert self.session is not None
        self.session.take(frames.encode(frames.CallResult(self.unanswered.pop(0), payload)))

    # The socket, as its session sees it

    def receive(self) -> str | None:
        raise AssertionError("this socket is read by nobody")

    def send(self, text: str) -> None:
        call = frames.decode(text)
        assert isinstance(call, frames.Call)
        self.asked.append((call.action, call.payload))
        gevent.spawn(self._answer, call)

    def _answer(self, call: frames.Call) -> None:
        answer = self.answers.get(call.action, {"status": "Accepted"})
        if callable(answer):
            answer = answer(call.payload)
        if answer is None:
            self.unanswered.append(call.id)
            return
        assert self.session is not None
        frame: Any = frames.CallResult(call.id, answer)
        if isinstance(answer, frames.CallError):
            frame = frames.CallError(call.id, answer.code, answer.description, {})
        self.session.take(frames.encode(frame))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.drop(reason)

    def wasted(self) -> None:
        pass

    def drop(self, why: str = "") -> None:
        self.is_open = False
        assert self.session is not None
        self.central.registry.remove(self.session)
        self.session.end()


@pytest.fixture
def charger(app: Flask) -> Callable[..., Charger]:
    """Makes a connected charger: `charger("CP1")` on a session, `charger("1", flat=True)` on the flat dialect."""

    def connect(identity: str = "CP1", *, flat: bool = False) -> Charger:
        made = Charger(app, identity, flat=flat)
        return made if flat else made.plugged_in()

    return connect
