"""Frames: what is read from text, and what is written (OCPP-J section 4, our rules 1.3 and 1.6)."""

import json
from decimal import Decimal

import pytest

from charger_mgmt.ocppj import frames
from charger_mgmt.ocppj.frames import Call, CallError, CallResult, Ignored, Malformed


def test_a_call_is_read():
    assert frames.decode('[2,"19223201","Heartbeat",{}]') == Call("19223201", "Heartbeat", {})


def test_a_result_is_read():
    assert frames.decode('[3,"a",{"status":"Accepted"}]') == CallResult("a", {"status": "Accepted"})


def test_an_error_is_read():
    text = '[4,"a","NotSupported","no",{"why":1}]'
    assert frames.decode(text) == CallError("a", "NotSupported", "no", {"why": 1})


@pytest.mark.parametrize("text", ['[4,"a"]', '[4,"a",null]', '[4,"a","",null,"details"]'])
def test_an_incomplete_error_still_ends_the_call(text):
    assert frames.decode(text) == CallError("a", "GenericError", "", {})


def test_a_null_payload_is_an_empty_one():
    assert frames.decode('[2,"a","Heartbeat",null]') == Call("a", "Heartbeat", {})
    assert frames.decode('[3,"a",null]') == CallResult("a", {})


@pytest.mark.parametrize("raw_id", ['"' + "x" * 36 + '"', '"' + "x" * 37 + '"', "17", "1.50", '""', '"ä\\n"'])
def test_an_id_is_echoed_as_it_came(raw_id):
    call = frames.decode(f'[2,{raw_id},"Heartbeat",{{}}]')
    assert isinstance(call, Call)
    echoed = json.loads(frames.encode(CallResult(call.id, {})), parse_float=str)
    assert echoed == json.loads(f"[3,{raw_id},{{}}]", parse_float=str)


@pytest.mark.parametrize("raw_id", ["null", "true", "[]", "{}"])
def test_an_id_of_no_use_gets_no_answer(raw_id):
    frame = frames.decode(f'[2,{raw_id},"Heartbeat",{{}}]')
    assert isinstance(frame, Malformed)
    assert frame.reply is None


@pytest.mark.parametrize("text", ['[2,"7"]', '[2,"7","Heartbeat"]'])
def test_a_short_call_is_a_protocol_error(text):
    frame = frames.decode(text)
    assert isinstance(frame, Malformed)
    assert frame.reply is not None
    assert (frame.reply.id, frame.reply.code) == ("7", "ProtocolError")


@pytest.mark.parametrize(
    "text", ['[2,7,"Heartbeat",[]]', '[2,7,"Heartbeat","x"]', "[2,7,8,{}]", "[2,7,null,{}]"]
)
def test_a_call_of_another_structure_is_a_formation_violation(text):
    frame = frames.decode(text)
    assert isinstance(frame, Malformed)
    assert frame.reply is not None
    assert (frame.reply.id, frame.reply.code) == (7, "FormationViolation")


def test_elements_after_the_payload_do_not_matter():
    assert frames.decode('[2,"a","Heartbeat",{},"more"]') == Call("a", "Heartbeat", {})


@pytest.mark.parametrize(
    "text", ["", "  \r\n", "pong", "PONG", "\x00", '[9,"a"]', '["2","a","Heartbeat",{}]', "[true]"]
)
def test_text_without_meaning_is_ignored(text):
    assert isinstance(frames.decode(text), Ignored)


@pytest.mark.parametrize("text", ["{}", "[]", "[2]", "nonsense", "2", '"text"', "null", "[", '[2,"unclosed'])
def test_text_that_is_no_frame_is_malformed_without_an_answer(text):
    frame = frames.decode(text)
    assert isinstance(frame, Malformed)
    assert (frame.reply, frame.answer_to) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        '[2,"17","StopTransaction",{"transactionId":,"meterStop":5}]',
        '[2,"17","StopTransaction",{"transactionId":5,"meter',
        ' [ 2 , "17" , "StopTransaction" , ',
        '[2,"17","StopTransaction",' + '{"a":' * 100_000,
    ],
)
def test_a_broken_call_is_answered_when_its_id_can_be_read(text):
    frame = frames.decode(text)
    assert isinstance(frame, Malformed)
    assert frame.reply is not None
    assert (frame.reply.id, frame.reply.code, frame.action) == ("17", "FormationViolation", "StopTransaction")


@pytest.mark.parametrize(
    "text",
    ['[3,"4f-1",{"configurationKey":[{"key":"Hea', '[3,"4f-1"', '[4,"4f-1","Gener', '[3,"4f-1","no object"]'],
)
def test_a_broken_answer_names_the_call_that_it_answers(text):
    frame = frames.decode(text)
    assert isinstance(frame, Malformed)
    assert (frame.answer_to, frame.reply) == ("4f-1", None)


def test_numbers_with_a_fraction_stay_exact():
    call = frames.decode('[2,"a","MeterValues",{"value":678901234.123456}]')
    assert isinstance(call, Call)
    assert call.payload == {"value": Decimal("678901234.123456")}


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "9" * 5000, "1e99999999999999999999"])
def test_a_number_beyond_reason_counts_as_null(number):
    call = frames.decode(f'[2,"a","StopTransaction",{{"meterStop":{number},"transactionId":5}}]')
    assert call == Call("a", "StopTransaction", {"meterStop": None, "transactionId": 5})


def test_lone_surrogates_and_control_characters_do_not_cost_the_message():
    call = frames.decode('\ufeff[2,"a","StopTransaction",{"idTag":"\\ud800\x01"}]\x00')
    assert call == Call("a", "StopTransaction", {"idTag": "\ufffd\x01"})


def test_what_is_written_is_compact():
    text = frames.encode(Call("a", "Reset", {"type": "Hard"}))
    assert text == '[2,"a","Reset",{"type":"Hard"}]'


def test_absent_values_are_left_out_at_every_level():
    payload = {"status": "Accepted", "data": None, "list": [{"key": "a", "value": None}], "in": {"x": None}}
    text = frames.encode(CallResult("a", payload))
    assert text == '[3,"a",{"status":"Accepted","list":[{"key":"a"}],"in":{}}]'


def test_an_error_is_written_with_its_details():
    assert frames.encode(CallError("a", "GenericError")) == '[4,"a","GenericError","",{}]'


def test_decimals_are_written_as_numbers():
    assert frames.encode(CallResult("a", {"limit": Decimal("16.10")})) == '[3,"a",{"limit":16.10}]'


def test_lone_surrogates_are_never_sent():
    assert frames.encode(CallResult("a", {"data": "x\ud800"})) == '[3,"a",{"data":"x\ufffd"}]'
