"""Our own tokens: JWTs that speak for a log-in, and what a bad one is told (always 401).

Besides the registered claims a token carries `log` (the log-in that it belongs to; see access/log_ins.py); `kid` in its
header names the secret that has signed it, so that the next secret can come while the one before is still believed.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from flask import Response, current_app
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token

from ..extensions import db
from ..settings import Settings
from ..web.problems import problem
from . import log_ins
from .log_ins import LogIn

_LOG_IN: Final = "log"


def register(jwt: JWTManager) -> None:
    jwt.unauthorized_loader(refused)
    jwt.invalid_token_loader(lambda _why: refused("The token is not valid."))
    jwt.expired_token_loader(lambda _header, _payload: refused("The token has expired."))
    jwt.revoked_token_loader(lambda _header, _payload: refused("The token is no longer valid."))
    jwt.needs_fresh_token_loader(lambda _header, _payload: refused("Log in again for this."))
    jwt.token_verification_loader(lambda _header, payload: {"exp", "jti", _LOG_IN} <= payload.keys())
    jwt.token_verification_failed_loader(lambda _header, _payload: refused("The token is not valid."))
    jwt.user_lookup_error_loader(
        lambda _header, _payload: refused("The log-in has ended, or its account is disabled or gone.")
    )
    jwt.user_identity_loader(lambda log_in: str(log_in.asker.user_id))
    jwt.additional_claims_loader(lambda log_in: {_LOG_IN: log_in.key})
    jwt.user_lookup_loader(_log_in)
    jwt.encode_key_loader(lambda _identity: _settings().jwt_secret_key)
    jwt.decode_key_loader(lambda header, _payload: _secret(str(header.get("kid"))))


def refused(detail: str) -> Response:
    return problem(401, "not-authenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def pair(log_in: LogIn) -> dict[str, Any]:
    """The fields of an answer with tokens; `expires_in` is in seconds and speaks of the access token."""
    lifetime, signed = (
        current_app.config["JWT_ACCESS_TOKEN_EXPIRES"],
        {"kid": _kid(_settings().jwt_secret_key)},
    )
    return {
        "access_token": create_access_token(log_in, additional_headers=signed),
        "token_type": "Bearer",
        "expires_in": int(lifetime.total_seconds()),
        "refresh_token": create_refresh_token(
            log_in, additional_claims={"jti": log_in.refresh_key}, additional_headers=signed
        ),
    }


def _settings() -> Settings:
    settings: Settings = current_app.extensions["charger_mgmt"].central.settings
    return settings


def _secret(kid: str) -> str:
    """The secret of this name; one that is none of ours stands for the one in use."""
    known = _settings()
    return next((each for each in known.signing_secrets if _kid(each) == kid), known.jwt_secret_key)


def _kid(secret: str) -> str:
    """What a secret is called: it says nothing of it."""
    return hashlib.sha256(b"kid of " + secret.encode()).hexdigest()[:16]


def _log_in(_header: dict[str, Any], payload: dict[str, Any]) -> LogIn | None:
    subject, key = str(payload["sub"]), payload[_LOG_IN]
    known = subject.isascii() and subject.isdigit() and len(subject) < 19 and isinstance(key, str)
    if not known:
        return None
    return log_ins.living(db.engine, int(subject), key, _settings())
