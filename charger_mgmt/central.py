"""What use cases need of the process in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .database.base import AnyRow
from .database.database import Database
from .feed import CommandQueued, Feed
from .settings import Settings


class Central(Protocol):
    """The central system, as far as whoever has no socket in hand knows it."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def feed(self) -> Feed: ...

    @property
    def effects(self) -> Mapping[str, Any]:
        """What the answers to our calls do: action → commands.calls.Effect."""

    @property
    def draining(self) -> bool: ...
    @property
    def process_id(self) -> str: ...

    def owner_of(self, charger: AnyRow) -> str | None:
        """The process that holds a socket of the charger's on which it can be called; None: there is none."""

    def is_connected(self, charger: AnyRow) -> bool:
        """Whether there is any socket that speaks for the charger."""

    def check_reach(self, process_id: str) -> None:
        """Raises BusAway when that process cannot be told anything."""

    def deliver(self, command: CommandQueued) -> None:
        """Tell a command's owner of it. Raises BusAway and ChargerGone: it has not heard."""
