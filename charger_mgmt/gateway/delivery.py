"""Delivering the outbox: the calls to chargers whose sockets this process holds, each seen through to its end."""

from __future__ import annotations

import logging
from typing import Any, Final

import gevent
from sqlalchemy import Connection

from .. import clock
from ..commands import command_rows
from ..commands.calls import CALLS
from ..commands.masking import Masking
from ..commands.outbox import NOT_NOTED, NOT_SENT, settle, turn
from ..errors import CallErrored, CallTimedOut, ChargerBusy, ChargerGone, DatabaseAway
from ..feed import CommandEnded, CommandQueued
from .central_system import CentralSystem

log = logging.getLogger(__name__)

#: The values of `status` that are a yes; an answer without a status is one too.
_YES: Final = {"Accepted", "AcceptedCanceled", "Unlocked", "Scheduled", "RebootRequired"}
#: How often a state that the database did not take is written again, a second apart.
_ATTEMPTS: Final = 30


class Delivery:
    """Takes the commands that are queued for this process, from the feed, and calls the chargers."""

    def __init__(self, central: CentralSystem) -> None:
        self._central = central
        central.feed.subscribe(CommandQueued, self._take)

    def _take(self, command: CommandQueued) -> None:
        if command.owner == self._central.process_id:
            gevent.spawn(_Delivering(self._central, command).see_through)


def put_right(central: CentralSystem) -> None:
    """At the start of a process: end the commands that another one left unfinished."""
    with central.database.writing() as conn:
        count = command_rows.put_right(conn, central.process_id)
    if count:
        log.info("%d commands of an earlier process were ended", count)


class _Delivering:
    """One command on its way."""

    def __init__(self, central: CentralSystem, command: CommandQueued) -> None:
        self._central, self._command = central, command
        self._call = CALLS[command.action]
        self._sent = False
        #: Why no answer came.
        self._why: str | None = None

    def see_through(self) -> None:
        """Send it, wait for the charger, record how it ended, and tell."""
        command = self._command
        values: dict[str, Any] = {}
        try:
            response = self._answer()
            state = (
                command_rows.ACCEPTED if response.get("status", "Accepted") in _YES else command_rows.REJECTED
            )
            values = {"response": self._masking().tree(response), "answered_at": clock.now()}
        except CallErrored as error:
            state, values = command_rows.ERROR, self._of_error(error) | {"answered_at": clock.now()}
        except CallTimedOut as error:
            state, self._why = command_rows.TIMED_OUT, str(error)
        except ChargerGone as error:
            state, self._sent, self._why = command_rows.CHARGER_GONE, error.sent, str(error)
        except (ChargerBusy, DatabaseAway) as error:  # both before anything was written to the socket
            code = NOT_SENT if isinstance(error, ChargerBusy) else NOT_NOTED
            state, values = command_rows.ERROR, {"error_code": code, "error_description": str(error)}
        except Exception:
            log.exception("%s to charger %s failed", command.action, command.identity)
            state = command_rows.CHARGER_GONE
        self._ends(state, values)

    def _answer(self) -> dict[str, Any]:
        """The payload of the CALLRESULT; raises as Session.call does."""
        command = self._command
        session = self._central.registry.get(command.identity)
        if session is None:
            raise ChargerGone(sent=False)

        def on_sent() -> None:
            with turn(command.requested_by), self._central.database.writing() as conn:
                claimed = command_rows.claim(conn, command.command_id, clock.now())
            if not claimed:
                raise ChargerBusy("The call stood in line for too long: it was not sent.")
            self._sent = True

        return session.call(
            command.action,
            command.payload,
            message_id=command.message_id,
            timeout=self._central.settings.call_timeout,
            asks_for=self._call.asks_for(command.payload),
            on_sent=on_sent,
            on_late=self._late,
        )

    def _late(self, answer: dict[str, Any] | CallErrored) -> None:
        if isinstance(answer, CallErrored):
            values = self._of_error(answer)
        else:
            values = {"response": self._masking().tree(answer)}
        self._ends(command_rows.LATE_ANSWER, values | {"answered_at": clock.now()})

    def _ends(self, state: str, values: dict[str, Any]) -> None:
        command = self._command
        try:
            self._record(state, values)
        finally:
            ended = CommandEnded(
                command.identity,
                command.command_id,
                state,
                values.get("response"),
                values.get("error_code"),
                values.get("error_description", self._why),
                self._sent,
            )
            self._central.feed.publish([ended])

    def _record(self, state: str, values: dict[str, Any]) -> None:
        """Commit a state; while the database does not take it, try again, and give up in the end."""
        for attempt in range(_ATTEMPTS, 0, -1):
            try:
                with turn(self._command.requested_by), self._central.database.writing() as conn:
                    self._write(conn, state, values)
                self._knows_its_key(state)
                return
            except DatabaseAway:
                if attempt == 1:
                    log.error("command %d could not be marked %r", self._command.command_id, state)
                gevent.sleep(1)

    def _knows_its_key(self, state: str) -> None:
        """A charger that took a new key on its socket has proved enough (gateway/fleet.py compares)."""
        session = self._central.registry.get(self._command.identity)
        if session is not None and self._command.key_hash and state == command_rows.ACCEPTED:
            session.password_hash = self._command.key_hash

    def _write(self, conn: Connection, state: str, values: dict[str, Any]) -> None:
        command = self._command
        settled = settle(conn, self._central, command, state, values, sent=self._sent)
        if (
            not settled
            and self._sent
            and state in (command_rows.ACCEPTED, command_rows.REJECTED, command_rows.ERROR)
        ):
            # Another process took this one for dead and marked the row timed out.
            late = command_rows.LATE_ANSWER
            settled = settle(conn, self._central, command, late, values, sent=self._sent)
        if not settled:
            log.warning("command %d cannot become %r from where it is", command.command_id, state)

    def _of_error(self, error: CallErrored) -> dict[str, Any]:
        masking = self._masking()
        return {
            "error_code": masking.text(error.code)[:64],
            "error_description": masking.text(error.description)[:1000],
        }

    def _masking(self) -> Masking:
        return Masking(self._call.key(self._command.payload), self._command.known_hashes)
