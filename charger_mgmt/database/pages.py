"""Pages of journals: newest first, and ended by bytes as well as by rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, func

#: The texts of one page, in bytes, if it has more than one row: a single one may have a megabyte.
LONGEST_PAGE = 2_000_000


#: The rows of a page and one more if there is one, and how many belong to the page.
Page: TypeAlias = "tuple[Sequence[Row[Any]], int]"


def newest(
    conn: Connection,
    query: Select[Any],
    *texts: ColumnElement[Any],
    row_id: ColumnElement[int],
    before: int | None,
    limit: int,
) -> Page:
    """A page of a journal: newest first, those with an id below `before`."""
    if before is not None:
        query = query.where(row_id < before)
    return fitting(conn, query, *texts, order=row_id.desc(), limit=limit)


def fitting(
    conn: Connection, query: Select[Any], *texts: ColumnElement[Any], order: ColumnElement[Any], limit: int
) -> Page:
    """The first rows of a query in this order and one more if there is one, and how many belong to the page.

    These are at most `limit`, and fewer if their `texts` are long.
    """
    size = sum(
        (func.coalesce(func.length(text), 0) for text in texts[1:]), func.coalesce(func.length(texts[0]), 0)
    )
    lengths = conn.execute(
        query.with_only_columns(size, maintain_column_froms=True).order_by(order).limit(limit)
    )
    within = sum(length <= LONGEST_PAGE for length in accumulate(row[0] for row in lengths))
    page = max(1, within)
    return conn.execute(query.order_by(order).limit(page + 1)).all(), page
