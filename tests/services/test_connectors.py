"""Connectors that a charger does not have any more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from charger_mgmt import clock
from charger_mgmt.database import chargers as store
from charger_mgmt.database.models import Charger, ChargerEvent, Connector, StatusChange, Transaction
from charger_mgmt.errors import Conflict, NotFound
from charger_mgmt.status import connectors

AFTER = timedelta(minutes=10)
#: A look at a time when everything that a charger has to report must have come.
LATER = timedelta(minutes=11)


def looks(central, later=LATER):
    """What a look so much later retires."""
    with central.engine.begin() as conn:
        return connectors.retire(conn, clock.now() + later, AFTER)


def asks(central, later=LATER):
    with central.engine.begin() as conn:
        return list(connectors.unexplained(conn, clock.now() + later, AFTER))


def tells(central, charger, number):
    """The charger's NumberOfConnectors is learned, as from an answer to GetConfiguration."""
    with central.engine.begin() as conn:
        store.change(conn, charger.id, number_of_connectors=number)


def retired(central):
    return [row.connector_id for row in central.rows(Connector) if row.retired_at is not None]


@pytest.fixture
def charger(central):
    """Two connectors, the second one Faulted; then a boot after which only the first one reports."""
    charger = central.charger()
    charger.boots(chargePointSerialNumber="A")
    charger.reports(0, "Available")
    charger.reports(1, "Available")
    charger.reports(2, "Faulted", errorCode="GroundFailure")
    return charger


def reboots(charger, **fields):
    charger.boots(**{"chargePointSerialNumber": "A"} | fields)
    charger.reports(0, "Available")
    charger.reports(1, "Available")


def test_one_above_the_number_of_connectors_is_retired_and_its_fault_with_it(central, charger):
    assert central.row(Charger).has_fault
    reboots(charger)
    assert looks(central) == 0  # nobody has said how many there are
    assert asks(central) == ["CP1"]
    tells(central, charger, 1)
    assert asks(central) == []
    assert looks(central, timedelta(minutes=9)) == 0
    assert looks(central) == 1
    assert retired(central) == [2]
    assert not central.row(Charger).has_fault
    assert central.row(ChargerEvent, kind="ConnectorRetired").detail == {"connectorId": 2}
    assert looks(central) == 0


def test_one_that_the_charger_still_has_stays(central, charger):
    reboots(charger)
    tells(central, charger, 2)
    assert looks(central) == 0
    assert central.row(Charger).has_fault


@pytest.mark.parametrize(
    "other",
    [
        {"chargePointSerialNumber": "B"},
        {"chargeBoxSerialNumber": "B", "chargePointModel": "Other"},
        {"chargePointModel": "Other"},
        {"chargePointVendor": "Other"},
    ],
)
def test_what_an_older_box_reported_is_retired(central, charger, other):
    reboots(charger, **other)
    assert looks(central, timedelta(minutes=9)) == 0
    assert looks(central) == 1
    assert retired(central) == [2]
    reboots(charger, **other)  # the same box again
    assert looks(central) == 0


def test_a_serial_number_that_is_missing_once_is_no_other_box(central, charger):
    charger.boots()
    reboots(charger)
    assert looks(central) == 0


def test_only_what_was_reported_before_the_exchange_is_the_older_boxs(central, charger):
    reboots(charger, chargePointSerialNumber="B")
    charger.reports(2, "Faulted")
    charger.boots(chargePointSerialNumber="B")
    charger.reports(1, "Available")
    assert looks(central) == 0


def test_the_charger_itself_is_never_retired(central):
    charger = central.charger()
    charger.boots()
    charger.reports(0, "Faulted")
    charger.boots(chargePointModel="Other")
    charger.reports(1, "Available")
    tells(central, charger, 1)
    assert looks(central) == 0


def test_a_new_report_brings_it_back(central, charger):
    reboots(charger, chargePointSerialNumber="B")
    looks(central)
    charger.reports(2, "Faulted", errorCode="GroundFailure")
    assert retired(central) == []
    assert central.row(Charger).has_fault
    assert [row.status for row in central.rows(StatusChange, connector_id=2)] == ["Faulted", "Faulted"]


def test_the_summary_follows(central):
    charger = central.charger()
    charger.boots()
    charger.reports(1, "Faulted")
    charger.boots(chargePointModel="Other")
    charger.reports(0, "Available")
    looks(central)
    assert central.row(Charger).status == "Unavailable"
    assert [row.status for row in central.rows(StatusChange, connector_id=None)][-2:] == [
        "Faulted",
        "Unavailable",
    ]


def test_a_charger_that_boots_anew_is_asked_anew(central, charger):
    reboots(charger)
    tells(central, charger, 1)
    reboots(charger)
    assert central.row(Charger).number_of_connectors is None
    assert asks(central) == ["CP1"]


def test_a_flat_charger_of_another_box(central):
    flat = central.charger("7", flat=True)
    flat.boots()
    flat.reports(2, "Faulted")
    flat.boots(chargePointModel="Other")
    assert asks(central) == []
    assert looks(central) == 1
    assert central.row(Charger).status == "Available"


def test_an_operator_removes_one(central, charger):
    connectors.remove(central.engine, "CP1", 2, requested_by="operator")
    assert [row.connector_id for row in central.rows(Connector)] == [0, 1]
    assert not central.row(Charger).has_fault
    detail = central.row(ChargerEvent, kind="ConnectorRemoved").detail
    assert detail == {"connectorId": 2, "requestedBy": "operator"}
    with pytest.raises(NotFound):
        connectors.remove(central.engine, "CP1", 2, requested_by="operator")
    charger.reports(2, "Available")
    assert [row.connector_id for row in central.rows(Connector)] == [0, 1, 2]


def test_one_with_an_open_session_is_not_removed(central, charger):
    charger.starts(connectorId=2)
    with pytest.raises(Conflict):
        connectors.remove(central.engine, "CP1", 2, requested_by="operator")
    charger.stops(central.row(Transaction).id)
    connectors.remove(central.engine, "CP1", 2, requested_by="operator")
