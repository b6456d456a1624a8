"""A transaction message that is not JSON: what still stands in it is taken (charger-quirks 11)."""

from decimal import Decimal

import pytest

from charger_mgmt.dialects.ocpp16.salvage import salvage, saved_call
from charger_mgmt.ocppj.conversation import Conversation, Reply


def saved(text):
    event = Conversation().receive(text, 0.0)
    assert isinstance(event, Reply)
    return saved_call(event, text)


def test_a_stop_with_a_hole_in_it_is_read():
    text = '[2,"17","StopTransaction",{"transactionId":,"meterStop":1500.5,"reason":"Local"}]'
    call = saved(text)
    assert call is not None
    assert (call.id, call.action, call.text) == ("17", "StopTransaction", text)
    assert call.payload == {"meterStop": Decimal("1500.5"), "reason": "Local"}


def test_a_number_that_breaks_off_is_not_taken_for_a_smaller_one():
    assert salvage('[2,"17","StopTransaction",{"transactionId":7,"meterStop":15') == {"transactionId": 7}


def test_a_text_that_breaks_off_is_absent():
    assert salvage('[2,"17","StopTransaction",{"transactionId":7,"idTag":"CARD') == {"transactionId": 7}


def test_the_time_of_a_sample_is_not_the_time_of_the_stop():
    text = (
        '[2,"17","StopTransaction",{"transactionData":[{"timestamp":"2025-03-30T12:00:00Z","sampledValue":[]}],'
        '"transactionId":,"timestamp":"2025-03-30T13:00:00Z"}]'
    )
    assert salvage(text) == {"timestamp": "2025-03-30T13:00:00Z"}


def test_brackets_inside_a_text_do_not_count():
    assert salvage('[2,"17","StartTransaction",{"x":"}]","connectorId":1,"meterStart":,}]') == {
        "connectorId": 1
    }


@pytest.mark.parametrize("action", ["Authorize", "StatusNotification", "Foo"])
def test_a_broken_message_that_carries_no_money_is_refused(action):
    assert saved(f'[2,"17","{action}",{{"idTag":') is None
