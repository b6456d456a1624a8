"""The process that serves a request, as far as views know it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from flask import current_app
from flask_jwt_extended import current_user

from ..central import Central


class Waiting(Protocol):
    """Connections that wait for what their client has to say."""

    def for_body(self, ending: type[BaseException]) -> AbstractContextManager[None]: ...


class Serving(Protocol):
    """What views need of the process."""

    @property
    def central(self) -> Central: ...
    @property
    def waiting(self) -> Waiting: ...


def serving() -> Serving:
    process: Serving = current_app.extensions["charger_mgmt"]
    return process


def central() -> Central:
    return serving().central


def operator() -> str:
    """Who asks: the username that the token speaks for."""
    return str(current_user.username)
