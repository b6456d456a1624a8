"""A real-time management system for electric-vehicle chargers that speak OCPP 1.6."""

from collections.abc import Mapping
from typing import Any

from flask import Flask

import config


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """The application: configuration, extensions, blueprints, CLI.

    `overrides` are Flask configuration keys that win over the environment (for tests).
    Raises ConfigurationError when the configuration cannot work.
    """
    from . import api, cli, gateway
    from .central_system import CentralSystem
    from .extensions import db, jwt, migrate
    from .proxies import TrustedProxies
    from .store import engine

    app = Flask(__name__, instance_path=str(config.INSTANCE))
    app.config.from_mapping(config.load())
    app.config.from_mapping(overrides or {})
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine.options(app.config)
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]

    db.init_app(app)
    migrate.init_app(app, db, directory=str(config.ROOT / "migrations"), render_as_batch=True)
    jwt.init_app(app)
    app.extensions["central_system"] = CentralSystem(app.config)
    gateway.register(app)
    api.register(app)
    cli.register(app)
    app.wsgi_app = TrustedProxies(  # type: ignore[method-assign]
        app.wsgi_app, app.config["TRUSTED_PROXIES"]
    )
    return app
