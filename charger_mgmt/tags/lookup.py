"""Looking up idTags for chargers' messages, many at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection, func, or_, select

from ..database.bulk import among, distinct, storable
from ..database.models import Command, Tag, Transaction
from ..domain import authorisation
from ..domain.authorisation import TagRecord
from ..domain.transactions import IN_PROGRESS

# Made once: to put a statement together costs as much as to execute it.
_KNOWN = (
    select(
        Tag.id_tag_key,
        Tag.id_tag,
        Tag.status,
        Tag.expiry_date,
        Tag.parent_id_tag,
        Tag.max_active_transactions,
        Command.charger_id,
        Command.transaction_id,
        Transaction.status.label("session_status"),
    )
    .outerjoin(Command, Command.id == Tag.command_id)
    .outerjoin(Transaction, Transaction.id == Command.transaction_id)
    .where(among(Tag.__table__.c.id_tag_key, "keys"))
)

_NOT_REFUSED = or_(Transaction.id_tag_status.is_(None), Transaction.id_tag_status == authorisation.ACCEPTED)


def find_tags(conn: Connection, id_tags: Iterable[str], *, starting: bool) -> dict[str, TagRecord]:
    """What is known of each tag, under the text by which it was asked for; unknown ones are absent.

    A one-use tag is spent once its start has come; for anything but a start (`starting` False) it is
    good until that session has ended.
    """
    asked = {id_tag: authorisation.candidate_keys(storable(id_tag)) for id_tag in id_tags}
    keys = [key for keys in asked.values() for key in keys]
    if not keys:
        return {}
    rows = conn.execute(_KNOWN, {"keys": keys})
    known: dict[str, TagRecord] = {}
    for row in rows:
        used = row.transaction_id is not None
        in_use = row.session_status == IN_PROGRESS
        record = TagRecord(
            row.id_tag,
            row.status,
            row.expiry_date,
            row.parent_id_tag,
            row.max_active_transactions,
            only_at=row.charger_id,
        )
        if used:
            spent = starting or not in_use
            record = replace(record, spent=spent, expiry_date=None if in_use else record.expiry_date)
        known[row.id_tag_key] = record
    return {
        id_tag: next(known[key] for key in candidates if key in known)
        for id_tag, candidates in asked.items()
        if any(key in known for key in candidates)
    }


def count_active(conn: Connection, tags: Iterable[TagRecord]) -> dict[str, int]:
    """How many transactions each limited tag has open, by tag key; locks the tags so that it stays true.

    A session that was refused at its start is not one of the tag's, nor one of a charger that nobody has approved.
    """
    limited = [authorisation.tag_key(tag.id_tag) for tag in tags if tag.max_active_transactions is not None]
    if not limited:
        return {}
    keys = distinct(limited)
    conn.execute(select(Tag.id).where(Tag.id_tag_key.in_(keys)).with_for_update()).all()
    lowered = func.lower(Transaction.id_tag)
    counted = conn.execute(
        select(lowered, func.count())
        .where(
            Transaction.status == IN_PROGRESS,
            lowered.in_(keys),
            _NOT_REFUSED,
            Transaction.unapproved.is_(False),
        )
        .group_by(lowered)
    )
    return {row[0]: row[1] for row in counted}
