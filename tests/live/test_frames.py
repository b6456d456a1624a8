"""WebSocket frames: what wsproto writes we read, what we write wsproto reads, what is wrong is named."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.events import Ping as WsPing
from wsproto.events import Pong as WsPong

from charger_mgmt.websocket import frames
from charger_mgmt.websocket.frames import Close, FrameReader, Ping, Pong, ProtocolViolation
from tests.wire.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
lengths = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, 70000])


def read(data: bytes, *, step: int = 0, limit: int = 1 << 20) -> list:
    """Everything in the bytes, fed whole or in pieces of `step` bytes."""
    reader = FrameReader(limit)
    events = []
    pieces = [data[i : i + step] for i in range(0, len(data), step)] if step else [data]
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next()) is not None:
            events.append(event)
    return events


def violation(data: bytes, **options: int) -> ProtocolViolation:
    with pytest.raises(ProtocolViolation) as caught:
        read(data, **options)
    return caught.value


@given(st.lists(texts, min_size=1, max_size=6), st.integers(1, 40))
def test_whatever_wsproto_sends_is_read(messages: list[str], step: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    sent = b"".join(client.send(TextMessage(message)) for message in messages)
    assert read(sent, step=step) == messages


@given(st.lists(texts, min_size=2, max_size=6), st.integers(1, 40))
def test_fragments_are_joined(pieces: list[str], step: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    sent = b"".join(
        client.send(TextMessage(piece, message_finished=position == len(pieces) - 1))
        for position, piece in enumerate(pieces)
    )
    assert read(sent, step=step) == ["".join(pieces)]


@given(st.one_of(texts, lengths.map("x".__mul__)))
def test_wsproto_reads_what_we_send(text: str) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(frames.text_frame(text))
    assert "".join(event.data for event in client.events() if isinstance(event, TextMessage)) == text


@given(st.binary(max_size=125))
def test_pings_and_pongs_go_both_ways(payload: bytes) -> None:
    client = Connection(ConnectionType.CLIENT)
    sent = client.send(WsPing(payload)) + client.send(WsPong(payload))
    assert read(sent) == [Ping(payload), Pong(payload)]
    client.receive_data(frames.ping_frame(payload) + frames.pong_frame(payload))
    assert [event.payload for event in client.events()] == [payload, payload]


@given(st.sampled_from([1000, 1001, 1008, 1009, 1011, 1012, 3000, 4999]), texts)
def test_wsproto_reads_our_close_frames(code: int, reason: str) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(frames.close_frame(code, reason))
    (event,) = client.events()
    assert isinstance(event, CloseConnection)
    assert event.code == code
    assert reason.startswith(event.reason or "")


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_whatever_raise_anything_but_a_violation(data: bytes, step: int) -> None:
    with contextlib.suppress(ProtocolViolation):
        read(data, step=step)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_every_length_encoding_is_read(length: int) -> None:
    assert read(frame(TEXT, b"x" * length), step=4096) == ["x" * length]


def test_a_binary_frame_is_read_as_text() -> None:
    client = Connection(ConnectionType.CLIENT)
    assert read(client.send(BytesMessage(b'[2,"1","Heartbeat",{}]'))) == ['[2,"1","Heartbeat",{}]']


def test_text_that_is_not_utf8_is_read_with_replacement_characters() -> None:
    assert read(frame(TEXT, b'{"vendor":"M\xfcller"}')) == ['{"vendor":"M�ller"}']


def test_a_ping_between_fragments_is_heard_at_once() -> None:
    sent = frame(TEXT, b"one ", final=False) + frame(PING, b"?") + frame(CONTINUATION, b"two")
    assert read(sent) == [Ping(b"?"), "one two"]


def test_a_close_frame_tells_code_and_reason() -> None:
    assert read(frame(CLOSE, b"\x03\xe9going away")) == [Close(1001, "going away")]
    assert read(frame(CLOSE)) == [Close(None)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(TEXT, b"x", masked=False), "not masked"),
        (frame(TEXT, b"x", rsv=0x40), "compressed"),
        (frame(TEXT, b"x", rsv=0x20), "reserved bit"),
        (frame(0x3, b"x"), "reserved opcode"),
        (frame(0xB, b"x"), "reserved opcode"),
        (frame(CONTINUATION, b"x"), "continuation of nothing"),
        (frame(TEXT, b"x", final=False) + frame(TEXT, b"y"), "new message inside"),
        (frame(PING, b"x", final=False), "control frame"),
        (frame(PONG, b"x" * 126), "control frame"),
        (frame(CLOSE, b"x"), "impossible code"),
        (frame(CLOSE, b"\x03\xed"), "impossible code"),
        (frame(CLOSE, b"\x00\x01"), "impossible code"),
    ],
    ids=lambda value: value if isinstance(value, str) else "frame",  # its mask is random
)
def test_broken_framing_is_a_protocol_error(data: bytes, reason: str) -> None:
    wrong = violation(data)
    assert wrong.code == frames.PROTOCOL_ERROR
    assert reason in wrong.reason


def test_a_message_over_the_limit_is_refused_at_its_header() -> None:
    header_only = frame(BINARY, b"x" * 1001)[:8]
    assert violation(header_only, limit=1000).code == frames.TOO_BIG
    assert read(frame(BINARY, b"x" * 1000), limit=1000) == ["x" * 1000]


def test_fragments_count_together_against_the_limit() -> None:
    sent = frame(TEXT, b"x" * 600, final=False) + frame(CONTINUATION, b"x" * 600)
    assert violation(sent, limit=1000).code == frames.TOO_BIG


def test_a_flood_of_empty_fragments_is_refused() -> None:
    sent = frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=False) * 20_000
    assert violation(sent).code == frames.TOO_BIG


def test_a_lone_surrogate_does_not_stop_an_answer() -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(frames.text_frame("a\ud800b"))
    assert [event.data for event in client.events()] == ["a?b"]
