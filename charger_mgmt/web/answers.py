"""What answers are made of: Structs whose fields are the columns of rows, and the kinds of their values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from ..domain.status import SUMMARIES
from ..domain.transactions import COMPLETED, IN_PROGRESS, INTERRUPTED
from .fields import about, choice
from .replies import time_text

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
#: Exact: written as it is, never through a float.
Number = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "number"})]
ChargerId = Annotated[
    int | str,
    about(
        "The identity the charger dials in with: an integer when it is a canonical decimal number up to"
        " 2^53 - 1, else a string.",
        examples=[1, "CP001"],
        extra_json_schema={"x-component": "ChargerId"},
    ),
]
ChargerStatus = Annotated[
    str,
    choice(
        SUMMARIES,
        "ChargerStatus",
        description="The charger's status in four words; the nine OCPP statuses stand in `connectors`.",
    ),
]
TransactionStatus = Annotated[str, choice((IN_PROGRESS, COMPLETED, INTERRUPTED), "TransactionStatus")]


class Answer(msgspec.Struct, rename="camel", gc=False):
    """One JSON object of an answer; its fields stand in it in their order."""

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        """The answer about a row: a field that is not given is the row's column of the same name. Moments become texts."""
        names, read = _columns(cls, getattr(row, "_fields", None), tuple(given))
        values = dict(zip(names, read(row), strict=True))
        values.update(given)
        for name, value in values.items():
            if type(value) is datetime:
                values[name] = time_text(value)
        return cls(**values)


@cache
def _columns(
    kind: type[Answer], columns: tuple[str, ...] | None, given: tuple[str, ...]
) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Which columns an answer has, and how they are read: by place, which is ten times as fast as by name."""
    names = tuple(name for name in kind.__struct_fields__ if name not in given)
    if columns is None:  # no row of the database
        return names, attrgetter(*names)
    return names, itemgetter(*(columns.index(name) for name in names))


def scaled(whole: int | None, places: int) -> msgspec.Raw | None:
    """A whole number of 10^-places as an exact JSON number: 1234500 by 3 is 1234.5, never a float."""
    if whole is None:
        return None
    units, rest = divmod(abs(whole), 10**places)
    sign = "-" if whole < 0 else ""
    decimals = f".{rest:0{places}}".rstrip("0") if rest else ""
    return msgspec.Raw(f"{sign}{units}{decimals}".encode())


class Sample(Answer):
    """A sampled value, in the fields that its heir names; `value` is the row's `value_micro`."""

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        return super().of(row, value=scaled(row.value_micro, 6), **given)


class MeterValue(Sample):
    """One sample."""

    timestamp: Time | None
    received_at: Time
    measurand: str
    phase: str | None
    context: str
    location: str
    format: str
    unit: str | None
    value: Annotated[Number | None, about("Null when `raw` is no number.")]
    raw: str


def degrees(value: Any) -> float | None:
    return None if value is None else float(value)
