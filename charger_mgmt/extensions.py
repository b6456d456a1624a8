"""The Flask extensions, one instance each; `create_app` binds them to an application."""

import flask_sock
from flask_jwt_extended import JWTManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from .store.base import Base

db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate()
jwt = JWTManager()
sock = flask_sock.Sock()
