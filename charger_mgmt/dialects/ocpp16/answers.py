"""An outcome as the payload of its CALLRESULT in OCPP 1.6."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...domain import outcomes
from ...domain.authorisation import Verdict
from .. import timestamps


def booted(payload: Any, outcome: outcomes.Booted) -> dict[str, Any]:
    now = timestamps.format(outcome.now)
    return {"status": outcome.status, "currentTime": now, "interval": outcome.interval}


def alive(payload: Any, outcome: outcomes.Alive) -> dict[str, Any]:
    return {"currentTime": _now(outcome.now)}


#: Thousands of chargers ask for it, within the same second.
_now = lru_cache(maxsize=2)(timestamps.format)


def judged(payload: Any, outcome: outcomes.Judged) -> dict[str, Any]:
    return {"idTagInfo": id_tag_info(outcome.verdict)}


def begun(payload: Any, outcome: outcomes.Begun) -> dict[str, Any]:
    return {"transactionId": outcome.transaction_id, "idTagInfo": id_tag_info(outcome.verdict)}


def ended(payload: Any, outcome: outcomes.Ended) -> dict[str, Any]:
    """idTagInfo only where an idTag was sent."""
    return {} if outcome.verdict is None else {"idTagInfo": id_tag_info(outcome.verdict)}


def transferred(payload: Any, outcome: outcomes.Transferred) -> dict[str, Any]:
    said = {} if outcome.data is None else {"data": outcome.data}
    return {"status": outcome.status} | said


def id_tag_info(verdict: Verdict) -> dict[str, str]:
    """The idTagInfo object (section 7.27)."""
    info = {"status": verdict.status}
    if verdict.expiry_date is not None:
        info["expiryDate"] = timestamps.format(verdict.expiry_date)
    if verdict.parent_id_tag:
        info["parentIdTag"] = verdict.parent_id_tag
    return info
