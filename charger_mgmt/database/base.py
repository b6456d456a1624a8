"""The declarative base and the column types that behave alike on MySQL, MariaDB and SQLite."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, Row, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from ..clock import cut_to_milliseconds


class Base(DeclarativeBase):
    """Every table of the system."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    if TYPE_CHECKING:
        __table__: ClassVar[Table]


#: A row of a query whose columns are read by name.
AnyRow: TypeAlias = "Row[*tuple[Any, ...]]"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python, DATETIME(3) without a zone in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=3))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: say which zone it is in")
        return cut_to_milliseconds(value.astimezone(UTC)).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


#: A surrogate key; SQLite autoincrements only INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")


def ExactString(length: int) -> String:  # noqa: N802 - reads as a type
    """Text compared byte for byte (identities, hashes): MySQL folds case unless told not to."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


#: Raw text of any length (MySQL's TEXT ends at 64 KiB).
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
