"""Whose word counts on where a client is."""

from __future__ import annotations

import pytest

import config
from charger_mgmt import proxies
from charger_mgmt.errors import ConfigurationError
from charger_mgmt.proxies import TrustedProxies


def seen(trusted: str, peer: str, **headers: str) -> tuple[str, str, dict]:
    """Address, scheme and environ as the application sees them."""
    found: dict = {}

    def application(environ, _start_response):
        found.update(environ)
        return []

    environ = {"REMOTE_ADDR": peer, "REMOTE_PORT": "1234", "wsgi.url_scheme": "http"}
    environ |= {f"HTTP_X_FORWARDED_{name}": value for name, value in headers.items()}
    TrustedProxies(application, proxies.networks(trusted))(environ, None)
    return found["REMOTE_ADDR"], found["wsgi.url_scheme"], found


@pytest.mark.parametrize(
    ("trusted", "peer", "chain", "client"),
    [
        ("", "127.0.0.1", "203.0.113.9", "127.0.0.1"),
        ("10.0.0.0/8", "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1,10.0.0.0/8", "127.0.0.1", "1.1.1.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", "10.0.0.7, 10.0.0.2", "10.0.0.7"),
        ("10.0.0.0/8", "10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.9, garbage, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.0/8", "10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fd00::/8", "fd00::1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", "' OR 1=1 --", "10.0.0.1"),
    ],
)
def test_the_last_address_that_is_no_proxys_is_the_clients(trusted, peer, chain, client):
    assert seen(trusted, peer, FOR=chain)[0] == client


def test_a_forged_header_is_taken_away():
    environ = seen("10.0.0.0/8", "192.0.2.1", FOR="203.0.113.9", PROTO="https")[2]
    assert not [name for name in environ if "FORWARDED" in name]
    assert environ["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize(
    ("word", "scheme"),
    [("https", "https"), ("WSS", "https"), ("http", "http"), ("http, https", "https"), ("x", "http")],
)
def test_the_scheme_is_the_proxys(word, scheme):
    assert seen("10.0.0.0/8", "10.0.0.1", PROTO=word)[1] == scheme


def test_addresses_and_networks_are_a_setting():
    settings = config.load({"TRUSTED_PROXIES": "10.0.0.1/8, 192.0.2.7 ::1"})
    assert settings.trusted_proxies == ("10.0.0.0/8", "192.0.2.7/32", "::1/128")
    assert config.load({}).trusted_proxies == ()


@pytest.mark.parametrize("value", ["localhost", "10.0.0.0/33", "*", "10.0.0.0-10.0.0.9"])
def test_what_is_no_address_is_refused_by_name(value):
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        config.load({"TRUSTED_PROXIES": f"127.0.0.1,{value}"})
