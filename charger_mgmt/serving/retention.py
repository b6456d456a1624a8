"""Retention: what grows without end is dropped by age, in small steps. Sessions never are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import gevent
from sqlalchemy import Connection, Engine, delete, func, select

from .. import clock
from ..database.faults import Fault, classify
from ..database.models import (
    AuditEntry,
    ChargerEvent,
    Command,
    Inbox,
    LogIn,
    Message,
    MeterValue,
    StatusChange,
    Tag,
)
from ..gateway.central_system import CentralSystem
from ..intake.inbox import NOT_ADMITTED, UNREADABLE
from ..settings import Settings

log = logging.getLogger(__name__)

#: Rows deleted in one database transaction: few enough that nobody waits for the locks.
STEP = 1000
#: The pause between two steps, in seconds: chargers' messages go first.
PAUSE = 0.05
HOUR = 3600.0
LOG_INS_DAYS = 90


@dataclass(frozen=True, slots=True)
class Rule:
    """`days` says after how many days rows of `model` go, by the time in column `age`; 0: never.

    `only` restricts it to rows whose columns have these values.
    """

    days: Callable[[Settings], int]
    model: Any
    age: str
    only: Mapping[str, str] = field(default_factory=dict)


RULES = (
    Rule(lambda settings: settings.retain_meter_values_days, MeterValue, "received_at"),
    # A charger may send one with every sample.
    Rule(
        lambda settings: settings.retain_meter_values_days,
        Inbox,
        "received_at",
        {"kind": UNREADABLE, "action": "MeterValues"},
    ),
    # Nobody can tell whether it was the charger.
    Rule(lambda settings: settings.retain_events_days, Inbox, "received_at", {"kind": NOT_ADMITTED}),
    Rule(lambda settings: settings.retain_status_history_days, StatusChange, "received_at"),
    Rule(lambda settings: settings.retain_events_days, ChargerEvent, "received_at"),
    Rule(lambda settings: settings.retain_commands_days, Command, "created_at"),
    Rule(lambda settings: settings.retain_messages_days, Message, "at"),
    Rule(lambda settings: settings.retain_audit_days, AuditEntry, "at"),
    # By then its source is no longer known, and its refresh token has long expired.
    Rule(lambda _: LOG_INS_DAYS, LogIn, "refreshed_at"),
)


def apply(
    engine: Engine,
    settings: Settings,
    now: datetime,
    *,
    step: int = STEP,
    pause: Callable[[], None] = lambda: None,
) -> Iterator[tuple[str, int]]:
    """Drop what is older than its rule allows; yields (table, rows dropped so far) after each step."""
    for rule in RULES:
        days = rule.days(settings)
        if not days:
            continue
        cutoff = now - timedelta(days=days)
        dropped = 0
        while True:
            with engine.begin() as conn:
                count = _step(conn, rule, cutoff, step)
            if not count:
                break
            dropped += count
            yield rule.model.__tablename__, dropped
            pause()


def drop_surplus(
    engine: Engine, settings: Settings, *, step: int = STEP, pause: Callable[[], None] = lambda: None
) -> int:
    """Drop the oldest messages of the journal beyond MOST_MESSAGES; how many they were."""
    dropped, m = 0, Message.__table__.c
    while True:
        with engine.begin() as conn:
            newest = conn.scalar(select(func.max(m.id))) or 0
            last = newest - settings.most_messages
            ids = conn.scalars(select(m.id).where(m.id <= last).order_by(m.id).limit(step)).all()
            if ids:
                conn.execute(delete(Message.__table__).where(m.id.in_(ids)))
        if not ids:
            return dropped
        dropped += len(ids)
        pause()


def _step(conn: Connection, rule: Rule, cutoff: datetime, most: int) -> int:
    age = getattr(rule.model, rule.age)
    old = select(rule.model.id).where(age < cutoff).filter_by(**rule.only)
    ids = conn.scalars(old.order_by(age).limit(most)).all()
    if not ids:
        return 0
    if rule.model is Command:  # a one-use tag goes with the command that it was made for
        conn.execute(delete(Tag).where(Tag.command_id.in_(ids)))
    conn.execute(delete(rule.model).where(rule.model.id.in_(ids)))
    return len(ids)


def start(central: CentralSystem) -> None:
    """Apply the rules every hour for as long as this process lives; of several processes the one that leads."""
    gevent.spawn(_run, central)


def _run(central: CentralSystem) -> None:
    engine, settings = central.database.engine, central.settings
    while True:
        gevent.sleep(HOUR)
        if not central.leads:
            continue
        try:
            dropped = dict(apply(engine, settings, clock.now(), pause=lambda: gevent.sleep(PAUSE)))
            drop_surplus(engine, settings, pause=lambda: gevent.sleep(PAUSE))
        except Exception as error:
            if classify(error) is Fault.POISON:
                log.exception("retention failed")
            continue  # the database is away or busy: the next hour will do
        for table, count in dropped.items():
            log.info("retention: %d rows of %s were old enough to go", count, table)
