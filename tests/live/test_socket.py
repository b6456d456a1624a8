"""A charger's WebSocket over a real TCP connection."""

from __future__ import annotations

import contextlib
import socket as std_socket
import struct
from collections.abc import Callable

import flask_sock
import gevent
import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

import charger_mgmt.extensions  # noqa: F401 - puts our socket class in place
from charger_mgmt.websocket.keepalive import KeepAlive
from charger_mgmt.websocket.socket import ChargerSocket, SocketClosed
from tests.wire.raw import CLOSE, PING, PONG, TEXT, frame

from .support import pair, socket_head, until


def test_flask_sock_uses_our_socket() -> None:
    assert flask_sock.Server is ChargerSocket
    assert flask_sock.Sock.route.__globals__["Server"] is ChargerSocket


def test_the_handshake_answers_with_the_chosen_subprotocol_only() -> None:
    ours, _ = pair()
    head = socket_head[id(ours)]
    assert head.startswith("HTTP/1.1 101 ")
    assert head.count("Sec-WebSocket-Protocol: ocpp1.6\r\n") == 1
    assert "Extensions" not in head


def test_without_a_subprotocol_there_is_no_such_header() -> None:
    ours, _ = pair(subprotocol=None)
    assert "Sec-WebSocket-Protocol" not in socket_head[id(ours)]


def test_nagle_is_off() -> None:
    ours, theirs = pair()
    assert ours._sock.getsockopt(std_socket.IPPROTO_TCP, std_socket.TCP_NODELAY)
    theirs.close()


