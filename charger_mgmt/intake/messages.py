"""What the gateway hands to the handlers, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection

from ..dialects import Incoming, no_answer
from ..domain import dialect, facts
from ..domain import transactions as rules
from ..domain.dialect import Dialect
from ..domain.facts import Fact
from ..domain.outcomes import KEPT
from ..feed import Happened
from ..settings import Settings

F = TypeVar("F", bound=Fact)


@dataclass(slots=True)
class ChargerMessage(Generic[F]):
    """One message of a charger, after the tolerances, or what its socket tells of it.

    `payload` is what the row's reader takes. `oddities` say what the tolerances did. `raw` is the text as it came.
    """

    row: Incoming[F]
    charger_id: int
    identity: str
    payload: Any
    received_at: datetime
    raw: str = ""
    message_id: str | None = None
    oddities: tuple[str, ...] = ()
    dialect: Dialect = dialect.OCPP16
    #: The socket was opened with the charger's password.
    proven: bool = False
    #: How old a time of the charger's may be and still be believed.
    behind: timedelta = rules.BEHIND
    _fact: F | None = None

    @property
    def action(self) -> str:
        return self.row.action

    @property
    def fact(self) -> F:
        """What it says. Read when it is first asked for: what cannot be read goes where poison goes."""
        if self._fact is None:
            self._fact = self.row.read(self.payload)
        return self._fact

    def believes(self, moment: datetime | None) -> bool:
        """Whether a time that stands in the message can be believed."""
        return rules.believed(moment, self.received_at, self.behind)

    def effective(self, moment: datetime | None) -> datetime:
        """The time that counts: the charger's where it can be believed, else that of receipt."""
        return moment if moment is not None and self.believes(moment) else self.received_at


def _of_a_socket(action: str, fact: type[F]) -> Incoming[F]:
    """What our side of the line tells of a charger: the payload is the fact."""
    return Incoming(action=action, fact=fact, read=lambda told: told, answer=no_answer)


CONNECT = _of_a_socket("Connect", facts.Comes)
DISCONNECT = _of_a_socket("Disconnect", facts.Goes)
REFUSED = _of_a_socket("Refused", facts.TurnedAway)
OVER_QUOTA = _of_a_socket("QuotaExceeded", facts.Noted)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A call to the charger that is due once it has its answer."""

    action: str
    payload: dict[str, Any]
    reason: str


@dataclass(slots=True)
class Reply:
    """What came of it, what to do afterwards, and what has happened (told once it is committed)."""

    outcome: Any = KEPT
    follow_ups: tuple[FollowUp, ...] = ()
    happened: tuple[Happened, ...] = ()


#: Handles facts of one kind as a set: the replies stand in the order of the messages.
Handler: TypeAlias = Callable[[Connection, Sequence[ChargerMessage[Any]], datetime, Settings], list[Reply]]
#: In the order in which one batch runs them.
Handlers: TypeAlias = Mapping[type[Fact], Handler]
