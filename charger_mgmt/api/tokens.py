"""The JWT that every route but a few asks for, and what a bad one is told (always 401)."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, verify_jwt_in_request

from ..extensions import db
from ..services import accounts
from .problems import problem

#: The endpoints under /api that need no access token; refresh asks for the refresh token itself.
OPEN_ENDPOINTS = frozenset({"api.auth.login", "api.auth.refresh"})


def register(jwt: JWTManager) -> None:
    def refuse(detail: str) -> Response:
        return problem(401, "not-authenticated", detail, headers={"WWW-Authenticate": "Bearer"})

    jwt.unauthorized_loader(refuse)
    jwt.invalid_token_loader(lambda _why: refuse("The token is not valid."))
    jwt.expired_token_loader(lambda _header, _payload: refuse("The token has expired."))
    jwt.revoked_token_loader(lambda _header, _payload: refuse("The token is no longer valid."))
    jwt.needs_fresh_token_loader(lambda _header, _payload: refuse("Log in again for this."))
    jwt.token_verification_failed_loader(lambda _header, _payload: refuse("The token is not valid."))
    jwt.user_lookup_error_loader(lambda _header, _payload: refuse("The account is disabled or gone."))
    jwt.user_identity_loader(lambda account: str(account.id))
    jwt.user_lookup_loader(_account)


def require_token() -> None:
    """Before every request under /api: no access token of an active account, no entry."""
    if request.endpoint not in OPEN_ENDPOINTS:
        verify_jwt_in_request()


def pair(account: accounts.Account) -> dict[str, Any]:
    return access(account) | {"refreshToken": create_refresh_token(account)}


def access(account: accounts.Account) -> dict[str, Any]:
    """`expiresIn` is in seconds and speaks of the access token."""
    lifetime = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return {
        "accessToken": create_access_token(account),
        "tokenType": "Bearer",
        "expiresIn": int(lifetime.total_seconds()),
    }


def _account(_header: dict[str, Any], payload: dict[str, Any]) -> accounts.Account | None:
    subject = str(payload["sub"])
    known = subject.isascii() and subject.isdigit() and len(subject) < 19
    return accounts.active_account(db.engine, int(subject)) if known else None
