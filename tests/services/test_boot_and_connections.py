"""Who a charger is, whether it may work, and which of its sockets counts."""

import pytest

from charger_mgmt import clock
from charger_mgmt.chargers import connections
from charger_mgmt.charging import by_operator
from charger_mgmt.database.models import Charger, ChargerEvent, Connector, Transaction
from charger_mgmt.dialects import timestamps
from tests.support.messages import ago, text


def approve(central, charger, word):
    with central.engine.begin() as conn:
        conn.execute(Charger.__table__.update().where(Charger.id == charger.id).values(approved=word))


@pytest.mark.settings(charger_onboarding="open")
def test_an_open_system_accepts_and_hands_out_the_heartbeat_interval(central):
    answer = central.charger().boots()
    assert (answer["status"], answer["interval"]) == ("Accepted", 300)


def test_x_30_the_time_handed_out_is_now_and_says_its_zone(central):
    answer = central.charger().boots()
    assert answer["currentTime"].endswith("Z")
    assert abs((timestamps.parse(answer["currentTime"]) - clock.now()).total_seconds()) <= 1


@pytest.mark.settings(charger_onboarding="approve")
def test_where_approval_is_asked_for_a_charger_waits_until_an_operator_approves(central):
    charger = central.charger()
    pending = charger.boots()
    assert pending["status"] == "Pending"
    assert pending["interval"] > 0
    approve(central, charger, True)
    assert charger.boots()["status"] == "Accepted"
    assert central.row(Charger).registration == "Accepted"


@pytest.mark.parametrize(
    (),
    [
        pytest.param(marks=pytest.mark.settings(charger_onboarding=onboarding), id=onboarding)
        for onboarding in ("open", "approve", "closed")
    ],
)
def test_what_an_operator_refused_is_rejected_everywhere(central):
    charger = central.charger()
    approve(central, charger, False)
    assert charger.boots()["status"] == "Rejected"


def test_the_inventory_is_kept_whole(central):
    central.charger().boots(firmwareVersion="1.2.3", chargePointSerialNumber="S" * 40, iccid="89", imsi="26")
    row = central.row(Charger)
    assert (row.vendor, row.model, row.firmware_version) == ("ChargerCo", "EVChargerX", "1.2.3")
    assert row.charge_point_serial_number == "S" * 40


def test_a_boot_ends_no_session(central):
    charger = central.charger()
    started = charger.starts()["transactionId"]
    charger.boots()
    assert central.row(Transaction, id=started).status == "In Progress"


def test_an_accepted_charger_is_told_to_keep_its_transaction_messages(central):
    charger = central.charger()
    reply = charger.sends("BootNotification", {"chargePointVendor": "A", "chargePointModel": "B"})
    assert {call.payload["key"] for call in reply.follow_ups} == {
        "TransactionMessageAttempts",
        "TransactionMessageRetryInterval",
    }


def test_each_connection_gets_a_higher_generation(central):
    charger = central.charger()
    first = charger.generation
    charger.connects()
    assert charger.generation == first + 1
    assert len(central.rows(Charger)) == 1


def test_two_connections_in_one_batch_get_two_generations(central):
    charger = central.charger()
    replies = central.submit_together([charger.comes(), charger.comes()])
    assert [reply.outcome.generation for reply in replies] == [2, 3]


def test_x_31_the_late_close_of_an_old_socket_does_not_disconnect_the_new_one(central):
    charger = central.charger()
    old = charger.generation
    charger.connects()
    charger.disconnects(old, "half-open")
    assert central.row(Charger).connected
    charger.disconnects(charger.generation)
    row = central.row(Charger)
    assert not row.connected
    assert row.disconnected_at is not None


def test_what_a_killed_process_left_as_connected_is_put_right(central):
    central.charger("CP1")
    with central.engine.begin() as conn:
        assert connections.put_right(conn, "here", clock.now()) == 0
        assert connections.put_right(conn, "a new process", clock.now()) == 1
    assert not central.row(Charger).connected


def test_only_what_no_socket_stands_for_is_put_right_after_an_outage(central):
    held, ghost = central.charger("HELD"), central.charger("GHOST")
    central.charger("NEWCOMER")
    central.charger("7", flat=True)
    sockets = {held.id: held.generation, ghost.id: ghost.generation - 1}
    returned = clock.now()
    with central.engine.begin() as conn:
        table = Charger.__table__
        earlier = table.update().where(Charger.identity != "NEWCOMER").values(connected_since=ago(minutes=1))
        conn.execute(earlier)
        later = table.update().where(Charger.identity == "NEWCOMER").values(connected_since=returned)
        conn.execute(later)
        assert connections.put_right_ours(conn, "elsewhere", dict, returned, clock.now()) == 0
        assert connections.put_right_ours(conn, "here", lambda: sockets, returned, clock.now()) == 1
    shown = {row.identity: row.connected for row in central.rows(Charger)}
    assert shown == {"HELD": True, "GHOST": False, "NEWCOMER": True, "7": True}


