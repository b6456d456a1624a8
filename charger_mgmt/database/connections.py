"""Database connections for one use case: to read, or to write and commit once at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ..errors import DatabaseAway
from . import acts
from .faults import Fault, classify


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A database connection to read with. Raises DatabaseAway."""
    with _named_faults(), engine.connect() as conn:
        yield conn


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A database connection that commits when the block ends well. Raises DatabaseAway.

    On SQLite it takes the write lock at its begin: a transaction that reads first and writes later
    would be refused, not delayed, when another one wrote in between. What somebody does, and is to be kept, has its entry
    in the same commit; see acts.py.
    """
    with _named_faults():
        with engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as conn, acts.within(conn):
            yield conn
        acts.committed()


@contextmanager
def _named_faults() -> Iterator[None]:
    """A database that is away, or too busy, by its name; what it refuses stays what it is."""
    try:
        yield
    except SQLAlchemyError as error:
        if classify(error) is Fault.POISON:
            raise
        raise DatabaseAway from error
