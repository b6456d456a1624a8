"""The process that serves a request, as far as views know it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from flask import current_app, g

from ..central import Central
from ..domain.roles import Asker, Sites


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


def asker() -> Asker:
    """Who asks."""
    known: Asker = g.asker
    return known


def operator() -> str:
    """The name of who asks."""
    return asker().username


def sites() -> Sites:
    """The sites whose chargers who asks may see."""
    return asker().sites
