"""Where operators enter: JSON over REST."""

from flask import Blueprint, Flask

from ..extensions import jwt
from . import (
    auth,
    chargers,
    commands,
    headers,
    health,
    inbox,
    openapi,
    paths,
    problems,
    tags,
    tokens,
    transactions,
    welcome,
)


def register(app: Flask) -> None:
    """Put the REST API under /api, every route behind a token, and the health checks under /health."""
    headers.register(app)
    paths.register(app)
    problems.register(app)
    tokens.register(jwt)
    api = Blueprint("api", __name__, url_prefix="/api")
    api.before_request(tokens.require_token)
    for noun in (auth, chargers, commands, transactions, tags, inbox, openapi):
        api.register_blueprint(noun.blueprint)
    app.register_blueprint(api)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(welcome.blueprint)
