"""Section 1 of the rules over a real gunicorn: the upgrade, the frames, the ends."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.processes import wait_until

from .raw import CLOSE, CONTINUATION, PING, PONG, TEXT, RawCharger, asked, booted, dialed, frame

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "MAX_MESSAGE_BYTES": "100000"}


def shown(server: Any, identity: str) -> dict[str, Any]:
    answer = server.get(f"/api/chargers/{identity}")
    assert answer.status == 200, answer
    return answer.json


def departures(server: Any, identity: str) -> list[Any]:
    answer = server.get(f"/api/chargers/{identity}/events")
    assert answer.status == 200, answer
    return [event for event in answer.json if event["kind"] == "Disconnected"]


# The upgrade


def test_TC_088_no_common_subprotocol_is_refused_and_a_common_one_is_chosen(server) -> None:
    refused = asked(server, "/ocpp/TC088", subprotocols="ocpp0.1")
    assert (refused.status, "upgrade" in refused.headers) == (400, False)
    chosen = asked(server, "/ocpp/TC088", subprotocols="ocpp0.1,ocpp1.6")
    assert (chosen.status, chosen.headers["sec-websocket-protocol"]) == (101, "ocpp1.6")


@pytest.mark.parametrize("offered", [None, "OCPP1.6", "ocpp2.0.1", "ocpp1.60", ""])
def test_X_03_no_exact_subprotocol_is_refused(server, offered) -> None:
    assert asked(server, "/ocpp/X03", subprotocols=offered).status == 400


@pytest.mark.parametrize("offered", ["ocpp1.5, ocpp1.6", "ocpp1.6, ocpp1.5", "ocpp1.5,ocpp1.6,ocpp2.0.1"])
def test_X_04_exactly_one_token_comes_back(server, offered) -> None:
    answer = asked(server, "/ocpp/X04", subprotocols=offered)
    assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "ocpp1.6")


def test_X_02_the_identity_is_percent_decoded_once(server) -> None:
    with booted(server, "RDAM 123"):
        assert shown(server, "RDAM%20123")["identity"] == "RDAM 123"


def test_a_plus_in_the_path_is_a_plus(server) -> None:
    with RawCharger((server.host, server.port)) as charger:
        assert charger.asks("/ocpp/A+B").status == 101
        charger.boots()
        assert shown(server, "A%2BB")["identity"] == "A+B"


@pytest.mark.parametrize(
    "path",
    [
        "/ocpp///SLASHES",
        "///SLASHES",
        "/ocpp/SLASHES/",
        "//ocpp//SLASHES//",
        "/some/prefix/SLASHES",
        "/SLASHES",
    ],
)
def test_surplus_slashes_and_prefixes_lead_to_the_same_charger(server, path) -> None:
    with RawCharger((server.host, server.port)) as charger:
        assert charger.asks(path).status == 101
        charger.boots()
        assert shown(server, "SLASHES")["connected"] is True


@pytest.mark.parametrize(
    "path", ["/ocpp/A%2FB", "/ocpp/%20A", "/ocpp/A%00", "/ocpp/%ff", "/ocpp/" + "A" * 129]
)
def test_what_cannot_be_an_identity_is_refused(server, path) -> None:
    assert asked(server, path).status == 400


def test_operators_paths_take_no_websockets(server) -> None:
    assert asked(server, "/api/chargers").status in (400, 401, 404, 405)


def test_a_plain_request_is_told_to_upgrade(server) -> None:
    answer = server.get("/ocpp/CP1")
    assert answer.status == 426
    assert answer.headers["content-type"] == "application/problem+json"


def test_compression_is_not_agreed_to(server) -> None:
    deflate = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
    answer = asked(server, "/ocpp/DEFLATE", headers=[deflate])
    assert answer.status == 101
    assert "sec-websocket-extensions" not in answer.headers


def test_the_upgrade_needs_a_usable_key(server) -> None:
    with RawCharger((server.host, server.port)) as charger:
        charger.sends(
            b"GET /ocpp/KEY HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
        )
        assert charger._answer().status == 400


# Frames


def test_X_05_unknown_and_foreign_actions(server) -> None:
    with booted(server, "X05") as charger:
        assert charger.calls("Foo", message_id="a")[:3] == [4, "a", "NotImplemented"]
        assert charger.calls("Reset", {"type": "Hard"}, "b")[:3] == [4, "b", "NotSupported"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"connectorId": 1, "status": "Available"}, "OccurenceConstraintViolation"),
        ({"connectorId": "1", "errorCode": "NoError", "status": "Available"}, "TypeConstraintViolation"),
        ({"connectorId": 1, "errorCode": "NoError", "status": "Happy"}, "PropertyConstraintViolation"),
        (
            {"connectorId": 1, "errorCode": "NoError", "status": "Available", "vendorId": "v" * 256},
            "PropertyConstraintViolation",
        ),
        (
            {"connectorId": 1, "errorCode": "NoError", "status": "Available", "extra": 1},
            "FormationViolation",
        ),
    ],
)
def test_X_06_each_fault_has_its_code_and_the_id_comes_back(server, payload, code) -> None:
    with booted(server, "X06") as charger:
        assert server.request("PATCH", "/api/chargers/X06", {"strict": True}).status == 200
        answer = charger.calls("StatusNotification", payload, "the-id")
        assert (answer[0], answer[1], answer[2]) == (4, "the-id", code)
        assert isinstance(answer[3], str)
        assert isinstance(answer[4], dict)


@pytest.mark.parametrize(
    "garbage",
    [
        "not JSON",
        "{}",
        "[]",
        '[9,"a"]',
        "[2]",
        '[2,"x","Heart',
        "",
        "pong",
        "null",
        "[[[[",
        '[3,"unknown",{}]',
    ],
)
def test_X_07_garbage_does_not_end_the_connection(server, garbage) -> None:
    with booted(server, "X07") as charger:
        charger.says(garbage)
        charger.says('[2,"after","Heartbeat",{}]')
        while (answer := charger.hears_json())[1] != "after":
            assert answer[0] == 4
        assert "currentTime" in answer[2]


def test_X_08_a_null_payload_is_an_empty_one(server) -> None:
    with booted(server, "X08") as charger:
        charger.says('[2,"n","Heartbeat",null]')
        assert charger.hears_json()[0] == 3


@pytest.mark.parametrize("length", [1, 36, 37, 200])
def test_X_09_the_message_id_is_echoed_whatever_its_length(server, length) -> None:
    with booted(server, "X09") as charger:
        assert charger.calls("Heartbeat", message_id="i" * length)[1] == "i" * length


def test_X_30_current_time_is_utc_and_right(server) -> None:
    with booted(server, "X30") as charger:
        text = charger.calls("Heartbeat")[2]["currentTime"]
        assert text.endswith("Z")
        assert abs((datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()) <= 1.5


def test_fragments_and_binary_frames_are_messages_too(server) -> None:
    with booted(server, "FRAGMENTS") as charger:
        charger.sends(
            frame(TEXT, b'[2,"f","Hea', final=False)
            + frame(PING, b"in between")
            + frame(CONTINUATION, b'rtbeat",{}]')
        )
        assert charger.hears().opcode == PONG
        assert charger.hears_json()[:2] == [3, "f"]
        charger.sends(frame(0x2, b'[2,"b","Heartbeat",{}]'))
        assert charger.hears_json()[:2] == [3, "b"]


def test_latin_1_in_a_message_costs_a_character_not_the_message(server) -> None:
    with dialed(server, "LATIN1") as charger:
        charger.sends(
            frame(
                TEXT, b'[2,"l","BootNotification",{"chargePointVendor":"M\xfcller","chargePointModel":"M"}]'
            )
        )
        assert charger.hears_json()[2]["status"] == "Accepted"


def test_64_pipelined_calls_are_answered_in_order(server) -> None:
    with booted(server, "PIPELINE") as charger:
        ids = [f"p{number}" for number in range(64)]
        charger.sends(
            b"".join(
                frame(TEXT, json.dumps([2, message_id, *action]).encode())
                for message_id, action in zip(
                    ids,
                    [
                        ["Heartbeat", {}],
                        ["Authorize", {"idTag": "PIPE"}],
                        [
                            "StatusNotification",
                            {"connectorId": 1, "errorCode": "NoError", "status": "Available"},
                        ],
                        ["DataTransfer", {"vendorId": "v"}],
                    ]
                    * 16,
                    strict=True,
                )
            )
        )
        answers = [charger.hears_json() for _ in ids]
        assert [answer[1] for answer in answers] == ids
        assert {answer[0] for answer in answers} == {3}


def test_far_more_pipelined_calls_than_we_queue_are_all_answered(server) -> None:
    with booted(server, "FLOOD") as charger:
        ids = [f"p{number}" for number in range(500)]
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(
                charger.sends,
                b"".join(
                    frame(TEXT, json.dumps([2, message_id, "Authorize", {"idTag": "A"}]).encode())
                    for message_id in ids
                ),
            )
            assert [charger.hears_json()[1] for _ in ids] == ids
            sending.result(timeout=10)


# The ends


def test_an_oversized_message_closes_with_1009(server) -> None:
    with booted(server, "BIG") as charger:
        charger.sends(frame(TEXT, b"x" * 100_001))
        assert charger.hears_close() == 1009
        assert charger.is_ended()


def test_a_large_message_within_the_limit_is_taken(server) -> None:
    with booted(server, "LARGE") as charger:
        answer = charger.calls("DataTransfer", {"vendorId": "v", "data": "d" * 90_000})
        assert answer[0] == 3


def test_a_compressed_frame_that_was_not_agreed_on_closes_with_1002(server) -> None:
    with booted(server, "SQUEEZED") as charger:
        charger.sends(frame(TEXT, b"\xaa\x00", rsv=0x40))
        assert charger.hears_close() == 1002


def test_an_unmasked_frame_closes_with_1002(server) -> None:
    with booted(server, "UNMASKED") as charger:
        charger.sends(frame(TEXT, b'[2,"1","Heartbeat",{}]', masked=False))
        assert charger.hears_close() == 1002


def test_twenty_malformed_frames_in_a_row_close_with_1008(server) -> None:
    with booted(server, "MALFORMED") as charger:
        for _ in range(20):
            charger.says("garbage")
        assert charger.hears_close() == 1008


def test_a_charger_that_closes_is_answered_and_shown_offline(server) -> None:
    with booted(server, "LEAVER") as charger:
        charger.sends(frame(CLOSE, b"\x03\xe8"))
        assert charger.hears_close() == 1000
        assert charger.is_ended()
    wait_until(lambda: shown(server, "LEAVER")["connected"] is False, seconds=5, what="it is offline")


def test_no_http_ever_comes_out_of_the_socket_of_a_charger_that_vanishes(server) -> None:
    for number in range(20):
        charger = RawCharger((server.host, server.port))
        assert charger.asks(f"/ocpp/VANISH{number}").status == 101
        charger.says('[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]')
        charger.close()
    with booted(server, "STAYS") as charger:
        charger.sends(frame(CLOSE, b"\x03\xe8"))
        assert charger.hears_close() == 1000
        assert charger._buffer == b""
        with pytest.raises(EOFError):
            charger.hears()
    assert server.alarms() == []


def test_X_31_the_newest_socket_owns_the_identity(server) -> None:
    with booted(server, "X31") as old:
        first = shown(server, "X31")["connectedSince"]
        with booted(server, "X31") as new:
            assert old.hears_close() == 1012
            assert old.is_ended()
            old.close()
            wait_until(lambda: departures(server, "X31"), seconds=5, what="the old socket's end is noted")
            after = shown(server, "X31")
            assert after["connected"] is True
            assert after["connectedSince"] >= first
            assert new.calls("Heartbeat")[0] == 3
    wait_until(lambda: shown(server, "X31")["connected"] is False, seconds=5, what="it is offline")


def test_a_charger_that_reconnects_without_a_boot_is_still_accepted(server) -> None:
    with booted(server, "AGAIN"):
        pass
    with dialed(server, "AGAIN") as charger:
        assert charger.calls("Heartbeat")[0] == 3


def test_X_14_before_any_boot_only_money_is_taken(server) -> None:
    server.post("/api/chargers", {"chargerId": "X14", "strict": True})
    with dialed(server, "X14") as charger:
        assert charger.calls("Heartbeat")[2] == "SecurityError"
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        assert charger.calls("StatusNotification", status)[2] == "SecurityError"
        start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"}
        assert charger.calls("StartTransaction", start)[0] == 3
        assert charger.boots()["status"] == "Accepted"
        assert charger.calls("Heartbeat")[0] == 3


def test_a_slow_reader_does_not_hinder_the_others(server) -> None:
    with booted(server, "SLOW", receive_buffer=4096) as slow, booted(server, "FAST") as fast:
        slow.socket.setblocking(False)
        message = frame(TEXT, json.dumps([2, "i" * 200, "Heartbeat", {}]).encode())
        try:
            for _ in range(20_000):
                slow.sends(message * 100)
        except (BlockingIOError, TimeoutError):
            pass  # the server has stopped reading what it cannot answer
        else:
            raise AssertionError("the server read everything from a charger that reads nothing")
        began = time.monotonic()
        for _ in range(20):
            assert fast.calls("Heartbeat")[0] == 3
        assert time.monotonic() - began < 5
        assert server.get("/health/live", token=None).status == 200


def test_500_sockets_on_one_worker_while_rest_answers(server) -> None:
    chargers = [RawCharger((server.host, server.port)) for _ in range(500)]
    try:
        for number, charger in enumerate(chargers):
            assert charger.asks(f"/ocpp/MANY{number}").status == 101
        assert server.get("/health/live", token=None).status == 200
        for charger in chargers:
            charger.says('[2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]')
        for charger in chargers:
            assert charger.hears_json()[2]["status"] == "Accepted"
        for charger in chargers:
            charger.says(f'[2,"{os.urandom(4).hex()}","Heartbeat",{{}}]')
        assert server.get("/health/ready", token=None).status == 200
        for charger in chargers:
            assert charger.hears_json()[0] == 3
    finally:
        for charger in chargers:
            charger.close()


def test_what_the_meaning_survives_is_taken_and_shown_to_the_operator(server) -> None:
    with booted(server, "ODD") as charger:
        assert charger.calls("Authorize", {"idTag": "CARD-9", "connectorId": 1}, "a")[0] == 3
        status = {"connectorId": "1", "errorCode": "Error", "status": "Faulted"}
        assert charger.calls("StatusNotification", status, "b") == [3, "b", {}]
        assert charger.calls("Heartbeat", {"now": 1}, "c")[0] == 3
    seen = server.get("/api/chargers/ODD").json
    assert (seen["hasFault"], seen["connectors"][0]["reportedErrorCode"]) == (True, "Error")

    def kinds():
        return {(row["action"], row["kind"]) for row in server.get("/api/chargers/ODD/oddities").json}

    wait_until(
        lambda: (
            kinds()
            == {
                ("Authorize", "extra-field"),
                ("Heartbeat", "extra-field"),
                ("StatusNotification", "text-as-number"),
                ("StatusNotification", "unknown-error-code"),
            }
        ),
        seconds=5,
        what="the oddities are counted",
    )


def call(number: int, action: str = "Heartbeat", payload: Any = None) -> bytes:
    return frame(TEXT, json.dumps([2, str(number), action, payload or {}]).encode())


BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


def test_frames_that_come_together_with_the_handshake_are_taken(server) -> None:
    with RawCharger((server.host, server.port)) as charger:
        ahead = call(1, "BootNotification", BOOT) + frame(PING, b"p") + call(2)
        assert charger.asks("/ocpp/AHEAD-1", ahead=ahead).status == 101
        heard = [charger.hears() for _ in range(3)]
        assert sorted(got.opcode for got in heard) == [TEXT, TEXT, PONG]
        assert [json.loads(got.payload)[1] for got in heard if got.opcode == TEXT] == ["1", "2"]
        assert charger.calls("Heartbeat")[0] == 3


@pytest.mark.parametrize("cut", [1, 2, 5, 20, -1])
def test_a_frame_of_which_a_part_comes_with_the_handshake_is_whole(server, cut) -> None:
    boot = call(1, "BootNotification", BOOT)
    with RawCharger((server.host, server.port)) as charger:
        assert charger.asks("/ocpp/AHEAD-2", ahead=boot[:cut]).status == 101
        charger.sends(boot[cut:])
        assert charger.hears_json()[:2] == [3, "1"]


def test_a_long_frame_that_begins_with_the_handshake_is_whole(server) -> None:
    boot = call(1, "BootNotification", BOOT | {"iccid": "x" * 70_000})
    with RawCharger((server.host, server.port)) as charger:
        assert charger.asks("/ocpp/AHEAD-3", ahead=boot).status == 101
        assert charger.hears_json()[1] == "1"


def test_a_flat_message_that_comes_with_the_handshake_is_taken(server) -> None:
    boot = {"messageType": "BootNotification", "chargerId": 4711, "model": "M", "vendor": "V"}
    with RawCharger((server.host, server.port)) as charger:
        ahead = frame(TEXT, json.dumps(boot).encode())
        assert charger.asks("/ocpp", subprotocols=None, ahead=ahead).status == 101
        assert charger.hears_json()["status"] == "Accepted"


def test_an_upgrade_with_a_body_is_refused(server) -> None:
    for header in (("Content-Length", "5"), ("Transfer-Encoding", "chunked")):
        assert (
            asked(server, "/ocpp/AHEAD-4", headers=[header], ahead=b"5\r\nhello\r\n0\r\n\r\n").status == 400
        )
