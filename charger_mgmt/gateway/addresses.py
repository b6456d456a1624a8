"""Where a charger dials: many spellings of the address, one identity (OCPP-J section 3.1.1).

The endpoint is /ocpp; the identity is the last segment of the path, percent-decoded exactly once. Chargers
have been seen with surplus slashes in front of it, one behind it, another prefix, and with no identity but the
user name of their Basic credentials.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

ENDPOINT = "/ocpp"
#: environ key: the last segment of the path as bytes, b"" when there is none.
SEGMENT = "charger_mgmt.segment"
#: First segments that are not chargers'.
_OPERATORS = (b"api", b"health", b"static")


@dataclass(frozen=True, slots=True)
class Credentials:
    """HTTP Basic. The password is bytes: the specification's own example is not text (section 6.2.2)."""

    user: str
    password: bytes


class ChargerPaths:
    """WSGI: leads every WebSocket upgrade that may be a charger's to the one route, /ocpp.

    Routing rules would not do: they see the path decoded (`%2F`), redirect surplus slashes, and a
    catch-all for WebSockets turns the 404 of every other path into a 400.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "HTTP_UPGRADE" in environ and is_upgrade(environ):
            segments = [segment for segment in _raw_path(environ).split(b"/") if segment]
            if not segments or segments[0] not in _OPERATORS:
                environ[SEGMENT] = b"" if segments in ([], [b"ocpp"]) else unquote_to_bytes(segments[-1])
                environ["PATH_INFO"] = ENDPOINT
        return self._application(environ, start_response)


def is_upgrade(environ: Mapping[str, Any]) -> bool:
    """The request asks for a WebSocket (RFC 6455 section 4.2.1)."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and "websocket" in _tokens(environ.get("HTTP_UPGRADE", "").lower())
        and "upgrade" in _tokens(environ.get("HTTP_CONNECTION", "").lower())
    )


def subprotocols(environ: Mapping[str, Any]) -> list[str]:
    """What the client offers, in its order."""
    return _tokens(environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", ""))


def credentials(environ: Mapping[str, Any]) -> Credentials | None:
    """The Basic credentials; None when there are none that can be read.

    Read from the raw header and split as bytes at the first colon: werkzeug insists on text.
    """
    scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
        return Credentials(user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def has_usable_key(environ: Mapping[str, Any]) -> bool:
    """Sec-WebSocket-Key is 16 bytes in base64."""
    try:
        return len(b64decode(environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip(), validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def is_from_here(environ: Mapping[str, Any], allowed: Collection[str]) -> bool:
    """Whether no web page of somebody else's asks: browsers name theirs in Origin, chargers' libraries at most us.

    A browser that names us may have been told so by somebody else's name server, so it must be allowed as well.
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or origin in allowed:
        return True
    if "HTTP_SEC_FETCH_MODE" in environ or environ.get("HTTP_USER_AGENT", "").startswith("Mozilla/"):
        return False
    try:
        return bool(urlsplit(origin).netloc.lower() == environ.get("HTTP_HOST", "").lower() != "")
    except ValueError:
        return False


def has_body(environ: Mapping[str, Any]) -> bool:
    """The request says that a body follows: what comes behind it would be taken for frames."""
    length = environ.get("CONTENT_LENGTH", "").strip()
    return (length not in ("", "0")) or "HTTP_TRANSFER_ENCODING" in environ


def _raw_path(environ: Mapping[str, Any]) -> bytes:
    raw = environ.get("RAW_URI")
    if raw is None:  # another server than gunicorn: it is decoded once already, so guard what is left
        return str(environ.get("PATH_INFO", "")).encode("latin-1").replace(b"%", b"%25")
    if not raw.startswith("/"):  # absolute form: http://host/path
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    return str(raw).partition("?")[0].encode("latin-1")


def _tokens(header: str) -> list[str]:
    return [token for part in header.split(",") if (token := part.strip())]
