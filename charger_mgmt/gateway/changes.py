"""What operators change at a charger, and its open sockets here learn of."""

from __future__ import annotations

from typing import Protocol

from ..live.frames import POLICY_VIOLATION, SERVICE_RESTART
from ..live.registry import Registry
from ..services.feed import ChargerChanged, Fact, Feed, NewConnectionWanted


class Central(Protocol):
    """What this needs of the central system."""

    registry: Registry
    feed: Feed


class Changes:
    """Applies them, from the feed."""

    def __init__(self, central: Central) -> None:
        self._registry = central.registry
        central.feed.subscribe(self._take)

    def _take(self, fact: Fact) -> None:
        if isinstance(fact, NewConnectionWanted):
            self._registry.end(fact.identity, SERVICE_RESTART, "the operator asks for a new connection")
        elif isinstance(fact, ChargerChanged):
            self._apply(fact)

    def _apply(self, change: ChargerChanged) -> None:
        session = self._registry.get(change.identity)
        if session is not None:
            for name in ("admitted", "strict", "automatic_calls"):
                if (value := getattr(change, name)) is not None:
                    setattr(session, name, value)
        if change.shut_out is not None:
            self._registry.end(change.identity, POLICY_VIOLATION, change.shut_out)
