"""The parts of this process, for views that reach chargers."""

from flask import current_app
from flask_jwt_extended import current_user

from ..central_system import CentralSystem


def central() -> CentralSystem:
    return current_app.extensions["central_system"]


def operator() -> str:
    """Who asks: the username that the token speaks for."""
    return current_user.username
