"""The JWT that every route but a few asks for, and what a bad one is told (always 401).

Besides the registered claims a token carries `log` (the log-in that it belongs to; see access/log_ins.py).
"""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, verify_jwt_in_request

from ..extensions import db
from ..web.endpoint import Endpoint
from ..web.problems import problem
from . import log_ins
from .log_ins import LogIn

_LOG_IN = "log"


def register(jwt: JWTManager) -> None:
    def refuse(detail: str) -> Response:
        return problem(401, "not-authenticated", detail, headers={"WWW-Authenticate": "Bearer"})

    jwt.unauthorized_loader(refuse)
    jwt.invalid_token_loader(lambda _why: refuse("The token is not valid."))
    jwt.expired_token_loader(lambda _header, _payload: refuse("The token has expired."))
    jwt.revoked_token_loader(lambda _header, _payload: refuse("The token is no longer valid."))
    jwt.needs_fresh_token_loader(lambda _header, _payload: refuse("Log in again for this."))
    jwt.token_verification_loader(lambda _header, payload: {"exp", "jti", _LOG_IN} <= payload.keys())
    jwt.token_verification_failed_loader(lambda _header, _payload: refuse("The token is not valid."))
    jwt.user_lookup_error_loader(
        lambda _header, _payload: refuse("The log-in has ended, or its account is disabled or gone.")
    )
    jwt.user_identity_loader(lambda log_in: str(log_in.user_id))
    jwt.additional_claims_loader(lambda log_in: {_LOG_IN: log_in.key})
    jwt.user_lookup_loader(_log_in)


def require_token() -> None:
    """Before every request under /api: no token of a living log-in, no entry. A view that declares nothing is not open."""
    view = current_app.view_functions[request.endpoint or ""]
    access = view.access if isinstance(view, Endpoint) else "token"
    if access != "open":
        verify_jwt_in_request(refresh=access == "refresh token")


def pair(log_in: LogIn) -> dict[str, Any]:
    """The fields of an answer with tokens; `expires_in` is in seconds and speaks of the access token."""
    lifetime = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return {
        "access_token": create_access_token(log_in),
        "token_type": "Bearer",
        "expires_in": int(lifetime.total_seconds()),
        "refresh_token": create_refresh_token(log_in, additional_claims={"jti": log_in.refresh_key}),
    }


def _log_in(_header: dict[str, Any], payload: dict[str, Any]) -> LogIn | None:
    subject, key = str(payload["sub"]), payload[_LOG_IN]
    known = subject.isascii() and subject.isdigit() and len(subject) < 19 and isinstance(key, str)
    return log_ins.living(db.engine, int(subject), key) if known else None
