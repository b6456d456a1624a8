"""Authorize: may this idTag charge? (OCPP 1.6 section 4.1)"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from ..domain import authorisation, facts
from ..domain.outcomes import Judged
from ..intake import events
from ..intake.messages import ChargerMessage, Reply
from ..settings import Settings
from .lookup import find_tags


def authorize(
    conn: Connection, messages: Sequence[ChargerMessage[facts.TagShown]], now: datetime, settings: Settings
) -> list[Reply]:
    """Judge each tag. A tag that is charging already is not ConcurrentTx: it may come to stop."""
    tags = find_tags(conn, (message.fact.id_tag for message in messages), starting=False)
    replies, journal = [], []
    for message in messages:
        id_tag = message.fact.id_tag
        verdict = authorisation.judge(
            tags.get(id_tag),
            now,
            at=message.charger_id,
            unknown=authorisation.unknown_status(settings.unknown_tags),
        )
        replies.append(Reply(Judged(verdict)))
        journal.append((message, message.action, {"idTag": id_tag, "status": verdict.status}))
    events.journal(conn, journal)
    return replies
