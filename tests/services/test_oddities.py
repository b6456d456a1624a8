"""How a charger departs from the specification is counted, for the operator."""

import pytest

from charger_mgmt.database.models import ChargerEvent, ChargerOddity, Connector


def test_each_kind_is_one_row_with_a_count_and_the_last_example(central):
    charger = central.charger()
    status = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
    for number in (1, 2):
        message = charger.says("StatusNotification", status, oddities=("extra-field", "respelled"))
        message.raw = f"example {number}"
        central.together(message)
    message = charger.says("Authorize", {"idTag": "A"}, oddities=("extra-field",))
    central.together(message, charger.says("Authorize", {"idTag": "B"}, oddities=("extra-field",)))
    rows = {(row.action, row.kind): row for row in central.rows(ChargerOddity)}
    assert {key: row.count for key, row in rows.items()} == {
        ("StatusNotification", "extra-field"): 2,
        ("StatusNotification", "respelled"): 2,
        ("Authorize", "extra-field"): 2,
    }
    assert rows["StatusNotification", "respelled"].last_raw == "example 2"
    assert all(row.first_at < row.last_at for row in rows.values() if row.action == "StatusNotification")


def test_a_message_without_oddities_leaves_none(central):
    central.charger().reports(1, "Available")
    assert central.rows(ChargerOddity) == []


def test_an_example_that_may_hold_a_key_is_withheld(central):
    charger = central.charger()
    message = charger.says("DataTransfer", {"vendorId": "v"}, oddities=("extra-field",))
    message.raw = '{"authorizationKey": "secret"}'
    central.together(message)
    assert central.row(ChargerOddity).last_raw == "(withheld)"


def test_an_unknown_error_code_is_a_fault_whose_word_is_kept(central):
    charger = central.charger()
    charger.reports(1, "Faulted", errorCode="OtherError", reportedErrorCode="Error")
    row = central.row(Connector)
    assert (row.status, row.error_code, row.reported_error_code) == ("Faulted", "OtherError", "Error")


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": "2026-01-01T00:00:00Z"}),
        ("LogStatusNotification", {"status": "Uploaded", "requestId": 1}),
        ("SignedFirmwareStatusNotification", {"status": "Installed"}),
    ],
)
def test_notices_of_the_security_extension_are_events(central, action, payload):
    assert central.charger().sends(action, payload).payload == {}
    (event,) = [row for row in central.rows(ChargerEvent) if row.kind == action]
    assert event.detail == payload
