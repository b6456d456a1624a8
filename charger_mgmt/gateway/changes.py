"""What operators change at a charger, and its open sockets here learn of."""

from __future__ import annotations

import gevent

from ..commands import outbox
from ..errors import ChargerManagementError
from ..feed import ChargerChanged, NewConnectionWanted
from ..websocket.frames import POLICY_VIOLATION, SERVICE_RESTART
from .central_system import CentralSystem
from .session import Session


class Changes:
    """Applies them, from the feed."""

    def __init__(self, central: CentralSystem) -> None:
        self._central = central
        central.feed.subscribe(ChargerChanged, self._apply)
        central.feed.subscribe(NewConnectionWanted, self._disconnect)

    def _disconnect(self, wanted: NewConnectionWanted) -> None:
        why = "the operator asks for a new connection"
        self._central.registry.end(wanted.identity, SERVICE_RESTART, why)

    def _apply(self, change: ChargerChanged) -> None:
        session = self._central.registry.get(change.identity)
        if session is not None:
            for name in ("admitted", "strict", "automatic_calls"):
                if (value := getattr(change, name)) is not None:
                    setattr(session, name, value)
            if change.journal is not None:
                wanted = {"on": True, "off": False}.get(change.journal)
                session.journal = self._central.journal.of(session.identity, session.charger_id, wanted)
        if change.shut_out is not None:
            self._central.registry.end(change.identity, POLICY_VIOLATION, change.shut_out)
        elif change.boot_is_due and session is not None:
            gevent.spawn(self._asks_for_boot, session)

    def _asks_for_boot(self, session: Session) -> None:
        """It need not wait for its own retry."""
        if not (self._central.settings.automatic_calls and session.automatic_calls):
            return
        payload = {"requestedMessage": "BootNotification"}
        try:
            outbox.send(
                self._central,
                session.identity,
                "TriggerMessage",
                payload,
                requested_by=outbox.SYSTEM,
                wait=0,
            )
        except ChargerManagementError:
            return  # it has gone or has booted meanwhile; its next boot is accepted anyway
