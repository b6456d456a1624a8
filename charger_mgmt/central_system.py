"""The parts of one process, put together."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from sqlalchemy import Engine

from .live.last_seen import LastSeen
from .live.registry import Registry
from .services import retention
from .services.batch_services import BATCH_SERVICES
from .services.committer import Committer
from .services.feed import Feed
from .settings import Settings
from .store.database import Database
from .store.sole import SoleProcess


class CentralSystem:
    """One process of the central system: its settings, its database, its sockets."""

    def __init__(self, settings: Settings, rest: Engine) -> None:
        self.settings = settings
        self.process_id = str(uuid.uuid4())
        self.database = Database(settings, rest)
        self.registry = Registry()
        self.last_seen = LastSeen()
        #: What has happened, for whoever in this process wants to know.
        self.feed = Feed()
        self.committer = Committer(self.database, settings, BATCH_SERVICES, self.feed)
        self.sole = SoleProcess(self.database.engine)
        #: Called by start(), in order; the gateway adds its greenlets here.
        self.on_start: list[Callable[[CentralSystem], None]] = [retention.start]

    def start(self) -> None:
        """Begin to serve: put right what a killed process left behind, start the greenlets.

        Raises AnotherProcess and ConfigurationError, when the database has something against it.
        """
        self.committer.start()
        for begin in self.on_start:
            begin(self)
