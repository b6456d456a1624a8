"""What chargers send in OCPP 1.6: one row a message (section 4, and three notices of the security extension)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ...domain import facts as said
from ...domain import oddities as odd
from ...ocppj import errors
from .. import Checked, Incoming, Table, Taken, Violation, no_answer, timestamps
from . import answers, facts, readings
from .form import LONGEST_TEXT, MoneyForm, Open, OpenForm, bare, sorted_notes
from .published import document, names

F = TypeVar("F", bound=said.Fact)

_TIMESTAMP_LIKE = re.compile(r"\s*\d{1,4}-\d{1,2}-\d{1,2}", re.ASCII)
_INVENTORY = ("chargePointSerialNumber", "chargeBoxSerialNumber", "firmwareVersion", "iccid", "imsi")
_ANY_STATUS: Final = {"status": Open("Idle", "status", odd.UNKNOWN_STATUS)}


def _trimmed(payload: dict[str, Any], notes: set[str], strict: bool) -> Checked:
    """Blanks around the inventory's texts cut off, empty ones noted."""
    limits = document("BootNotification")["properties"]
    result = {}
    for name, value in payload.items():
        text = value.strip()
        if text != value:
            notes.add(odd.PADDED_TEXT)
        if not text:
            notes.add(odd.EMPTY_TEXT)
        text = text[:LONGEST_TEXT]
        if len(text) > limits[name]["maxLength"]:
            notes.add(odd.OVERLONG_TEXT)
        result[name] = text
    return Checked(result, sorted_notes(notes))


def _with_readable_time(payload: dict[str, Any], notes: set[str], strict: bool) -> Checked:
    """The timestamp readable or gone."""
    if any(len(payload.get(name, "")) > 50 for name in ("info", "vendorErrorCode")):
        notes.add(odd.OVERLONG_TEXT)
    timestamp = payload.get("timestamp")
    if timestamp is not None and timestamps.parse(timestamp) is None:
        if strict and timestamp.strip() and not _TIMESTAMP_LIKE.match(timestamp):
            fault = Violation(errors.PROPERTY_CONSTRAINT_VIOLATION, "timestamp must be a date and time")
            return Checked(payload, sorted_notes(notes), fault)
        notes.add(odd.UNREADABLE_TIMESTAMP)
        payload = {name: value for name, value in payload.items() if name != "timestamp"}
    return Checked(payload, sorted_notes(notes))


def _empty(payload: dict[str, Any]) -> str:
    return ""


def _error_code(payload: dict[str, Any]) -> str:
    status = payload.get("status")
    return "OtherError" if isinstance(status, str) and bare(status) == "faulted" else "NoError"


def _other(
    action: str,
    fact: type[F],
    read: Callable[[dict[str, Any]], F],
    answer: Callable[[Any, Any], dict[str, Any]] = no_answer,
    *,
    taken: Taken = Taken.UNLESS_REFUSED,
    from_memory: bool = False,
    **tolerances: Any,
) -> Incoming[F]:
    """A message that is refused when it cannot be understood; `tolerances` as in OpenForm."""
    return Incoming(
        action=action,
        form=OpenForm(action=action, **tolerances),
        fact=fact,
        read=read,
        answer=answer,
        taken=taken,
        from_memory=from_memory,
    )


def _money(
    action: str,
    fact: type[F],
    read: Callable[[dict[str, Any]], F],
    answer: Callable[[Any, Any], dict[str, Any]],
    tolerant: Callable[[Any, set[str]], dict[str, Any]],
) -> Incoming[F]:
    """A message that carries money; `tolerant` reads what does not fit the schema."""
    form = MoneyForm(action, tolerant)
    return Incoming(
        action=action,
        form=form,
        fact=fact,
        read=read,
        answer=answer,
        taken=Taken.ALWAYS,
        never_refused=True,
    )


_ROWS: Final[tuple[Incoming[Any], ...]] = (
    _other("Authorize", said.TagShown, facts.tag_shown, answers.judged),
    _other(
        "BootNotification",
        said.Boots,
        facts.boots,
        answers.booted,
        taken=Taken.ALWAYS,
        overlong=(*_INVENTORY, "meterType", "meterSerialNumber"),
        defaults={"chargePointVendor": _empty, "chargePointModel": _empty},
        may_be_null=("chargePointVendor", "chargePointModel"),
        finish=_trimmed,
    ),
    _other("DataTransfer", said.DataSent, facts.data_sent, answers.transferred, prose=("data",)),
    _other(
        "DiagnosticsStatusNotification",
        said.DiagnosticsReport,
        facts.diagnostics_report,
        open_words=_ANY_STATUS,
    ),
    _other(
        "FirmwareStatusNotification", said.FirmwareReports, facts.firmware_reports, open_words=_ANY_STATUS
    ),
    _other("Heartbeat", said.Lives, facts.lives, answers.alive, taken=Taken.ACCEPTED, from_memory=True),
    _other("LogStatusNotification", said.Noted, facts.noted, open_words=_ANY_STATUS),
    _money("MeterValues", said.Metered, facts.metered, no_answer, readings.meter_values),
    _other(
        "SecurityEventNotification",
        said.Noted,
        facts.noted,
        prose=("techInfo",),
        defaults={"timestamp": _empty},
    ),
    _other("SignedFirmwareStatusNotification", said.Noted, facts.noted, open_words=_ANY_STATUS),
    _money(
        "StartTransaction",
        said.SessionBegins,
        facts.session_begins,
        answers.begun,
        readings.start_transaction,
    ),
    _other(
        "StatusNotification",
        said.ConnectorReports,
        facts.connector_reports,
        overlong=("info", "vendorErrorCode"),
        open_words={"errorCode": Open("OtherError", "reportedErrorCode", odd.UNKNOWN_ERROR_CODE)},
        old_words={"status": {"occupied": "Preparing"}},
        prose=("info",),
        defaults={"errorCode": _error_code},
        finish=_with_readable_time,
    ),
    _money("StopTransaction", said.SessionEnds, facts.session_ends, answers.ended, readings.stop_transaction),
)
#: Action → its row. Names are case-sensitive (OCPP-J section 4.2.1).
INCOMING: Final[Table] = {row.action: row for row in _ROWS}


def check(action: str, payload: Any, *, strict: bool = False) -> Checked:
    """A charger's CALL: what may be processed, and the error code that is due otherwise. Never raises.

    An action that OCPP 1.6 does not know is NotImplemented, one that we do not serve NotSupported.
    """
    row = INCOMING.get(action)
    if row is not None and row.form is not None:
        return row.form.check(payload, strict=strict)
    return Checked({}, (), unknown(action))


def unknown(action: str) -> Violation:
    """What a charger is told that sends what no row is for."""
    if action in names():
        return Violation(errors.NOT_SUPPORTED, f"{action} is not supported here")
    return Violation(errors.NOT_IMPLEMENTED, f"{action[:64]} is not an action of OCPP 1.6")
