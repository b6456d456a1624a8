"""What a charger's answers about its local list do (SendLocalList and GetLocalListVersion, sections 5.15 and 5.10)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from .. import clock
from ..commands.calls import Answered
from . import list_rows

NOT_SUPPORTED: Final = -1


def sent(conn: Connection, answered: Answered) -> None:
    """The new version counts from Accepted on; what was refused leaves the list as nobody knows it."""
    word = answered.response.get("status") or answered.error_code
    version = answered.payload.get("listVersion")
    if word is None or type(version) is not int or not answered.sent:
        return
    values = {"answer": str(word)[:255], "answered_at": clock.now()}
    if word == "Accepted":
        list_rows.change(conn, answered.charger_id, version=version, **values)
    elif word in ("NotSupported", "NotImplemented"):
        list_rows.change(conn, answered.charger_id, version=NOT_SUPPORTED, revision=None, **values)
    else:
        list_rows.change(conn, answered.charger_id, revision=None, **values)


def told(conn: Connection, answered: Answered) -> None:
    """Another version than the one that we know: somebody else has written the list."""
    version = answered.response.get("listVersion")
    if answered.error_code in ("NotSupported", "NotImplemented"):
        version = NOT_SUPPORTED
    if type(version) is not int or not -1 <= version < 2**31:
        return
    row = list_rows.of(conn, answered.charger_id)
    if row is None or row.version != version:
        list_rows.change(conn, answered.charger_id, version=version, revision=None)
