"""What chargers are answered, in whatever dialect: the dialect's table writes it down."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from .authorisation import Verdict


class Outcome(msgspec.Struct, frozen=True):
    """What came of a fact. By itself: it is kept, there is no more to say."""


KEPT: Final = Outcome()


class Booted(Outcome, frozen=True):
    """`status`: Accepted, Pending or Rejected. `interval`: seconds between heartbeats, or until the next boot."""

    status: str
    now: datetime
    interval: int


class Alive(Outcome, frozen=True):
    """The time, in our words."""

    now: datetime


class Judged(Outcome, frozen=True):
    """What a tag may do."""

    verdict: Verdict


class Begun(Outcome, frozen=True):
    """The session has its number."""

    transaction_id: int
    verdict: Verdict


class Ended(Outcome, frozen=True):
    """The session's end is stored. `verdict` is that of the tag that ended it, if one did."""

    verdict: Verdict | None = None


class Transferred(Outcome, frozen=True):
    """Of a vendor's own message: Accepted, Rejected, UnknownMessageId or UnknownVendorId."""

    status: str
    data: str | None = None


class Opened(Outcome, frozen=True):
    """A socket has its generation; the rest is what the charger's row says of it."""

    charger_id: int
    generation: int
    registration: str | None
    approved: bool | None
    blocked: bool
    password_hash: str | None
    automatic_calls: bool
    strict: bool
    journal: bool | None = None
