"""What a database error means for the message that met it."""

from __future__ import annotations

import sqlite3
from enum import Enum

from sqlalchemy import exc


class Fault(Enum):
    """Three kinds of trouble, three reactions."""

    AWAY = "away"  # the database does not take writes: nobody is answered
    CONTENTION = "contention"  # a deadlock or a lock time-out: try again
    POISON = "poison"  # the database is there and refuses this record


#: MySQL and MariaDB error numbers that say "not now", not "not this".
_AWAY = {
    1021,  # disk full
    1026,  # error writing a file
    1036,  # table is read-only
    1040,  # too many connections
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
    1203,  # too many user connections
    1226,  # user limit reached
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
_CONTENTION = {1205, 1213, 1020}
_DUPLICATE_ENTRY = 1062


def classify(error: BaseException) -> Fault:
    """The kind of trouble that an exception from a statement or a commit is."""
    if isinstance(error, exc.TimeoutError):  # no connection of the pool came free
        return Fault.AWAY
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
    if number in _AWAY or isinstance(error, exc.InterfaceError):
        return Fault.AWAY
    return Fault.POISON


def is_already_there(error: BaseException) -> bool:
    """Another connection has just committed a row with the same key: whoever looks again will find it."""
    cause = error.orig if isinstance(error, exc.IntegrityError) else None
    return cause is not None and bool(cause.args) and cause.args[0] == _DUPLICATE_ENTRY


def _classify_sqlite(text: str) -> Fault:
    if "locked" in text or "busy" in text:
        return Fault.CONTENTION
    if any(sign in text for sign in ("readonly", "disk", "full", "unable to open", "no such table")):
        return Fault.AWAY
    return Fault.POISON
