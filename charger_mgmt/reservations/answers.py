"""What a charger's answers to ReserveNow and CancelReservation do (sections 5.13 and 5.1)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from .. import clock
from ..commands import command_rows
from ..commands.calls import Answered
from ..database import reservations as rows
from ..domain import reservations as rules


def reserved(conn: Connection, answered: Answered) -> None:
    """Active on Accepted only; as long as the answer is not known, nobody can tell."""
    number = _number(answered)
    if number is None:
        return
    if answered.state in (command_rows.ACCEPTED, command_rows.REJECTED, command_rows.LATE_ANSWER):
        word = str(answered.response.get("status") or answered.error_code or "")
        state = rules.ACTIVE if word == "Accepted" else rules.REFUSED
    elif answered.state == command_rows.ERROR or not answered.sent:
        word, state = answered.error_code or "not sent", rules.REFUSED
    else:
        rows.change(conn, number, answer=answered.state)
        return
    rows.move(conn, number, answered.charger_id, state, clock.now(), answer=word[:255])


def cancelled(conn: Connection, answered: Answered) -> None:
    """Cancelled on Accepted only. Rejected: the charger has none by that id."""
    number = _number(answered)
    if number is None or answered.error_code is not None:
        return
    word = answered.response.get("status")
    if word is not None:
        state = rules.CANCELLED if word == "Accepted" else rules.LOST
        rows.move(conn, number, answered.charger_id, state, clock.now())


def _number(answered: Answered) -> int | None:
    number: Any = answered.payload.get("reservationId")
    return number if type(number) is int and 0 < number < 2**31 else None
