"""Logging in and out: /api/auth."""

from flask import Blueprint, Response, request
from flask_jwt_extended import current_user, get_jwt, jwt_required

from .. import proxies
from ..extensions import db
from ..services import accounts, log_ins
from . import tokens
from .central import process
from .parsing import body, optional_body
from .replies import reply

blueprint = Blueprint("auth", __name__, url_prefix="/auth")


@blueprint.post("/login")
def login() -> Response:
    with body() as given:
        username = given.text("username", longest=accounts.LONGEST_NAME)
        password = given.text("password", longest=accounts.LONGEST_PASSWORD, blanks=True)
        device_token = given.text("deviceToken", default=None, longest=1000)
    devices = process().devices
    log_in = log_ins.begin(
        db.engine,
        process().throttle,
        devices,
        username=username,
        password=password,
        device_token=device_token,
        source=proxies.source(request.remote_addr or ""),
    )
    return reply(tokens.pair(log_in) | {"deviceToken": devices.token(username)})


@blueprint.post("/refresh")
@jwt_required(refresh=True)
def refresh() -> Response:
    with optional_body():
        pass
    return reply(tokens.pair(log_ins.refreshed(db.engine, current_user, get_jwt()["jti"])))


@blueprint.post("/logout")
def logout() -> Response:
    with optional_body() as given:
        everywhere = given.flag("everywhere", default=False)
    log_ins.end(db.engine, current_user, everywhere=everywhere)
    return Response(status=204)
