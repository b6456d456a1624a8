"""Names in paths may hold any character: a slash comes as %2F and stays inside of its segment.

WSGI hands paths on decoded, where %2F and / cannot be told apart, and the router knows no escapes. So a slash
that was escaped is replaced by a character that no name may hold, until the route's converter puts it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from flask import Flask, request
from werkzeug.routing import UnicodeConverter

#: Stands for a slash inside a segment; a control character, which no name may hold.
_STAND_IN = "\0"


class Segment(UnicodeConverter):
    """One segment of a path, whatever characters stand in it."""

    def to_python(self, value: str) -> str:
        return value.replace(_STAND_IN, "/")


class EscapedSlashes:
    """WSGI: keeps slashes that a client has escaped inside of their segments."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if _STAND_IN in path:  # nothing that we know is called so
            environ["PATH_INFO"] = path = path.replace(_STAND_IN, "\x7f")
        raw = _raw_path(environ)
        if "%2f" in raw.lower() and unquote_to_bytes(raw).decode("latin-1").endswith(path):
            segments = (unquote_to_bytes(segment).decode("latin-1") for segment in raw.split("/"))
            kept = "/".join(segment.replace("/", _STAND_IN) for segment in segments)
            environ["PATH_INFO"] = kept[len(kept) - len(path) :]
        return self._application(environ, start_response)


def register(app: Flask) -> None:
    app.url_map.converters["default"] = Segment
    app.wsgi_app = EscapedSlashes(app.wsgi_app)  # type: ignore[method-assign]


def as_it_came() -> str:
    """The request's path with its escapes."""
    return _raw_path(request.environ) or request.path


def _raw_path(environ: dict[str, Any]) -> str:
    raw: str = environ.get("RAW_URI", "")
    bare = raw.partition("?")[0].partition("#")[0]
    if bare.startswith("/") or "://" not in bare:
        return bare
    try:
        return urlsplit(bare).path
    except ValueError:
        return ""
