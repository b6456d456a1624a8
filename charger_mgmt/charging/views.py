"""Charging sessions: /api/transactions."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Blueprint
from msgspec import Meta, field

from ..database.transactions import LARGEST_ID
from ..domain import identities
from ..domain import transactions as rules
from ..domain.roles import OPERATOR, VIEWER
from ..domain.transactions import COMPLETED, IN_PROGRESS, UNSURE
from ..errors import NotFound
from ..extensions import db
from ..web.answers import Answer, ChargerId, MeterValue, Number, Time, TransactionStatus, scaled
from ..web.endpoint import endpoint
from ..web.fields import (
    LARGEST,
    ChargerName,
    ConnectorFilter,
    IdTag,
    KilowattHours,
    Measurand,
    Minutes,
    Moment,
    Name,
    SiteFilter,
    about,
    choice,
    meta,
    text,
)
from ..web.pages import NEXT, IdCursor, Limit, Period, StartCursor, milliseconds, next_link, page
from ..web.process import central, operator, sites
from ..web.reading import Sent
from ..web.replies import RELATED, Reply, command_link, time_text
from . import history, limits, sessions
from .history_rows import Filters

blueprint = Blueprint("transactions", __name__, url_prefix="/transactions")


def _transaction_id(segment: str) -> int:
    number = sessions.transaction_id(segment)
    if number is None:
        raise NotFound(f"There is no transaction {segment[:40]!r}.")
    return number


TransactionId = Annotated[int, meta(_transaction_id, parameter="transactionId")]
TransactionName = Annotated[str, about("A transactionId (digits) or a sessionId (anything else).")]
_SESSION_ID = r"^(?![0-9]+$)(?!\.{1,2}$)[^\s\u0085\u0000-\u001f\u007f]([^\u0000-\u001f\u007f]*[^\s\u0085\u0000-\u001f\u007f])?$"


class StartRequest(Sent):
    session_id: Annotated[
        str,
        text(
            pattern=_SESSION_ID,
            description="Your name for the session. The same one on the same charger again is the same transaction. Not"
            " digits only: that could be taken for a transactionId.",
        ),
    ]
    connector_id: Annotated[int, Meta(ge=1, le=LARGEST)] | None = None
    id_tag: Annotated[IdTag | None, about("Without one, a one-use tag is made for this start.")] = None
    limit_kwh: Annotated[KilowattHours | None, about("Stop it when it has taken so much.")] = None
    limit_minutes: Annotated[Minutes | None, about("Stop it after so many minutes.")] = None


class LimitsRequest(Sent):
    kwh: Annotated[KilowattHours | None, about("Stop it when it has taken so much; null: no such limit.")] = (
        None
    )
    minutes: Annotated[
        Minutes | None, about("Stop it so many minutes after its start; null: no such limit.")
    ] = None


class Limits(Answer):
    kwh: Annotated[Number | None, about("The stricter of the session's own limit and its tag's.")]
    minutes: int | None
    reached: (
        Annotated[
            str,
            choice(
                (limits.ENERGY, limits.TIME),
                description="Which it has come to; its charger is asked to stop it.",
            ),
        ]
        | None
    )
    reached_at: Time | None


class EndRequest(Sent):
    force: Annotated[
        bool,
        about(
            "Close it without the charger: Interrupted, with the last thing known of it. For chargers that are"
            " gone for good."
        ),
    ] = False


class CloseRequest(Sent):
    reason: Name


class TransactionsOfChargerQuery(Period):
    since: Annotated[
        Moment | None, about("Sessions that overlap [from, to). With a zone; write + as %2B.")
    ] = field(default=None, name="from")
    until: Annotated[Moment | None, about("See from. It must not lie before from.")] = field(
        default=None, name="to"
    )
    status: Annotated[TransactionStatus | None, about("Only these.")] = None
    connector_id: ConnectorFilter | None = None
    id_tag: Annotated[str, text(description="Only this tag, in whatever case.")] | None = None
    unapproved: Annotated[
        bool, about("true: only sessions of chargers that had not been approved; else these are left out.")
    ] = False
    limit: Limit = 100
    cursor: StartCursor | None = None


class TransactionsQuery(TransactionsOfChargerQuery):
    charger_id: Annotated[str, text(description="Only this charger.")] | None = None
    site_id: SiteFilter | None = None


class SamplesQuery(Sent):
    measurand: Measurand | None = None
    limit: Limit = 100
    cursor: IdCursor | None = None


class Transaction(Answer):
    transaction_id: Annotated[int, Meta(ge=1, le=LARGEST_ID)]
    charger_id: ChargerId
    status: TransactionStatus
    identity: str
    session_id: Annotated[
        str | None, about("The operator's name for it, or the flat charger's own transactionId.")
    ]
    connector_id: int | None
    id_tag: str | None
    id_tag_status: str | None
    start_time: Annotated[
        Time,
        about(
            "The start that counts: the charger's time where it is plausible, else the time of receipt. Sorts,"
            " filters and pages."
        ),
    ]
    end_time: Annotated[Time | None, about("The end that counts; null while in progress.")]
    charger_start_time: Time | None
    received_start_time: Time
    charger_end_time: Time | None
    received_end_time: Time | None
    meter_start_wh: Number | None
    meter_stop_wh: Number | None
    meter_last_wh: Number | None
    meter_last_at: Time | None
    energy_wh: Annotated[
        Number | None, about("Energy delivered; null when it cannot be known. Exact to 0.001 Wh.")
    ]
    energy_is_provisional: Annotated[
        bool, about("The session is running: energyWh is up to its last reading (meterLastAt).")
    ]
    energy_is_unsure: Annotated[
        bool,
        about("The readings contradict each other, or the register had to be put together; `flags` say why."),
    ]
    reason: str | None
    stop_id_tag: str | None
    reservation_id: int | None
    flags: Annotated[list[str], about("Whatever looked odd about the session.")]
    unapproved: Annotated[
        bool, about("Its charger had not been approved: it is in no list until the charger is.")
    ]
    close_reason: Annotated[str | None, about("Why an operator closed it.")]
    closed_by: Annotated[str | None, about("Who closed it.")]

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        """One session. The energy of a running one is up to its last reading."""
        energy = row.energy_mwh
        if row.status == IN_PROGRESS and energy is None:
            energy, _ = rules.energy(row.meter_start_mwh, row.meter_last_mwh, None)
        flags = row.flags.split()
        return super().of(
            row,
            transaction_id=row.id,
            charger_id=identities.to_json(row.identity),
            start_time=row.effective_start,
            end_time=row.effective_end,
            charger_start_time=row.start_timestamp,
            received_start_time=row.start_received_at,
            charger_end_time=row.stop_timestamp,
            received_end_time=row.stop_received_at,
            meter_start_wh=scaled(row.meter_start_mwh, 3),
            meter_stop_wh=scaled(row.meter_stop_mwh, 3),
            meter_last_wh=scaled(row.meter_last_mwh, 3),
            energy_wh=scaled(energy, 3),
            energy_is_provisional=row.status == IN_PROGRESS and energy is not None,
            energy_is_unsure=not UNSURE.isdisjoint(flags),
            flags=flags,
            **given,
        )


class TransactionDetails(Transaction):
    meter_values: list[MeterValue]


_STARTED, _START_ACCEPTED = "Transaction started", "Start accepted by the charger"
_ENDED, _STOP_ACCEPTED = "Transaction ended", "Stop accepted by the charger"
_GIVEN_UP, _CLOSED = "Transaction given up", "Transaction closed"


class Progress(Answer):
    message: Annotated[str, choice((_STARTED, _START_ACCEPTED, _ENDED, _STOP_ACCEPTED, _GIVEN_UP, _CLOSED))]
    transaction_id: Annotated[int | None, about("Null until the charger's StartTransaction has come.")]
    charger_id: ChargerId
    session_id: str | None
    status: TransactionStatus | None
    command_id: Annotated[int | None, about("The call to the charger, when there was one.")]
    id_tag_status: Annotated[str | None, about("With a start: what the idTag was judged.")]


#: What a start or an end can meet at the charger.
_AT_THE_CHARGER = (
    "conflict",
    "charger-offline",
    "charger-busy",
    "command-refused",
    "charger-error",
    "outcome-unknown",
    "bus-away",
)


@blueprint.post("/<charger_id>/start")
@endpoint(
    access=OPERATOR,
    answers={
        201: ("Started: the charger's StartTransaction has come, or it speaks the flat dialect.", RELATED),
        202: ("The charger accepted; its StartTransaction has not come yet.", RELATED),
        200: "This sessionId was started on this charger before; `status` is its transaction's.",
    },
    errors=("not-found", "tag-refused", *_AT_THE_CHARGER),
)
def start_transaction(charger_id: ChargerName, body: StartRequest) -> Reply[Progress]:
    """Start a session."""
    progress = sessions.start(
        central(),
        db.engine,
        charger_id,
        body.session_id,
        connector_id=body.connector_id,
        id_tag=body.id_tag,
        energy_mwh=body.limit_kwh,
        minutes=body.limit_minutes,
        requested_by=operator(),
    )
    if progress.transaction_id is None:
        return _progress(_START_ACCEPTED, progress, 202)
    return _progress(_STARTED, progress, 200 if progress.repeated else 201)


@blueprint.post("/<transaction_id>/end")
@endpoint(
    access=OPERATOR,
    answers={
        200: ("Ended, now or before; `status` tells how.", RELATED),
        202: ("The charger accepted; its StopTransaction has not come yet.", RELATED),
    },
    errors=("not-found", "ambiguous-session", *_AT_THE_CHARGER),
    optional_body=True,
)
def end_transaction(transaction_id: TransactionName, body: EndRequest) -> Reply[Progress]:
    """End a session."""
    progress = sessions.end(
        central(), db.engine, transaction_id, force=body.force, sites=sites(), requested_by=operator()
    )
    if progress.status == COMPLETED:
        return _progress(_ENDED, progress, 200)
    if body.force:
        return _progress(_GIVEN_UP, progress, 200)
    return _progress(_STOP_ACCEPTED, progress, 202)


@blueprint.get("/<transaction_id>/limits")
@endpoint(access=VIEWER, answers={200: "The limits."}, errors=("not-found",))
def show_limits(transaction_id: TransactionId) -> Limits:
    """What limits a session, and whether it has come to that.

    Those of a start that was accepted count from its StartTransaction on.
    """
    return _limits(transaction_id)


@blueprint.post("/<transaction_id>/limits")
@endpoint(access=OPERATOR, answers={200: "The limits."}, errors=("not-found", "conflict"))
def limit_transaction(transaction_id: TransactionId, body: LimitsRequest) -> Limits:
    """Limit a session that runs, in place of what was said before.

    It is stopped by RemoteStopTransaction, and again each minute until its charger reports the end; energy is known as often as it meters.
    """
    limits.change(
        db.engine,
        transaction_id,
        energy_mwh=body.kwh,
        minutes=body.minutes,
        sites=sites(),
        set_by=operator(),
    )
    return _limits(transaction_id)


def _limits(transaction_id: int) -> Limits:
    history.session(db.engine, transaction_id, sites=sites(), measurand=None, after=None, limit=1)
    found = limits.of(db.engine, transaction_id)
    return Limits(scaled(found.energy_mwh, 6), found.minutes, found.reached, time_text(found.reached_at))


@blueprint.post("/<transaction_id>/close")
@endpoint(
    access=OPERATOR,
    answers={
        200: "Closed, now or before: it is Interrupted. Samples that come later open it again, a stop completes it."
    },
    errors=("not-found", "conflict", "ambiguous-session"),
)
def close_transaction(transaction_id: TransactionName, body: CloseRequest) -> Reply[Progress]:
    """Close a session whose charger never reported its end."""
    progress = sessions.close(db.engine, transaction_id, body.reason, sites=sites(), requested_by=operator())
    return _progress(_CLOSED, progress, 200)


@blueprint.get("/charger/<charger_id>")
@endpoint(access=VIEWER, answers={200: ("The sessions.", NEXT)}, errors=("not-found",))
def list_transactions_of_charger(
    charger_id: ChargerName, query: TransactionsOfChargerQuery
) -> Reply[list[Transaction]]:
    """Sessions of one charger, newest start first."""
    return _listed(query, charger_id)


@blueprint.get("")
@endpoint(access=VIEWER, answers={200: ("The sessions.", NEXT)}, errors=("not-found",))
def list_transactions(query: TransactionsQuery) -> Reply[list[Transaction]]:
    """Sessions of all chargers, newest start first."""
    return _listed(query, query.charger_id, query.site_id)


@blueprint.get("/<transaction_id>")
@endpoint(
    access=VIEWER,
    answers={200: ("The session and a page of its meter values, oldest first.", NEXT)},
    errors=("not-found",),
)
def show_transaction(transaction_id: TransactionId, query: SamplesQuery) -> Reply[TransactionDetails]:
    """One session with its meter values."""
    row, (samples, fitting) = history.session(
        db.engine,
        transaction_id,
        sites=sites(),
        measurand=query.measurand,
        after=query.cursor,
        limit=query.limit,
    )
    shown = TransactionDetails.of(row, meter_values=[MeterValue.of(each) for each in samples[:fitting]])
    more = len(samples) > fitting
    return Reply(shown, headers=next_link((samples[fitting - 1].id,)) if more else {})


def _listed(
    query: TransactionsOfChargerQuery, identity: str | None, site_id: int | None = None
) -> Reply[list[Transaction]]:
    filters = Filters(
        since=query.since,
        until=query.until,
        status=query.status,
        connector_id=query.connector_id,
        id_tag=query.id_tag,
        unapproved=query.unapproved,
    )
    rows = history.listed(
        db.engine,
        filters,
        identity=identity,
        site_id=site_id,
        sites=sites(),
        before=query.cursor,
        limit=query.limit + 1,
    )
    return page(rows, query.limit, Transaction.of, lambda row: (milliseconds(row.effective_start), row.id))


def _progress(message: str, progress: sessions.Progress, status: int) -> Reply[Progress]:
    shown = Progress.of(progress, message=message, charger_id=identities.to_json(progress.identity))
    if progress.command_id is None:
        return Reply(shown, status)
    return Reply(shown, status, command_link(progress.identity, progress.command_id))
