"""One charger's conversation: the rows of the table in `conversation.py` (OCPP-J section 4.1)."""

import json

import pytest

from charger_mgmt.ocppj.conversation import (
    COPY_SECONDS,
    REMEMBERED,
    CallExpired,
    CallReceived,
    Conversation,
    ErrorReceived,
    Nothing,
    Reply,
    ResultReceived,
)

HEARTBEAT = '[2,"h1","Heartbeat",{}]'


@pytest.fixture
def conversation():
    return Conversation()


@pytest.fixture
def waiting(conversation):
    conversation.call("Reset", {"type": "Soft"}, "our-1", now=0.0, timeout=30.0)
    return conversation


def test_a_call_is_received_with_its_raw_text(conversation):
    assert conversation.receive(HEARTBEAT, 0.0) == CallReceived("h1", "Heartbeat", {}, HEARTBEAT)


def test_the_answer_carries_the_call_s_id(conversation):
    call = conversation.receive('[2,17,"Heartbeat",null]', 0.0)
    assert conversation.result(call, {"currentTime": "t"}) == '[3,17,{"currentTime":"t"}]'


def test_a_refusal_carries_the_call_s_id_and_a_bounded_description(conversation):
    call = conversation.receive(HEARTBEAT, 0.0)
    text = conversation.error(call, "InternalError", "x" * 1000, {"why": "y"})
    assert json.loads(text) == [4, "h1", "InternalError", "x" * 255, {"why": "y"}]


def test_a_copy_of_a_call_in_hand_is_not_handled_twice(conversation):
    conversation.receive(HEARTBEAT, 0.0)
    assert isinstance(conversation.receive(HEARTBEAT, 1.0), Nothing)


def test_a_copy_of_an_answered_call_is_handled_again(conversation):
    conversation.result(conversation.receive(HEARTBEAT, 0.0), {})
    assert isinstance(conversation.receive(HEARTBEAT, 1.0), CallReceived)


def test_a_copy_of_a_call_that_was_never_answered_is_handled_in_the_end(conversation):
    conversation.receive(HEARTBEAT, 0.0)
    assert isinstance(conversation.receive(HEARTBEAT, COPY_SECONDS), CallReceived)


def test_another_call_with_an_id_in_hand_is_handled(conversation):
    conversation.receive(HEARTBEAT, 0.0)
    other = conversation.receive('[2,"h1","Authorize",{"idTag":"A"}]', 0.0)
    assert isinstance(other, CallReceived)
    assert other.action == "Authorize"


def test_calls_that_nobody_answers_do_not_pile_up(conversation):
    for number in range(10_000):
        conversation.receive(f'[2,"{number}","Heartbeat",{{}}]', 0.0)
    assert isinstance(conversation.receive('[2,"0","Heartbeat",{}]', 0.0), CallReceived)


def test_a_call_of_ours_is_written_and_waited_for(conversation):
    text = conversation.call("Reset", {"type": "Soft"}, "our-1", now=100.0, timeout=30.0)
    assert json.loads(text) == [2, "our-1", "Reset", {"type": "Soft"}]
    assert conversation.waiting
    assert conversation.deadline == 130.0


def test_only_one_call_of_ours_is_open(waiting):
    with pytest.raises(RuntimeError):
        waiting.call("ClearCache", {}, "our-2", now=1.0, timeout=30.0)


def test_the_answer_ends_the_call(waiting):
    assert waiting.receive('[3,"our-1",{"status":"Accepted"}]', 1.0) == ResultReceived(
        "our-1", {"status": "Accepted"}
    )
    assert not waiting.waiting
    assert waiting.deadline is None


def test_an_error_ends_the_call(waiting):
    event = waiting.receive('[4,"our-1","NotSupported","no",{}]', 1.0)
    assert event == ErrorReceived("our-1", "NotSupported", "no", {})
    assert not waiting.waiting


