"""The document says what the API has, no more and no less. (Every other test here checks its answers by it.)"""

from __future__ import annotations

import pytest
from flask import Flask

import config
from charger_mgmt.web.endpoint import endpoint
from charger_mgmt.web.reading import Sent

from .conftest import DOCUMENT, OPERATIONS, Api, path_shape


def test_routes_and_document_agree(app: Flask) -> None:
    routes = {
        (path_shape(rule.rule), method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api", "/health"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(OPERATIONS) == routes


def test_the_file_is_what_the_views_declare(app: Flask, api: Api) -> None:
    """After a change: flask openapi > docs/openapi.json"""
    written = (config.ROOT / "docs" / "openapi.json").read_text()
    assert api.get("/api/openapi.json").text == written
    assert app.test_cli_runner().invoke(args=["openapi"]).output == written


def test_only_the_open_routes_are_described_without_a_token() -> None:
    open_operations = {o["operationId"] for o in OPERATIONS.values() if o.get("security") == []}
    assert open_operations == {
        "login",
        "live",
        "ready",
        "resetPassword",
        "beginSignIn",
        "endSignIn",
    }


def test_references_lead_somewhere_and_nothing_is_left_over() -> None:
    def references(node: object) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(references, node))
        if not isinstance(node, dict):
            return set()
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))

    defined = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "responses")
        for name in DOCUMENT["components"][kind]
    }
    assert references(DOCUMENT) == defined


def test_every_parameter_of_a_path_is_described() -> None:
    for path, item in DOCUMENT["paths"].items():
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in item.values():
            described = {
                parameter["name"]
                for reference in operation.get("parameters", [])
                for parameter in [DOCUMENT["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
                                  if "$ref" in reference else reference]
                if parameter["in"] == "path"
            }  # fmt: skip
            assert described == named, path


def test_a_view_cannot_name_a_problem_that_there_is_not() -> None:
    def view() -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="no-such-problem"):
        endpoint(access="viewer", answers={204: "Nothing."}, errors=("no-such-problem",))(view)


class Unlimited(Sent):
    limit: int


def test_a_field_says_how_it_is_read() -> None:
    def view(query: Unlimited) -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="nothing says how"):
        endpoint(access="viewer", answers={204: "Nothing."})(view)


def test_a_view_that_declares_nothing_asks_for_a_token(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.view_functions, "api.tags.list_tags", lambda: "secret")
    assert api.get("/api/tags", token=False).status_code == 401
