"""Logging in and out: /api/auth."""

from __future__ import annotations

from typing import Annotated, Protocol

from flask import Blueprint, current_app, request
from flask_jwt_extended import current_user, get_jwt
from msgspec import UNSET, Meta, UnsetType

from .. import proxies
from ..extensions import db
from ..web.answers import Answer
from ..web.endpoint import DATABASE, endpoint
from ..web.fields import about, text
from ..web.reading import Sent
from . import accounts, log_ins, tokens
from .throttle import LoginThrottle


class Door(Protocol):
    """What logging in needs of the process."""

    @property
    def throttle(self) -> LoginThrottle: ...
    @property
    def devices(self) -> log_ins.Devices: ...


blueprint = Blueprint("auth", __name__, url_prefix="/auth")


class Login(Sent):
    username: Annotated[str, text(accounts.LONGEST_NAME)]
    password: Annotated[str, text(accounts.LONGEST_PASSWORD, blanks=True)]
    device_token: (
        Annotated[str, text(1000, description="What an earlier log-in from this device has given.")]
        | UnsetType
    ) = UNSET


class LogoutRequest(Sent):
    everywhere: Annotated[bool, about("Every log-in of the account.")] = False


class Tokens(Answer):
    access_token: str
    token_type: Annotated[str, Meta(extra_json_schema={"const": "Bearer"})]
    expires_in: Annotated[int, about("Seconds that the access token lives.")]
    refresh_token: Annotated[
        str,
        about("For one use: each refresh gives the next one. One that comes a second time ends the log-in."),
    ]


class LoggedIn(Tokens):
    device_token: Annotated[
        str,
        about(
            "Keep it and send it with the next log-in from this device: then other people's wrong guesses at"
            " this account cannot hold you up."
        ),
    ]


@blueprint.post("/login")
@endpoint(
    answers={200: "The tokens."}, errors=("login-refused", "too-many-attempts", *DATABASE), access="open"
)
def login(body: Login) -> LoggedIn:
    """Log in."""
    door: Door = current_app.extensions["charger_mgmt"]
    devices = door.devices
    log_in = log_ins.begin(
        db.engine,
        door.throttle,
        devices,
        username=body.username,
        password=body.password,
        device_token=body.device_token or None,
        source=proxies.source(request.remote_addr or ""),
    )
    return LoggedIn(**tokens.pair(log_in), device_token=devices.token(body.username))


@blueprint.post("/refresh")
@endpoint(answers={200: "The tokens."}, access="refresh token")
def refresh() -> Tokens:
    """New tokens for a refresh token.

    Send the refresh token as the bearer token. It can be used once.
    """
    return Tokens(**tokens.pair(log_ins.refreshed(db.engine, current_user, get_jwt()["jti"])))


@blueprint.post("/logout")
@endpoint(answers={204: "It has ended."}, optional_body=True)
def logout(body: LogoutRequest) -> None:
    """Log out.

    Every token of this log-in ends at once.
    """
    log_ins.end(db.engine, current_user, everywhere=body.everywhere)