def test_an_unreadable_answer_ends_the_call_at_once(waiting):
    event = waiting.receive('[3,"our-1",{"status":"Acc', 1.0)
    assert isinstance(event, ErrorReceived)
    assert event.message_id == "our-1"
    assert "could not be read" in event.description
    assert not waiting.waiting


def test_calls_may_cross(waiting):
    assert isinstance(waiting.receive(HEARTBEAT, 1.0), CallReceived)
    assert waiting.waiting


def test_the_same_id_in_both_directions_is_two_calls(waiting):
    assert isinstance(waiting.receive('[2,"our-1","Heartbeat",{}]', 1.0), CallReceived)
    assert waiting.waiting


def test_a_numeric_id_is_recognised_in_an_answer_written_as_a_number(conversation):
    conversation.call("ClearCache", {}, "17", now=0.0, timeout=30.0)
    assert conversation.receive('[3,17,{"status":"Accepted"}]', 1.0) == ResultReceived(
        "17", {"status": "Accepted"}
    )


@pytest.mark.parametrize(
    "text", ['[3,"never-sent",{}]', '[4,"never-sent","GenericError","",{}]', '[3,"never-sent",{"']
)
def test_an_answer_to_a_call_that_was_never_sent_means_nothing(waiting, text):
    assert isinstance(waiting.receive(text, 1.0), Nothing)
    assert waiting.waiting


def test_an_answer_means_nothing_a_second_time(waiting):
    waiting.receive('[3,"our-1",{}]', 1.0)
    assert isinstance(waiting.receive('[3,"our-1",{}]', 1.0), Nothing)


def test_a_call_does_not_expire_before_its_deadline(waiting):
    assert waiting.expire(29.9) is None
    assert waiting.waiting


def test_a_call_expires_at_its_deadline(waiting):
    assert waiting.expire(30.0) == CallExpired("our-1", "Reset")
    assert not waiting.waiting
    assert waiting.expire(31.0) is None


def test_a_late_answer_is_told_apart(waiting):
    waiting.expire(30.0)
    waiting.call("ClearCache", {}, "our-2", now=31.0, timeout=30.0)
    assert waiting.receive('[3,"our-1",{"status":"Accepted"}]', 60.0) == ResultReceived(
        "our-1", {"status": "Accepted"}, late=True
    )
    assert waiting.receive('[3,"our-2",{}]', 60.0) == ResultReceived("our-2", {})


def test_a_late_error_is_told_apart(waiting):
    waiting.expire(30.0)
    event = waiting.receive('[4,"our-1","InternalError","",{}]', 60.0)
    assert event == ErrorReceived("our-1", "InternalError", late=True)


def test_a_bounded_number_of_expired_calls_is_remembered(conversation):
    for number in range(REMEMBERED + 1):
        conversation.call("ClearCache", {}, f"our-{number}", now=0.0, timeout=1.0)
        conversation.expire(1.0)
    assert isinstance(conversation.receive('[3,"our-0",{}]', 2.0), Nothing)
    assert isinstance(conversation.receive('[3,"our-1",{}]', 2.0), ResultReceived)


def test_time_in_which_we_did_not_read_is_not_held_against_the_charger(waiting):
    waiting.postpone(10.0)
    assert waiting.expire(39.9) is None
    assert waiting.expire(40.0) == CallExpired("our-1", "Reset")


def test_postponing_without_an_open_call_does_nothing(conversation):
    conversation.postpone(10.0)
    assert conversation.deadline is None


def test_a_broken_call_is_answered_without_a_handler(conversation):
    event = conversation.receive('[2,"17","StopTransaction",{"transactionId":,', 0.0)
    assert isinstance(event, Reply)
    assert json.loads(event.text)[:3] == [4, "17", "FormationViolation"]
    assert event.action == "StopTransaction"


@pytest.mark.parametrize(
    ("text", "malformed"), [("nonsense", True), ("{}", True), ("", False), ("pong", False)]
)
def test_other_text_means_nothing(conversation, text, malformed):
    event = conversation.receive(text, 0.0)
    assert isinstance(event, Nothing)
    assert event.malformed is malformed
