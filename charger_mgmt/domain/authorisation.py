"""Who may charge: what an idTag is answered (OCPP 1.6 sections 3.5, 4.1, 7.2, 7.27)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

ACCEPTED = "Accepted"
EXPIRED = "Expired"
INVALID = "Invalid"
CONCURRENT_TX = "ConcurrentTx"

#: The longest idTag of the specification; some chargers echo longer ones.
LONGEST_TAG = 20
#: What clients take out of an address before they send it (RFC 3986 section 5.2.4), escaped or not.
RELATIVE = (".", "..")
#: CiString20Type (section 7): printable ASCII; blanks at the ends would be lost in comparisons.
_TAG = re.compile(r"[!-~](?:[ -~]{0,18}[!-~])?")


@dataclass(frozen=True, slots=True)
class TagRecord:
    """What is known of an idTag."""

    id_tag: str
    status: str
    expiry_date: datetime | None = None
    parent_id_tag: str | None = None
    max_active_transactions: int | None = None
    #: A one-use tag whose start has come: good only for that session.
    spent: bool = False
    #: A one-use tag: the charger (its row's id) that it was made for.
    only_at: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An idTagInfo (section 7.27)."""

    status: str
    expiry_date: datetime | None = None
    parent_id_tag: str | None = None


def tag_problem(id_tag: str) -> str | None:
    """Why a text cannot be an idTag that we issue, as a sentence without a subject; None when it can."""
    if not _TAG.fullmatch(id_tag):
        return "must be 1 to 20 printable ASCII characters without blanks at the ends"
    if id_tag in RELATIVE:
        return "must not be a relative path: nobody could name it in an address"
    return None


def unknown_status(setting: str) -> str:
    """What a tag that nobody entered is answered: a setting ("accept" or "invalid")."""
    return ACCEPTED if setting == "accept" else INVALID


def tag_key(id_tag: str) -> str:
    """The text by which idTags compare: case does not count, nor do blanks around it."""
    return id_tag.strip().casefold()


def candidate_keys(id_tag: str) -> list[str]:
    """The keys under which a tag may be known, best first.

    A tag longer than the specification allows is known as it is, or it is one of ours with something appended
    (some chargers do that): every prefix that fits is a candidate.
    """
    whole = tag_key(id_tag)
    if len(whole) <= LONGEST_TAG:
        return [whole]
    return [whole, *(whole[:length] for length in range(LONGEST_TAG, 3, -1))]


def may_be_same(said: str | None, known: str | None) -> bool:
    """Whether what a charger says may be the tag that we know: in other case, or with something appended."""
    whole = tag_key(known or "")
    return whole == tag_key(said or "") or whole in candidate_keys(said or "")


def judge(tag: TagRecord | None, now: datetime, *, at: int, unknown: str, active: int = 0) -> Verdict:
    """What the tag is answered.

    `at` is the charger (its row's id) where it is shown; `unknown` is the status of a tag that nobody
    entered; `active` counts the transactions that the
    tag has open elsewhere (0 for Authorize, which never answers ConcurrentTx: section 7.2).
    """
    if tag is None:
        return Verdict(unknown)
    status = tag.status
    if tag.spent or tag.only_at not in (None, at):
        status = INVALID
    elif status == ACCEPTED and tag.expiry_date is not None and tag.expiry_date <= now:
        status = EXPIRED
    elif (
        status == ACCEPTED
        and tag.max_active_transactions is not None
        and active >= tag.max_active_transactions
    ):
        status = CONCURRENT_TX
    return Verdict(status, tag.expiry_date, tag.parent_id_tag)
