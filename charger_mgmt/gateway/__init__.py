"""Where chargers enter."""

from flask import Flask

from . import liveness


def register(app: Flask) -> None:
    """Let the application's process watch its chargers."""
    app.extensions["central_system"].on_start.append(liveness.start)
