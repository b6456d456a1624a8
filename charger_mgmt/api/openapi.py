"""The description of this API: /api/openapi.json."""

from functools import cache

from flask import Blueprint, Response

import config

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
def show_openapi() -> Response:
    return Response(_document(), content_type="application/json")


@cache
def _document() -> bytes:
    return (config.ROOT / "docs" / "openapi.json").read_bytes()
