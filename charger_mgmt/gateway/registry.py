"""The chargers' sockets that this process holds.

Others ask the central system for them (`owner_of`, `is_connected`) and tell them what is new over the feed: a bus
between several processes would stand behind these.
"""

from __future__ import annotations

from typing import Protocol

from .session import Session


class Held(Protocol):
    """What shutting down needs of a session, in either dialect."""

    def close(self, code: int = ..., reason: str = ...) -> None: ...
    def drop(self, why: str = ...) -> None: ...


class Flat(Protocol):
    """A flat socket, which may speak for several chargers."""

    def leave(self, identity: str, code: int, reason: str) -> None: ...


class Registry:
    """Identity → the OCPP-J session that owns it; the newest generation does."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._held: set[Held] = set()
        #: Flat chargers, and the sockets that speak for them or were opened with their password.
        self._flat: dict[str, set[Flat]] = {}

    def add(self, session: Session) -> Session | None:
        """Register a session; return the one that must be closed, if the identity had another.

        That is the older of the two by generation: the database, not the order of arrival here, says
        which socket is newer.
        """
        present = self._sessions.get(session.identity)
        if present is not None and present.generation > session.generation:
            return session
        self._sessions[session.identity] = session
        return present

    def remove(self, session: Session) -> None:
        """Forget this session; a newer one of the same identity stays."""
        if self._sessions.get(session.identity) is session:
            del self._sessions[session.identity]

    def get(self, identity: str) -> Session | None:
        """The OCPP-J session that owns the identity, if this process holds it."""
        return self._sessions.get(identity)

    def holds(self, identity: str) -> bool:
        """Whether this process has a socket that speaks for the charger, in either dialect."""
        return identity in self._sessions or identity in self._flat

    def all(self) -> list[Session]:
        """Every OCPP-J session that owns its identity, as of now."""
        return list(self._sessions.values())

    def speaks(self, identity: str, session: Flat) -> None:
        """A flat socket speaks for this charger."""
        self._flat.setdefault(identity, set()).add(session)

    def falls_silent(self, identity: str, session: Flat) -> None:
        """It does so no longer; other sockets of the charger's stay."""
        sockets = self._flat.get(identity, set())
        sockets.discard(session)
        if not sockets:
            self._flat.pop(identity, None)

    def end(self, identity: str, code: int, reason: str) -> bool:
        """End the charger's sockets, in either dialect, with this close frame; False: there is none here."""
        session = self._sessions.get(identity)
        if session is not None:
            session.close(code, reason)
        flat = list(self._flat.get(identity, ()))
        for each in flat:
            each.leave(identity, code, reason)
        return session is not None or bool(flat)

    def hold(self, session: Held) -> None:
        """Keep any session with an open socket (flat and replaced ones too) until `release`."""
        self._held.add(session)

    def release(self, session: Held) -> None:
        self._held.discard(session)

    def held(self) -> list[Held]:
        """Every session with an open socket, as of now; for shutting down."""
        return list(self._held)

    def __len__(self) -> int:
        return len(self._sessions)
