"""Where operators enter: JSON over REST."""

from flask import Blueprint, Flask

from ..access import audit_views as audit
from ..access import door, password_page, tokens
from ..access import key_views as keys
from ..access import user_views as users
from ..access import views as auth
from ..chargers import inbox_views as inbox
from ..chargers import views as chargers
from ..charging import views as transactions
from ..commands import views as commands
from ..configuration import views as configuration
from ..extensions import jwt
from ..gateway import views as processes
from ..journal import views as messages
from ..local_list import views as local_lists
from ..reservations import views as reservations
from ..sites import views as sites
from ..smart_charging import views as charging_profiles
from ..tags import views as tags
from ..web import headers, health, openapi, paths, problems, welcome


def register(app: Flask) -> None:
    """Put the REST API under /api, every route behind the door, and the health checks under /health."""
    headers.register(app)
    paths.register(app)
    problems.register(app)
    tokens.register(jwt)
    api = Blueprint("api", __name__, url_prefix="/api")
    api.before_request(door.check)
    api.after_request(door.note)
    for noun in (
        auth, users, keys, audit, sites, chargers, commands, transactions, reservations, configuration, local_lists,
        charging_profiles, messages,
        tags, inbox,
        processes, openapi,
    ):  # fmt: skip
        api.register_blueprint(noun.blueprint)
    app.register_blueprint(api)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(welcome.blueprint)
    app.register_blueprint(password_page.blueprint)
