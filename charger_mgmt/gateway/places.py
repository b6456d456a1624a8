"""Who may take a place: every connection is one of a number that the operating system and the memory set.

Known chargers, operators and health checks find one, however many strangers there are:

    strangers            at most STRANGERS of all places, until they are known
    all chargers         all places but SPARE
    what has not asked   is ended, the oldest first, when hardly a place is left

Known is a charger that has proved itself by its password or that was accepted before.
"""

from __future__ import annotations

import logging
from typing import Final

import gevent

from .requests import Waiting

log = logging.getLogger(__name__)

#: Shares of all places.
STRANGERS: Final = 0.7
SPARE: Final = 0.05
_LEAST_SPARE: Final = 16
#: Seconds that a connection may wait before it gives way to others.
_PATIENCE: Final = 2.0
_LOOK_EVERY: Final = 0.5


class Places:
    """Counts the sockets of chargers. `total` is what the server takes in all; None until it is known."""

    def __init__(self) -> None:
        self.total: int | None = None
        self._chargers = 0
        self._strangers = 0

    @property
    def spare(self) -> int:
        """Places that no charger gets."""
        return 0 if self.total is None else max(_LEAST_SPARE, int(self.total * SPARE))

    def has_room(self, *, known: bool) -> bool:
        """Whether one more socket finds a place."""
        if self.total is None:
            return True
        if self._chargers >= self.total - self.spare:
            return False
        return known or self._strangers < self.total * STRANGERS

    def take(self, *, known: bool) -> Place:
        return Place(self, known=known)

    def start(self, waiting: Waiting) -> None:
        """Keep some places free of connections that ask nothing, from now on, in a greenlet."""
        gevent.spawn(self._keep_free, waiting)

    def _keep_free(self, waiting: Waiting) -> None:
        while True:
            gevent.sleep(_LOOK_EVERY)
            if self.total is None:
                continue
            surplus = self._chargers + len(waiting) + self.spare - self.total
            if surplus > 0 and (ended := waiting.end_oldest(surplus + len(waiting) // 2, _PATIENCE)):
                log.warning("%d connections that asked nothing had to give way to others", ended)


class Place:
    """One socket's, from its beginning until `leave`."""

    __slots__ = ("_is_stranger", "_places")

    def __init__(self, places: Places, *, known: bool) -> None:
        self._places = places
        self._is_stranger = not known
        places._chargers += 1
        places._strangers += self._is_stranger

    def is_known_now(self) -> None:
        """Its charger has been accepted."""
        if self._is_stranger:
            self._is_stranger = False
            self._places._strangers -= 1

    def leave(self) -> None:
        self.is_known_now()
        self._places._chargers -= 1
