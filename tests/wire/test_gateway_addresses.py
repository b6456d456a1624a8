"""A charger's address becomes its identity."""

import pytest

from charger_mgmt.gateway.addresses import ENDPOINT, SEGMENT, ChargerPaths


def led_to(raw_path):
    """The path that the application gets to see, and the segment that names the charger."""
    environ = {
        "REQUEST_METHOD": "GET",
        "HTTP_UPGRADE": "websocket",
        "HTTP_CONNECTION": "Upgrade",
        "PATH_INFO": raw_path,
        "RAW_URI": raw_path,
    }
    list(ChargerPaths(lambda seen, _: [])(environ, None))
    return environ["PATH_INFO"], environ.get(SEGMENT)


@pytest.mark.parametrize(
    ("segment", "identity"),
    [
        ("CP1", "CP1"),
        ("RDAM%20123", "RDAM 123"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%2Fb", "a/b"),
        ("100%2525", "100%25"),
        ("S%C3%A4ule", "Säule"),
        ("007", "007"),
    ],
)
def test_the_last_segment_is_decoded_once_and_a_plus_is_a_plus(segment, identity):
    assert led_to(f"/ocpp/{segment}") == (ENDPOINT, identity.encode())


@pytest.mark.parametrize("path", ["/ocpp///CP1", "/ocpp/CP1/", "/some/prefix/CP1", "/CP1", "/ocpp/CP1?x=1"])
def test_surplus_slashes_and_prefixes_do_not_count(path):
    assert led_to(path) == (ENDPOINT, b"CP1")


@pytest.mark.parametrize("path", ["/", "/ocpp", "/ocpp/"])
def test_without_an_identity_there_is_no_segment(path):
    assert led_to(path) == (ENDPOINT, b"")


@pytest.mark.parametrize("path", ["/api/chargers", "/health/live"])
def test_operators_paths_are_left_alone(path):
    assert led_to(path) == (path, None)
