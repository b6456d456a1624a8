"""What use cases need of the process in which they run."""

from __future__ import annotations

from typing import Protocol

from .database.database import Database
from .feed import Feed
from .settings import Settings


class Central(Protocol):
    """The central system, as far as whoever has no socket in hand knows it."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def feed(self) -> Feed: ...

    def owner_of(self, identity: str) -> str | None:
        """The process that holds a socket of the charger's on which it can be called; None: there is none."""

    def is_connected(self, identity: str) -> bool:
        """Whether there is any socket that speaks for the charger."""
