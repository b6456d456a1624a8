"""Calls that we make by ourselves, after a charger has had its answer and a moment to breathe."""

from __future__ import annotations

import logging

import gevent

from .. import clock
from ..commands import outbox
from ..errors import ChargerManagementError
from ..intake.messages import FollowUp
from .central_system import CentralSystem
from .session import Session

log = logging.getLogger(__name__)

#: Seconds after an accepted boot within which a charger should have reported its status.
STATUS_WAIT = 10.0
#: A charger that boots in a loop is set up at most this often (seconds).
BOOT_PAUSE = 30.0
_REPORT_STATUS = FollowUp(
    "TriggerMessage", {"requestedMessage": "StatusNotification"}, "no status after boot"
)


class FollowUps:
    """Schedules follow-ups. While some wait for a charger's action, newer ones take their place."""

    def __init__(self, central: CentralSystem, *, status_wait: float = STATUS_WAIT) -> None:
        self._central = central
        self._status_wait = status_wait
        self._waiting: dict[tuple[int, str], gevent.Greenlet] = {}
        self._set_up_at: dict[int, float] = {}

    def schedule(self, session: Session, action: str, follow_ups: tuple[FollowUp, ...], booted: bool) -> None:
        """Call this when the answer to `action` has been sent; `booted`: the charger was accepted by it."""
        settings = self._central.settings
        if not (follow_ups or booted) or not settings.automatic_calls or not session.automatic_calls:
            return
        delay = settings.follow_up_delay
        if booted and (last := self._set_up_at.get(session.charger_id)) is not None:
            delay = max(delay, last + BOOT_PAUSE - clock.monotonic())
        key = (session.charger_id, action)
        if (waiting := self._waiting.pop(key, None)) is not None:
            waiting.kill(block=False)
        self._waiting[key] = gevent.spawn_later(delay, self._begin, key, session, follow_ups, booted)

    def _begin(
        self, key: tuple[int, str], session: Session, follow_ups: tuple[FollowUp, ...], booted: bool
    ) -> None:
        self._waiting.pop(key, None)  # from here on it is under way, not waiting
        try:
            if booted:
                self._remember_set_up(session.charger_id)
            for follow_up in follow_ups:
                self._send(session, follow_up)
            if booted:
                gevent.sleep(self._status_wait)
                if not session.status_reported:
                    self._send(session, _REPORT_STATUS)
        except Exception:
            log.exception("charger %s: a follow-up failed", session.identity)

    def _remember_set_up(self, charger_id: int) -> None:
        now = clock.monotonic()
        if len(self._set_up_at) > 1000:
            self._set_up_at = {key: at for key, at in self._set_up_at.items() if now - at < BOOT_PAUSE}
        self._set_up_at[charger_id] = now

    def _send(self, session: Session, follow_up: FollowUp) -> None:
        if session.ended or not session.automatic_calls:
            return
        try:
            outbox.send(
                self._central,
                session.identity,
                follow_up.action,
                follow_up.payload,
                requested_by="system",
                wait=self._central.settings.call_timeout,
            )
        except ChargerManagementError as error:
            log.info(
                "charger %s: %s (%s) not sent: %s",
                session.identity,
                follow_up.action,
                follow_up.reason,
                error,
            )
