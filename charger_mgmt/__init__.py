"""A real-time management system for electric-vehicle chargers that speak OCPP 1.6."""

from datetime import timedelta
from typing import Any

from flask import Flask

from .settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The application: configuration, extensions, blueprints, CLI.

    Without `settings` they are read from the environment: raises ConfigurationError when they cannot work.
    """
    import config

    from . import gateway
    from .extensions import db, jwt, migrate
    from .proxies import TrustedProxies
    from .serving import cli
    from .serving import rest as api
    from .serving.process import Process

    settings = settings or config.load()
    app = Flask(__name__, instance_path=str(config.INSTANCE))
    app.config.from_mapping(_of_flask(settings))
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]

    db.init_app(app)
    migrate.init_app(app, db, directory=str(config.ROOT / "migrations"), render_as_batch=True)
    jwt.init_app(app)
    with app.app_context():
        process = app.extensions["charger_mgmt"] = Process(settings, db.engine)
    gateway.register(app, process.central, process.gateway)
    api.register(app)
    cli.register(app)
    app.wsgi_app = TrustedProxies(  # type: ignore[method-assign]
        app.wsgi_app, settings.trusted_proxies
    )
    return app


def _of_flask(settings: Settings) -> dict[str, Any]:
    """What Flask and its extensions want to be told, by their names."""
    from .database import engine

    return {
        "JWT_SECRET_KEY": settings.jwt_secret_key,
        "JWT_ACCESS_TOKEN_EXPIRES": timedelta(seconds=settings.access_token_seconds),
        "JWT_REFRESH_TOKEN_EXPIRES": timedelta(seconds=settings.log_in_seconds),
        "JWT_DECODE_LEEWAY": 10,
        "SQLALCHEMY_DATABASE_URI": settings.database_url.url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine.options(settings),
        "MAX_CONTENT_LENGTH": settings.max_request_bytes,
    }
