"""What grows without end goes by age; sessions never do."""

from dataclasses import replace

import pytest

from charger_mgmt import clock
from charger_mgmt.database import bulk
from charger_mgmt.database.models import (
    ChargerEvent,
    Command,
    Inbox,
    MeterValue,
    StatusChange,
    Tag,
    Transaction,
)
from charger_mgmt.serving import retention
from tests.support.messages import ago

DAYS = (
    "retain_meter_values_days",
    "retain_status_history_days",
    "retain_events_days",
    "retain_commands_days",
)
MONTH = dict.fromkeys(DAYS, 30)


def lives_a_session(central, identity, at):
    """A session with everything that hangs on it, heard at `at`."""
    charger = central.charger(identity)
    start = charger.start(at)
    report = charger.says(
        "StatusNotification", {"connectorId": 1, "status": "Charging", "errorCode": "NoError"}
    )
    event = charger.says("DataTransfer", {"vendorId": "x"})
    orphan = charger.stop(4711, at)
    sample = charger.says(
        "MeterValues",
        {"connectorId": 1, "meterValue": [{"timestamp": at.isoformat(), "sampledValue": [{"value": "5"}]}]},
    )
    for message in (start, report, event, orphan, sample):
        message.received_at = at
    central.together(start, report, event, orphan, sample)
    row = {
        "charger_id": charger.id,
        "action": "RemoteStartTransaction",
        "payload": {},
        "state": "accepted",
        "message_id": f"command-of-{identity}",
        "requested_by": "operator",
        "created_at": at,
    }
    with central.engine.begin() as conn:
        bulk.insert(conn, Command.__table__, [row])
    central.knows_tag(f"ONE-{identity}", command_id=central.rows(Command)[-1].id)


def drop(central, **days):
    return dict(retention.apply(central.engine, replace(central.settings, **(MONTH | days)), clock.now()))


@pytest.fixture
def aged(central):
    lives_a_session(central, "OLD", ago(days=31))
    lives_a_session(central, "NEW", ago(days=29))
    central.knows_tag("CARD-9")
    return central


def test_what_is_old_enough_goes_and_the_rest_stays(aged):
    dropped = drop(aged)
    assert dropped == {"meter_values": 1, "status_history": 2, "charger_events": 1, "commands": 1}
    assert len(aged.rows(MeterValue)) == 1
    assert len(aged.rows(StatusChange)) == 2
    assert [row.message_id for row in aged.rows(Command)] == ["command-of-NEW"]
    assert "DataTransfer" in {row.kind for row in aged.rows(ChargerEvent)}


def test_sessions_and_the_inbox_stay_for_good(aged):
    drop(aged)
    assert len(aged.rows(Transaction)) == 2
    assert len(aged.rows(Inbox)) == 2


def test_a_one_use_tag_goes_with_its_command_and_others_stay(aged):
    drop(aged)
    assert {row.id_tag for row in aged.rows(Tag)} == {"ONE-NEW", "CARD-9"}


def test_zero_days_means_never(aged):
    assert drop(aged, **dict.fromkeys(DAYS, 0)) == {}


def test_it_goes_in_small_steps(aged):
    steps = list(retention.apply(aged.engine, replace(aged.settings, **MONTH), clock.now(), step=1))
    assert [step for step in steps if step[0] == "status_history"] == [
        ("status_history", 1),
        ("status_history", 2),
    ]
