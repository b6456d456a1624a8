"""The parts of this process, for views that reach chargers."""

from flask import current_app
from flask_jwt_extended import current_user

from ..central_system import CentralSystem


def central() -> CentralSystem:
    the_central: CentralSystem = current_app.extensions["central_system"]
    return the_central


def operator() -> str:
    """Who asks: the username that the token speaks for."""
    return str(current_user.username)
