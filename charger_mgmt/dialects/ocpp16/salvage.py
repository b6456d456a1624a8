"""What can be saved of a CALL that is not valid JSON but carries money.

Chargers have been seen to send `"transactionId":,` (Home Assistant OCPP, issue 2032). Such a StopTransaction
is never refused for its form: whatever stands in it as `"name": value` is taken, the rest is absent.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

from ...domain.oddities import BROKEN_JSON
from ...ocppj.conversation import CallReceived, Reply
from ...ocppj.frames import CallError, Malformed, decode
from .table import INCOMING

#: A field and its whole value (a number that breaks off with the text is not one), any other text, or a
#: bracket.
_TOKEN = re.compile(
    r'"(connectorId|idTag|timestamp|meterStart|meterStop|transactionId|reason|reservationId)"\s*:\s*'
    r'("(?:[^"\\]|\\.){0,255}"|-?\d{1,20}(?:\.\d{1,10})?(?=\s*[,}\]]))'
    r'|"(?:[^"\\]|\\.)*"|[\[\]{}]'
)
#: Inside the frame's array and the payload's object, and not deeper: a sample has a timestamp too.
_PAYLOAD = 2


def saved_call(event: Reply, text: str) -> CallReceived | None:
    """The call that a broken frame meant, if it carries money; None: refuse it."""
    row = INCOMING.get(event.action or "")
    if row is None or not row.never_refused:
        return None
    frame = decode(text)
    if not isinstance(frame, Malformed) or not isinstance(frame.reply, CallError):
        return None
    return CallReceived(frame.reply.id, row.action, salvage(text), text, (BROKEN_JSON,))


def salvage(text: str) -> dict[str, Any]:
    """The top-level fields of a transaction message that can still be read; the first of a name wins."""
    fields: dict[str, Any] = {}
    depth = 0
    for token in _TOKEN.finditer(text):
        name, value = token.groups()
        if name is not None:
            if depth == _PAYLOAD:
                with suppress(ValueError):
                    fields.setdefault(name, json.loads(value, strict=False, parse_float=Decimal))
        elif token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
    return fields
