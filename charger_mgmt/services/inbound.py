"""What the gateway hands to the services, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection

from ..domain import transactions as rules
from ..settings import Settings as Settings
from .feed import Fact


@dataclass(slots=True)
class ChargerMessage:
    """One message of a charger, after the tolerances.

    `payload` is OCPP-shaped in both dialects; a flat charger's own transactionId stands in it as
    `sessionId`. `oddities` say what the tolerances did. `raw` is the text as it came.
    """

    action: str
    charger_id: int
    identity: str
    payload: dict[str, Any]
    raw: str
    message_id: str | None
    received_at: datetime
    oddities: tuple[str, ...] = ()
    flat: bool = False
    #: The socket was opened with the charger's password.
    proven: bool = False
    #: How old a time of the charger's may be and still be believed.
    behind: timedelta = rules.BEHIND

    def believes(self, moment: datetime | None) -> bool:
        """Whether a time that stands in the message can be believed."""
        return rules.believed(moment, self.received_at, self.behind)

    def effective(self, moment: datetime | None) -> datetime:
        """The time that counts: the charger's where it can be believed, else that of receipt."""
        return moment if moment is not None and self.believes(moment) else self.received_at


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A call to the charger that is due once it has its answer."""

    action: str
    payload: dict[str, Any]
    reason: str


@dataclass(slots=True)
class Reply:
    """The CALLRESULT's payload, what to do afterwards, and what has happened (told once it is committed)."""

    payload: dict[str, Any]
    follow_ups: tuple[FollowUp, ...] = ()
    facts: tuple[Fact, ...] = ()


#: Handles messages of one action as a set: the replies stand in the order of the messages.
BatchService: TypeAlias = Callable[[Connection, Sequence[ChargerMessage], datetime, Settings], list[Reply]]
