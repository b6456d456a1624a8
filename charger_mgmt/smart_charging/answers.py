"""What a charger's answers to SetChargingProfile and ClearChargingProfile do (sections 5.16 and 5.5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from .. import clock
from ..commands import command_rows
from ..commands.calls import Answered
from . import profile_rows


def installed(conn: Connection, answered: Answered) -> None:
    """What was Accepted is installed, whoever sent it, and takes the place of what it replaces."""
    profile, connector_id = answered.payload.get("csChargingProfiles"), answered.payload.get("connectorId")
    if not isinstance(profile, dict) or type(connector_id) is not int:
        return
    profile_id, level = profile.get("chargingProfileId"), profile.get("stackLevel")
    word = answered.response.get("status") or answered.error_code
    if not (_fits(profile_id) and _fits(level) and _fits(connector_id)):
        return
    profile_id, level = int(profile_id or 0), int(level or 0)
    row = profile_rows.by_profile_id(conn, answered.charger_id, profile_id)
    if word is None:
        if row is not None and not answered.sent and not row.kept:
            profile_rows.change(conn, row.id, state=profile_rows.REFUSED, answer="not sent")
        return
    now = clock.now()
    if word != "Accepted":
        if row is not None and row.state == profile_rows.REQUESTED:
            refused = {"state": profile_rows.REFUSED, "answer": str(word)[:255], "answered_at": now}
            profile_rows.change(conn, row.id, **refused)
        return
    purpose = str(profile.get("chargingProfilePurpose"))[:32]
    values: dict[str, Any] = {
        "connector_id": connector_id,
        "purpose": purpose,
        "stack_level": level,
        "profile": profile,
        "transaction_id": profile.get("transactionId") if _fits(profile.get("transactionId")) else None,
        "expires_at": _moment(profile.get("validTo")),
        "state": profile_rows.INSTALLED,
        "answer": "Accepted",
        "answered_at": now,
        "tried_at": None,
    }
    if row is None or row.state not in (profile_rows.REQUESTED, profile_rows.INSTALLED):
        command = command_rows.by_id(conn, answered.command_id)
        number = profile_rows.add(
            conn,
            charger_id=answered.charger_id,
            profile_id=profile_id,
            requested_by=command.requested_by if command is not None else "",
            created_at=now,
            **values,
        )
    else:
        number = row.id
        profile_rows.change(conn, number, **values)
    profile_rows.replace(conn, answered.charger_id, connector_id, purpose, level, profile_id, number)


def cleared(conn: Connection, answered: Answered) -> None:
    """Accepted: they are gone; Unknown: there are none such. Either way none is left."""
    if answered.response.get("status") not in ("Accepted", "Unknown"):
        return
    payload = answered.payload
    if _fits(payload.get("id")):
        profile_rows.clear(conn, answered.charger_id, profile_id=payload["id"])
        return
    level, connector_id = payload.get("stackLevel"), payload.get("connectorId")
    profile_rows.clear(
        conn,
        answered.charger_id,
        connector_id=connector_id if _fits(connector_id) else None,
        purpose=payload.get("chargingProfilePurpose"),
        level=level if _fits(level) else None,
    )


def _fits(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**31


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
