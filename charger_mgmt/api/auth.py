"""Logging in: /api/auth."""

from flask import Blueprint, Response, current_app, request
from flask_jwt_extended import current_user, jwt_required

from ..extensions import db
from ..services import accounts
from . import tokens
from .parsing import body, optional_body
from .replies import reply

blueprint = Blueprint("auth", __name__, url_prefix="/auth")


@blueprint.post("/login")
def login() -> Response:
    with body() as given:
        username = given.text("username", longest=accounts.LONGEST_NAME)
        password = given.text("password", longest=accounts.LONGEST_PASSWORD, blanks=True)
    throttle = current_app.extensions["login_throttle"]
    account = accounts.login(db.engine, throttle, username, password, request.remote_addr or "")
    return reply(tokens.pair(account))


@blueprint.post("/refresh")
@jwt_required(refresh=True)
def refresh() -> Response:
    with optional_body():
        pass
    return reply(tokens.access(current_user))
