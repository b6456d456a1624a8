"""The Flask extensions, one instance each; `create_app` binds them to an application."""

import flask_sock
from flask_jwt_extended import JWTManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from .database.base import Base
from .websocket.socket import ChargerSocket

# flask-sock has no setting for the class of its sockets, and simple-websocket's loses bytes under gevent,
# reads without a bound and keeps a second greenlet for each socket (see websocket/socket.py).
flask_sock.Server = ChargerSocket

db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate()
jwt = JWTManager()
sock = flask_sock.Sock()
