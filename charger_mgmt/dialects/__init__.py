"""What a message of a dialect is: one row of its table.

A table turns what came over the wire into facts (domain/facts.py), and outcomes (domain/outcomes.py) into what goes
back; whatever lies behind knows facts and outcomes only. So a version of OCPP more is a table more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from ..domain.facts import Fact

F = TypeVar("F", bound=Fact)


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with a payload: an error code of OCPP-J and a sentence that names the field."""

    code: str
    description: str


class Checked(NamedTuple):
    """A payload that was read: what it holds, what was odd about it (`oddities`), what is wrong with it.

    `violation` None: it may be processed.
    """

    payload: dict[str, Any]
    oddities: tuple[str, ...] = ()
    violation: Violation | None = None


class Form(Protocol):
    """How a payload is checked, with the dialect's tolerances."""

    def check(self, payload: Any, *, strict: bool) -> Checked:
        """What may be processed, and the error code that is due otherwise. Never raises."""


class Taken(Enum):
    """From whom a message is taken (section 4.2, errata 3.10), if the charger is not held to the letter."""

    #: From any charger that may dial in: boots, and what carries money.
    ALWAYS = "always"
    #: From one that was accepted, or that has never asked and may come in: it was moved here, and speaks on.
    UNLESS_REFUSED = "unless refused"
    #: From one that was accepted.
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming(Generic[F]):
    """One message that chargers send.

    `read` makes the fact of a checked payload, `answer` the payload of the answer, of a checked payload and an
    outcome. `never_refused`: it carries money, and is taken whatever its form is. `from_memory`: its answer waits for
    nothing.
    """

    action: str
    fact: type[F]
    read: Callable[[Any], F]
    answer: Callable[[Any, Any], dict[str, Any]]
    form: Form | None = None
    taken: Taken = Taken.UNLESS_REFUSED
    never_refused: bool = False
    from_memory: bool = False


class Said(NamedTuple):
    """One message as it came: its row, its checked payload, what was odd, its text, its id if it has one.

    `fact`: what the row's reader makes of it, if that was called already.
    """

    row: Incoming[Any]
    payload: Any
    raw: str
    oddities: tuple[str, ...] = ()
    message_id: str | None = None
    fact: Fact | None = None


def no_answer(payload: Any, outcome: Any) -> dict[str, Any]:
    """There is nothing to say but that it is kept."""
    return {}


Table = Mapping[str, Incoming[Any]]
