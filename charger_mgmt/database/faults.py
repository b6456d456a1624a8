"""What a database error means for the message that met it."""

from __future__ import annotations

import sqlite3
from enum import Enum

from sqlalchemy import exc


class Fault(Enum):
    """Four kinds of trouble, four reactions."""

    AWAY = "away"  # the database does not take writes: nobody is answered
    CROWDED = "crowded"  # it works, and has no connection to spare: others are served, this one waits
    CONTENTION = "contention"  # a deadlock or a lock time-out: try again
    POISON = "poison"  # the database is there and refuses this record


#: MySQL and MariaDB error numbers that say "not now", not "not this".
_AWAY = {
    1021,  # disk full
    1026,  # error writing a file
    1036,  # table is read-only
    1041,  # out of resources
    1044,  # access denied to the database
    1045,  # access denied
    1047,  # a Galera node that is not ready
    1053,  # shutdown in progress
    1077,
    1079,
    1081,
    1114,  # table is full
    1152,  # aborted connection
    1158,  # network read and write errors
    1159,
    1160,
    1161,
    1180,  # error during commit
    1181,
    1184,
    1290,  # running with --read-only
    1317,  # query execution was interrupted
    1792,  # read-only transaction
    1836,  # read-only mode
    1927,  # connection was killed
    2002,  # cannot connect
    2003,
    2006,  # server has gone away
    2013,  # lost connection during the query
    2014,
    2055,
    3024,  # statement time-out
    4031,  # disconnected for inactivity
}
#: Too many connections: on the server, of the user, of the user by its contract.
_CROWDED = {1040, 1203, 1226}
_CONTENTION = {1205, 1213, 1020}
_DUPLICATE_ENTRY = 1062
#: Numbers of the client's own, for a server that says nothing.
_NO_ANSWER = {2002, 2003, 2005, 2006, 2013, 2055}
_ACCOUNT = "Look at the user name, the password and the database's name in DATABASE_URL."
_ROOM = "Other programs use it up, or COMMITTERS, CHARGER_CONNECTIONS and REST_CONNECTIONS are set too high."
_HINTS = {
    1040: _ROOM,
    1044: _ACCOUNT,
    1045: _ACCOUNT,
    1049: _ACCOUNT,
    1130: "The account may not be used from this machine.",
    1203: _ROOM,
    1226: _ROOM,
    1698: _ACCOUNT,
    2026: "Look at the ssl_… options of DATABASE_URL.",
    3159: "It wants encrypted connections: add ?ssl_mode=REQUIRED to DATABASE_URL.",
}


def classify(error: BaseException) -> Fault:
    """The kind of trouble that an exception from a statement or a commit is."""
    if isinstance(error, exc.TimeoutError):  # no connection of the pool came free
        return Fault.CROWDED
    if not isinstance(error, exc.DBAPIError):
        return Fault.POISON
    if error.connection_invalidated:
        return Fault.AWAY
    cause = error.orig
    if isinstance(cause, sqlite3.OperationalError):
        return _classify_sqlite(str(cause))
    number = cause.args[0] if cause is not None and cause.args else None
    if number in _CONTENTION:
        return Fault.CONTENTION
    if number in _CROWDED:
        return Fault.CROWDED
    if number in _AWAY or isinstance(error, exc.InterfaceError):
        return Fault.AWAY
    return Fault.POISON


def is_timeout(error: BaseException) -> bool:
    """The database did not answer in time; else the connection was ended."""
    return "timed out" in str(getattr(error, "orig", None) or error)


def is_already_there(error: BaseException) -> bool:
    """Another connection has just committed a row with the same key: whoever looks again will find it."""
    cause = error.orig if isinstance(error, exc.IntegrityError) else None
    return cause is not None and bool(cause.args) and cause.args[0] == _DUPLICATE_ENTRY


def explain(error: exc.DBAPIError) -> str:
    """Why there is no connection, in one line: does the database not answer, or does it answer with a refusal."""
    cause = error.orig
    number = cause.args[0] if cause is not None and cause.args else None
    if cause is None or not isinstance(number, int) or number in _NO_ANSWER:
        return f"the database does not answer: {cause}"
    return (
        f"the database answers, and refuses: {cause.args[-1]} ({number}). {_HINTS.get(number, '')}".rstrip()
    )


def _classify_sqlite(text: str) -> Fault:
    if "locked" in text or "busy" in text:
        return Fault.CONTENTION
    if any(sign in text for sign in ("readonly", "disk", "full", "unable to open", "no such table")):
        return Fault.AWAY
    return Fault.POISON


def first_line(error: BaseException) -> str:
    """The database's own words, for the log and the inbox."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:500]