def test_identities_differ_in_case_and_are_one_row_each(central):
    ids = {central.charger(identity).id for identity in ("CP1", "cp1", "CP1", "Cp1")}
    assert len(ids) == 3


def test_what_a_charger_tells_besides_is_in_its_journal(central):
    charger = central.charger()
    assert charger.sends("DataTransfer", {"vendorId": "x", "data": "\x00 \ud800 ü"}).payload == {
        "status": "UnknownVendorId"
    }
    charger.sends("FirmwareStatusNotification", {"status": "Installing"})
    charger.sends("DiagnosticsStatusNotification", {"status": "Uploaded"})
    charger.sends("Authorize", {"idTag": "CARD-9"})
    assert [row.kind for row in central.rows(ChargerEvent)] == [
        "Connected",
        "DataTransfer",
        "FirmwareStatusNotification",
        "DiagnosticsStatusNotification",
        "Authorize",
    ]
    row = central.row(Charger)
    assert (row.firmware_status, row.diagnostics_status) == ("Installing", "Uploaded")


def test_a_flat_charger_is_available_after_its_boot_and_charging_during_a_session(central):
    charger = central.charger("7", flat=True)
    charger.boots()
    assert central.row(Charger).status == "Available"
    charger.sends("StartTransaction", {"sessionId": "TXN-456", "connectorId": 1})
    assert central.row(Charger).status == "Charging"
    charger.boots()
    assert central.row(Charger).status == "Charging"
    charger.sends("StopTransaction", {"sessionId": "TXN-456"})
    assert central.row(Charger).status == "Available"


def test_a_flat_charger_is_what_it_says_when_it_says_something(central):
    charger = central.charger("7", flat=True)
    charger.boots()
    charger.reports(1, "Faulted", errorCode="OtherError")
    assert central.row(Charger).status == "Faulted"
    assert central.row(Connector).error_code == "OtherError"


def test_a_flat_session_is_one_however_often_it_is_sent(central):
    charger = central.charger("7", flat=True)
    charger.boots()
    payload = {"sessionId": "TXN-456", "connectorId": 1}
    first = charger.sends("StartTransaction", payload).payload["transactionId"]
    assert (
        charger.sends("StartTransaction", payload | {"timestamp": "2026-01-01T00:00:00Z"}).payload[
            "transactionId"
        ]
        == first
    )
    charger.sends("StopTransaction", {"sessionId": "TXN-456"})
    assert central.row(Transaction, id=first).status == "Completed"
    assert charger.sends("StartTransaction", payload).payload["transactionId"] == first


def test_a_flat_charger_that_counts_from_the_start_again_begins_another_session(central):
    charger = central.charger("7", flat=True)
    charger.boots()

    def lives(began, ended):
        start = {"sessionId": "TXN-1", "connectorId": 1, "timestamp": began}
        stop = {"sessionId": "TXN-1", "timestamp": ended}
        number = charger.sends("StartTransaction", start).payload["transactionId"]
        charger.sends("StopTransaction", stop)
        return number, central.row(Transaction, id=number).stop_timestamp

    morning, evening = (text(ago(hours=9)), text(ago(hours=8))), (text(ago(hours=2)), text(ago(hours=1)))
    first = lives(*morning)
    second = lives(*evening)
    assert [text(ended) for _, ended in (first, second)] == [morning[1], evening[1]]
    assert first[0] != second[0]
    assert lives(*morning) == first  # a replay of both is still both
    assert lives(*evening) == second
    assert [row.status for row in central.rows(Transaction)] == ["Completed", "Completed"]


def test_the_late_stop_of_a_flat_session_does_not_end_the_next_one_of_that_name(central):
    charger = central.charger("7", flat=True)
    charger.boots()
    first = {"sessionId": "TXN-1", "connectorId": 1, "timestamp": text(ago(hours=9))}
    stop = {"sessionId": "TXN-1", "timestamp": text(ago(hours=8))}
    charger.sends("StartTransaction", first)
    charger.sends("StopTransaction", stop)
    charger.sends("StartTransaction", first | {"timestamp": text(ago(hours=2))})
    charger.sends("StopTransaction", stop)
    assert [row.status for row in central.rows(Transaction)] == ["Completed", "In Progress"]


def test_the_stop_of_a_flat_session_that_an_operator_ended_brings_its_time(central):
    charger = central.charger("7", flat=True)
    charger.boots()
    began, ended = ago(hours=2), ago(hours=1)
    started = charger.sends(
        "StartTransaction", {"sessionId": "A", "connectorId": 1, "timestamp": text(began)}
    )
    with central.engine.begin() as conn:
        by_operator.end_by_operator(conn, started.payload["transactionId"], now=clock.now())
    for _ in range(2):
        charger.sends("StopTransaction", {"sessionId": "A", "timestamp": text(ended)})
        assert central.row(Transaction).effective_end == ended
