"""Section 3.7 at the charger: transaction messages are queued offline, replayed in order, repeated."""

import pytest

from charger_mgmt.simulate.transport import (
    CallRefused,
    ConnectionLost,
    HandshakeRefused,
    NotAnswered,
    Offline,
)


def test_a_session_offline_is_replayed_in_order_with_its_own_times(fake, central_system, clock):
    fake.boots()
    fake.goes_offline()
    session = fake.starts(connector=1, tag="CARD-9", meter=500)
    clock.sleep(600)
    fake.meters(1, session, wh=900)
    clock.sleep(600)
    fake.stops(session, meter=1300)
    clock.sleep(3600)

    assert central_system.actions == ["BootNotification"]
    fake.comes_back()

    assert central_system.actions[1:] == ["StartTransaction", "MeterValues", "StopTransaction"]
    start, stop = (
        central_system.payloads("StartTransaction")[0],
        central_system.payloads("StopTransaction")[0],
    )
    assert start["timestamp"] == "2026-03-01T12:00:00.000Z"
    assert stop["timestamp"] == "2026-03-01T12:20:00.000Z"


def test_a_queued_stop_and_its_meter_values_carry_the_id_that_the_start_got(fake, central_system):
    fake.goes_offline()
    session = fake.starts()
    assert session.transaction_id is None
    fake.meters(1, session, wh=10)
    fake.stops(session, meter=20)
    fake.comes_back()
    assert session.transaction_id == 101
    assert central_system.payloads("MeterValues")[0]["transactionId"] == 101
    assert central_system.payloads("StopTransaction")[0]["transactionId"] == 101


def test_a_reconnect_does_not_boot(fake, central_system):
    fake.boots()
    fake.goes_offline()
    fake.comes_back()
    assert central_system.actions == ["BootNotification"]


def test_a_repeat_has_a_new_message_id_and_the_same_payload(fake, central_system):
    central_system.rules["StartTransaction"] = "silence"
    session = fake.starts(meter=500)
    del central_system.rules["StartTransaction"]
    fake.delivers(now=True)
    first, second = central_system.frames
    assert first[1] != second[1]
    assert first[3] == second[3]
    assert session.transaction_id == 101


def test_a_refused_start_holds_up_what_is_behind_it(fake, central_system):
    central_system.rules["StartTransaction"] = "error"
    session = fake.starts()
    fake.stops(session)
    assert central_system.actions == ["StartTransaction"]
    del central_system.rules["StartTransaction"]
    fake.delivers(now=True)
    assert central_system.actions == ["StartTransaction", "StartTransaction", "StopTransaction"]


def test_the_wait_before_a_repeat_grows_with_the_failures(fake, central_system, clock):
    fake.configuration["TransactionMessageAttempts"] = "4"
    central_system.rules["StartTransaction"] = "error"
    fake.starts()
    began = clock.seconds
    times = []
    for _ in range(2):
        while len(central_system.frames) == len(times) + 1:
            clock.sleep(1)
            fake.delivers()
        times.append(clock.seconds - began)
    assert times == [60, 180]


def test_after_the_last_attempt_the_message_is_given_up_and_the_stop_goes_under_minus_one(
    fake, central_system
):
    fake.configuration["TransactionMessageAttempts"] = "1"
    central_system.rules["StartTransaction"] = "error"
    session = fake.starts()
    assert session.start.given_up
    fake.stops(session)
    assert central_system.payloads("StopTransaction")[0]["transactionId"] == -1
    assert fake.ledger.outstanding == [session.start]


def test_a_lost_connection_is_no_failed_attempt(fake, central_system):
    central_system.rules["StartTransaction"] = "lost"
    session = fake.starts()
    assert not fake.online
    assert session.start.failures == 0
    del central_system.rules["StartTransaction"]
    fake.comes_back()
    assert session.start.acknowledged


def test_delivering_everything_redials_and_repeats_until_nothing_is_left(fake, central_system, clock):
    central_system.rules["StartTransaction"] = "lost"
    session = fake.starts()
    central_system.refuses_handshake = True
    assert not fake.delivers_everything(within=5)
    central_system.refuses_handshake = False
    del central_system.rules["StartTransaction"]
    assert fake.delivers_everything(within=5)
    assert session.start.acknowledged


def test_delivering_everything_waits_as_the_retry_interval_says(fake, central_system, clock):
    central_system.rules["StartTransaction"] = "error"
    fake.starts()
    began = clock.seconds
    del central_system.rules["StartTransaction"]
    assert fake.delivers_everything(within=100)
    assert clock.seconds - began == 60


def test_the_ledger_tells_what_was_acknowledged(fake, central_system):
    fake.boots()
    session = fake.starts()
    central_system.rules["StopTransaction"] = "silence"
    stop = fake.stops(session)
    assert [message.action for message in fake.ledger.acknowledged] == [
        "BootNotification",
        "StartTransaction",
    ]
    assert fake.ledger.outstanding == [stop]
    assert fake.ledger.sums["sent"] == 3
    assert fake.ledger.sums["unanswered"] == 1


def test_offline_only_the_last_status_of_a_connector_is_kept(fake, central_system):
    fake.boots()
    fake.goes_offline()
    fake.reports(1, "Preparing")
    fake.reports(1, "Charging")
    fake.comes_back()
    assert [status["status"] for status in central_system.payloads("StatusNotification")] == ["Charging"]


def test_a_heartbeat_offline_is_not_sent(fake):
    fake.boots()
    fake.goes_offline()
    with pytest.raises(Offline):
        fake.heartbeats()


def test_an_error_answer_to_a_heartbeat_is_raised(fake, central_system):
    central_system.rules["Heartbeat"] = "error"
    with pytest.raises(CallRefused):
        fake.heartbeats()


def test_silence_on_a_heartbeat_is_raised(fake, central_system):
    central_system.rules["Heartbeat"] = "silence"
    with pytest.raises(NotAnswered):
        fake.heartbeats()


def test_a_refused_handshake_is_raised(fake, central_system):
    central_system.refuses_handshake = True
    with pytest.raises(HandshakeRefused):
        fake.boots()
    assert not fake.online


def test_a_connection_that_ends_as_it_begins_is_not_taken_for_one(fake, central_system):
    central_system.hangs_up_at_once = True
    fake.dials_in()
    assert not fake.online
    assert fake.closed_with == (1006, "")
    central_system.hangs_up_at_once = False
    fake.comes_back()
    assert fake.online
    fake.boots()
    assert fake.registration == "Accepted"


def test_a_charger_that_goes_offline_while_it_dials_stays_offline(fake, central_system):
    opens = central_system.open

    def slowly(receiver):
        opens(receiver)
        fake.goes_offline()

    central_system.open = slowly
    with pytest.raises(ConnectionLost):
        fake.dials_in()
    assert not fake.online
    assert central_system.charger is None
