"""The parts of this process, for views that reach chargers."""

from flask import current_app
from flask_jwt_extended import current_user

from ..central_system import CentralSystem
from ..serving import Process, process_of


def process() -> Process:
    return process_of(current_app)


def central() -> CentralSystem:
    return process().central


def operator() -> str:
    """Who asks: the username that the token speaks for."""
    return str(current_user.username)
