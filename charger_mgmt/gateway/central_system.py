"""What the parts of one process share; serving/process.py puts it together."""

from __future__ import annotations

from dataclasses import dataclass

from ..database.database import Database
from ..database.sole import SoleProcess
from ..feed import Feed
from ..intake.committer import Committer
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
    #: What has happened, for whoever in this process wants to know.
    feed: Feed
    committer: Committer
    registry: Registry
    last_seen: LastSeen

    def owner_of(self, identity: str) -> str | None:
        """The process that holds a socket of the charger's on which it can be called; None: there is none."""
        return self.process_id if self.registry.get(identity) is not None else None

    def is_connected(self, identity: str) -> bool:
        """Whether there is any socket that speaks for the charger."""
        return self.registry.holds(identity)