def test_messages_come_in_order() -> None:
    ours, theirs = pair()
    theirs.sendall(frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert [ours.receive(), ours.receive()] == ["one", "two"]


def test_a_ping_is_answered_with_its_payload() -> None:
    ours, theirs = pair()
    theirs.sendall(frame(PING, b"abc") + frame(TEXT, b"next"))
    assert ours.receive() == "next"
    assert theirs.recv(100) == b"\x8a\x03abc"


def test_a_close_frame_is_answered_and_ends_the_socket() -> None:
    ours, theirs = pair()
    theirs.sendall(frame(CLOSE, struct.pack("!H", 1001)))
    assert ours.receive() is None
    assert theirs.recv(100) == b"\x88\x02\x03\xe9"
    assert theirs.recv(100) == b""
    assert "1001" in ours.why_closed


def test_a_connection_that_breaks_ends_the_socket() -> None:
    ours, theirs = pair()
    theirs.setsockopt(std_socket.SOL_SOCKET, std_socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    assert ours.receive() is None
    with pytest.raises(SocketClosed):
        ours.send("too late")


def test_close_sends_its_code_and_ends_when_the_charger_answers() -> None:
    ours, theirs = pair()
    reader = gevent.spawn(ours.receive)
    ours.close(1012, "restart")
    assert theirs.recv(100) == b"\x88\x09\x03\xf4restart"
    theirs.sendall(frame(CLOSE, struct.pack("!H", 1012)))
    assert reader.get(timeout=5) is None


def test_close_does_not_wait_for_a_charger_that_never_answers() -> None:
    ours, _theirs = pair()
    reader = gevent.spawn(ours.receive)
    ours.close(1012)
    assert reader.get(timeout=5) is None


def test_messages_after_our_close_frame_are_not_handled() -> None:
    ours, theirs = pair()
    ours.close(1000)
    theirs.sendall(frame(TEXT, b"late") + frame(CLOSE, struct.pack("!H", 1000)))
    assert ours.receive() is None


def test_drop_ends_the_connection_without_a_close_frame() -> None:
    ours, theirs = pair()
    reader = gevent.spawn(ours.receive)
    gevent.sleep(0)
    ours.drop("the database is away")
    assert theirs.recv(100) == b""
    assert reader.get(timeout=5) is None
    assert ours.why_closed == "the database is away"


def test_a_message_over_the_limit_closes_with_1009() -> None:
    ours, theirs = pair(limit=1000)
    theirs.sendall(frame(TEXT, b"x" * 5000))
    reader = gevent.spawn(ours.receive)
    assert theirs.recv(4) == b"\x88" + bytes([2 + len("message is longer than 1000 bytes")]) + b"\x03\xf1"
    theirs.close()
    assert reader.get(timeout=5) is None


def test_a_compressed_frame_closes_with_1002_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = pair()
    theirs.sendall(frame(TEXT, b"\xab\x00", rsv=0x40))
    reader = gevent.spawn(ours.receive)
    assert theirs.recv(4)[2:] == b"\x03\xea"
    theirs.close()
    reader.get(timeout=5)
    assert "compressed" in caplog.text


def received(theirs, count: int) -> list[str]:
    """The next `count` text messages that arrive at the charger's end."""
    client = Connection(ConnectionType.CLIENT)
    arrived: list[str] = []
    parts = ""
    while len(arrived) < count:
        client.receive_data(theirs.recv(65536))
        for event in client.events():
            assert isinstance(event, TextMessage)
            parts += event.data
            if event.message_finished:
                arrived.append(parts)
                parts = ""
    return arrived


def fill(ours: ChargerSocket) -> tuple[list[str], Callable[[], None]]:
    """Send without waiting until a message is torn: all that was sent, and what writes the rest."""
    messages = []
    while True:
        messages.append(f"{len(messages)}:" + "x" * 50_000)
        if (finish := ours.begin_send(messages[-1])) is not None:
            return messages, finish


def test_large_messages_of_many_greenlets_arrive_whole() -> None:
    ours, theirs = pair()
    messages = [f"{number}:" + chr(65 + number) * 300_000 for number in range(8)]
    writers = [gevent.spawn(ours.send, message) for message in messages]
    assert sorted(received(theirs, len(messages))) == sorted(messages)
    gevent.joinall(writers, timeout=5, raise_error=True)


def test_a_message_that_was_torn_is_finished_before_any_other_is_written() -> None:
    ours, theirs = pair()
    messages, finish = fill(ours)
    assert ours.writing_since is not None
    others = [ours.begin_send(f"after {number}") for number in range(2)]  # none of them waits
    ours.ping()
    writers = [gevent.spawn(other) for other in others]
    gevent.sleep(0.01)  # they would come first, if they could
    writers.append(gevent.spawn(finish))
    assert received(theirs, len(messages) + 2) == [*messages, "after 0", "after 1"]
    gevent.joinall(writers, timeout=5, raise_error=True)
    assert ours.writing_since is None
    ours.send("and on")
    assert received(theirs, 1) == ["and on"]


def test_nothing_is_written_after_our_close_frame_not_even_what_was_begun_before() -> None:
    ours, theirs = pair()
    _messages, finish = fill(ours)
    second = ours.begin_send("another")
    assert second is not None
    reader = gevent.spawn(lambda: b"".join(iter(lambda: theirs.recv(65536), b"")))
    late = gevent.spawn(second)
    gevent.sleep(0.01)
    finish()  # the lock is free, and the other writer has not been woken yet
    ours.close(1012, "restart")
    with pytest.raises(SocketClosed):
        late.get(timeout=5)
    ours.drop()
    assert reader.get(timeout=5).endswith(b"\x88\x09\x03\xf4restart")


def test_what_was_begun_on_a_socket_that_ends_raises_and_holds_nobody_up() -> None:
    ours, _theirs = pair()
    _messages, finish = fill(ours)
    second = ours.begin_send("another")
    assert second is not None
    ours.drop("gone")
    for rest in (finish, second):
        with pytest.raises(SocketClosed, match="gone"):
            rest()
    assert ours.writing_since is None
    with pytest.raises(SocketClosed):
        ours.begin_send("too late")


def test_a_charger_that_does_not_read_is_dropped_and_its_writers_are_told() -> None:
    keepalive = KeepAlive(25, 330, write_deadline=0.2)
    ours, _theirs = pair(keepalive=keepalive)

    def writes() -> str:
        try:
            for _ in range(200):
                ours.send("x" * 100_000)
        except SocketClosed as closed:
            return str(closed)
        return "everything was written"

    writers = [gevent.spawn(writes) for _ in range(3)]
    until(lambda: ours.writing_since is not None)
    assert ours.writing_since is not None
    keepalive.tick(ours.writing_since + 0.1)
    assert ours.is_open
    keepalive.tick(ours.writing_since + 0.3)
    assert {writer.get(timeout=5) for writer in writers} == {"the charger did not read what we sent"}
    assert len(keepalive) == 0


def test_while_nobody_receives_the_charger_cannot_fill_our_memory() -> None:
    _ours, theirs = pair()
    theirs.settimeout(0.3)
    sent = 0
    piece = frame(TEXT, b"x" * 60_000)
    with contextlib.suppress(TimeoutError):
        while sent < 100_000_000:
            sent += theirs.send(piece)
    assert sent < 20_000_000  # what the kernel's buffers hold, and no more


def test_a_talkative_charger_lets_the_others_have_their_turn() -> None:
    ours, theirs = pair()
    turns = 0

    def counts() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    def floods() -> None:
        for _ in range(200):
            theirs.sendall(frame(TEXT, b"x" * 15_000))
        theirs.close()

    other = gevent.spawn(counts)
    gevent.spawn(floods)
    received = 0
    while ours.receive() is not None:
        received += 1
    other.kill()
    assert received == 200
    assert turns > 5


def test_a_pong_is_noted() -> None:
    ours, theirs = pair()
    assert not ours.answers_pings
    theirs.sendall(frame(PONG) + frame(TEXT, b"x"))
    ours.receive()
    assert ours.answers_pings
