"""Behind a proxy that is trusted, and without one: forged headers, the PROXY protocol, the log-in throttle."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest

from tests.support.server import USERNAME, GunicornServer

from .raw import RawCharger

pytestmark = pytest.mark.wire

V2 = b"\r\n\r\n\x00\r\nQUIT\n"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """A server that takes this machine for its proxy."""
    folder = tmp_path_factory.mktemp("proxy")
    with GunicornServer(f"sqlite:///{folder / 'a.sqlite3'}", {"TRUSTED_PROXIES": "127.0.0.0/8"}) as server:
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A server that knows of no proxy."""
    with GunicornServer(f"sqlite:///{tmp_path_factory.mktemp('plain') / 'a.sqlite3'}") as server:
        yield server


def fails_to_log_in(server, address):
    body = {"username": USERNAME, "password": "guess"}
    return server.request(
        "POST", "/api/auth/login", body, token=None, headers={"X-Forwarded-For": address}
    ).status


def locks_out(server, address):
    return any(fails_to_log_in(server, address) == 429 for _ in range(30))


def dials(server, identity, **options):
    with RawCharger((server.host, server.port)) as charger:
        answer = charger.asks(f"/ocpp/{identity}", **options)
        if answer.status == 101:
            charger.boots()
        return answer.status


def address_of(server, identity):
    """Where the last connection came from, by the journal."""
    events = server.get(f"/api/chargers/{identity}/events?kind=Connected").json
    return events[0]["detail"]["address"]


def proxy_v2(address, port=4711):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed, own = (
        socket.inet_pton(family, address),
        socket.inet_pton(family, "::1" if ":" in address else "127.0.0.1"),
    )
    body = packed + own + struct.pack("!HH", port, 8080)
    return V2 + bytes([0x21, 0x21 if ":" in address else 0x11]) + struct.pack("!H", len(body)) + body


def test_a_stranger_locks_out_himself_only(trusting):
    assert trusting.token()
    assert locks_out(trusting, "203.0.113.9")
    assert fails_to_log_in(trusting, "203.0.113.9") == 429
    assert fails_to_log_in(trusting, "203.0.113.10") == 401
    assert (
        fails_to_log_in(trusting, "203.0.113.9, 203.0.113.11") == 401
    )  # what the stranger writes himself is no excuse
    assert fails_to_log_in(trusting, "203.0.113.11, 203.0.113.9") == 429


def test_without_a_trusted_proxy_the_header_is_no_way_around_the_throttle(plain):
    assert plain.token()
    assert locks_out(plain, "203.0.113.9")
    assert fails_to_log_in(plain, "203.0.113.10") == 429


def test_the_log_and_the_events_name_the_charger(trusting):
    assert dials(trusting, "BEHIND", headers=[("X-Forwarded-For", "198.51.100.4")]) == 101
    assert "charger BEHIND: connected from 198.51.100.4," in trusting.log()
    assert address_of(trusting, "BEHIND") == "198.51.100.4"


def test_a_forged_header_is_ignored(plain):
    assert dials(plain, "FORGED", headers=[("X-Forwarded-For", "198.51.100.4")]) == 101
    assert address_of(plain, "FORGED") == "127.0.0.1"


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"PROXY TCP4 198.51.100.5 127.0.0.1 4711 8080\r\n", "198.51.100.5"),
        (b"PROXY TCP6 2001:db8::5 ::1 4711 8080\r\n", "2001:db8::5"),
        (proxy_v2("198.51.100.6"), "198.51.100.6"),
        (proxy_v2("2001:db8::6"), "2001:db8::6"),
        (V2 + b"\x20\x00\x00\x00", "127.0.0.1"),  # LOCAL: the proxy itself
        (b"", "127.0.0.1"),
    ],
)
def test_the_proxy_protocol(trusting, line, address):
    assert dials(trusting, "PROXIED", before=line) == 101
    assert address_of(trusting, "PROXIED") == address


def test_a_header_of_a_client_behind_the_proxy_protocol_is_ignored(trusting):
    line = b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 8080\r\n"
    assert dials(trusting, "TWICE", before=line, headers=[("X-Forwarded-For", "192.0.2.99")]) == 101
    assert address_of(trusting, "TWICE") == "198.51.100.7"


@pytest.mark.parametrize(
    "line", [b"PROXY TCP4 198.51.100.5 127.0.0.1 4711 8080\r\n", proxy_v2("198.51.100.6")]
)
def test_the_proxy_protocol_of_a_stranger_gets_nobody_in(plain, line):
    with RawCharger((plain.host, plain.port)) as charger, contextlib.suppress(EOFError):
        assert charger.asks("/ocpp/STRANGER", before=line).status in (400, 403)
    assert plain.get("/api/chargers/STRANGER").status == 404
