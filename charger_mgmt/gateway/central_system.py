"""What the parts of one process share; serving/process.py puts it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..bus import Bus
from ..commands.calls import Effect
from ..database.base import AnyRow
from ..database.database import Database
from ..database.sole import SoleProcess
from ..domain import dialect
from ..errors import BusAway, ChargerGone
from ..feed import CommandQueued, Feed
from ..intake.committer import Committer
from ..journal.writer import Journal
from ..settings import Settings
from .last_seen import LastSeen
from .registry import Registry


@dataclass(slots=True)
class CentralSystem:
    """The central system as one process of it sees it."""

    settings: Settings
    process_id: str
    database: Database
    #: Keeps a second process from the same database.
    sole: SoleProcess
    #: What has happened, for whoever wants to know.
    feed: Feed
    committer: Committer
    registry: Registry
    last_seen: LastSeen
    #: What the answers to our calls do.
    effects: Mapping[str, Effect]
    #: Keeps what goes over chargers' sockets.
    journal: Journal
    #: To the other processes; None: there are none (REDIS_URL is not set).
    bus: Bus | None = None
    #: Whether it does what one process does for all: the sweep, retention.
    leads: bool = True
    #: Whether no other process serves.
    alone: bool = True
    #: It is about to end, and others take over.
    draining: bool = False

    def owner_of(self, charger: AnyRow) -> str | None:
        """The process that holds a socket of the charger's on which it can be called; None: there is none."""
        session = self.registry.get(charger.identity)
        if session is not None and session.generation >= charger.generation:
            return self.process_id
        if self._is_elsewhere(charger) and dialect.named(charger.dialect).takes_calls:
            return str(charger.process_id)
        return None

    def is_connected(self, charger: AnyRow) -> bool:
        """Whether there is any socket that speaks for the charger."""
        return self.registry.holds(charger.identity) or self._is_elsewhere(charger)

    def _is_elsewhere(self, charger: AnyRow) -> bool:
        return self.bus is not None and bool(charger.connected) and charger.process_id != self.process_id

    def check_reach(self, process_id: str) -> None:
        """Raises BusAway when that process cannot be told anything."""
        if process_id != self.process_id and (self.bus is None or not self.bus.available):
            raise BusAway

    def deliver(self, command: CommandQueued) -> None:
        """Tell a command's owner of it. Raises BusAway and ChargerGone: it has not heard."""
        if command.owner == self.process_id:
            self.feed.tell_here([command])
        elif self.bus is None or not self.bus.deliver(command.owner, command):
            self.check_reach(command.owner)
            raise ChargerGone("The process that held the charger's socket is gone: nothing was sent.")
