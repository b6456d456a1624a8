"""Who gets a socket: onboarding and passwords, before the upgrade."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from .raw import RawCharger, asked, dialed

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "CHARGER_ONBOARDING": "closed"}

PASSWORD = "0123456789abcdefXY"
BINARY_KEY = bytes([0x3A, 0x00, 0xFF, 0x3A]) + bytes(range(16))


def basic(user: str, password: str | bytes) -> list[tuple[str, str]]:
    secret = password.encode() if isinstance(password, str) else password
    return [("Authorization", "Basic " + base64.b64encode(user.encode() + b":" + secret).decode())]


@pytest.fixture(scope="module", autouse=True)
def known(server: Any) -> None:
    """Three chargers that the operator has created."""
    for body in (
        {"chargerId": "OPEN"},
        {"chargerId": "LOCKED", "password": PASSWORD},
        {"chargerId": "OTHER", "password": "another password, also long"},
        {"chargerId": "BINARY", "password": BINARY_KEY.hex()},
        {"chargerId": "COLON", "password": "with:colons:in:it:"},
        {"chargerId": "MUTE", "allowMissingSubprotocol": True},
    ):
        answer = server.post("/api/chargers", body)
        assert answer.status == 201, answer


def test_X_01_an_unknown_identity_is_not_found(server) -> None:
    answer = asked(server, "/ocpp/NOBODY")
    assert answer.status == 404
    assert server.get("/api/chargers/NOBODY").status == 404


def test_a_known_identity_is_let_in_and_accepted(server) -> None:
    with dialed(server, "OPEN") as charger:
        assert charger.boots()["status"] == "Accepted"


def test_X_33_a_missing_password_is_unauthorized(server) -> None:
    answer = asked(server, "/ocpp/LOCKED")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "headers",
    [
        basic("LOCKED", "wrong"),
        basic("LOCKED", ""),
        basic("OTHER", PASSWORD),
        basic("OTHER", "another password, also long"),
        basic("", PASSWORD),
        [("Authorization", "Basic !!!not-base64!!!")],
        [("Authorization", "Basic " + base64.b64encode(b"no colon").decode())],
        [("Authorization", "Basic")],
        [("Authorization", "Bearer x")],
        [("Authorization", "Basic " + base64.b64encode(b"\xff\xfe:x").decode())],
    ],
)
def test_X_33_wrong_credentials_are_unauthorized(server, headers) -> None:
    assert asked(server, "/ocpp/LOCKED", headers=headers).status == 401


def test_X_33_the_right_password_opens(server) -> None:
    assert asked(server, "/ocpp/LOCKED", headers=basic("LOCKED", PASSWORD)).status == 101


def test_X_34_a_binary_password_opens(server) -> None:
    assert asked(server, "/ocpp/BINARY", headers=basic("BINARY", BINARY_KEY)).status == 101
    assert asked(server, "/ocpp/BINARY", headers=basic("BINARY", BINARY_KEY[:-1] + b"\x00")).status == 401


def test_a_password_that_an_operator_sets_in_hex_opens_in_hex_too(server) -> None:
    assert asked(server, "/ocpp/BINARY", headers=basic("BINARY", BINARY_KEY.hex())).status == 101


def test_a_password_may_hold_colons(server) -> None:
    assert asked(server, "/ocpp/COLON", headers=basic("COLON", "with:colons:in:it:")).status == 101


def test_the_user_name_stands_in_for_a_missing_identity(server) -> None:
    for path in ("/ocpp", "/ocpp/", "/"):
        assert asked(server, path, headers=basic("LOCKED", PASSWORD)).status == 101
    assert asked(server, "/ocpp", headers=basic("LOCKED", "wrong")).status == 401
    assert asked(server, "/ocpp").status == 400


def test_identity_is_judged_before_password_and_password_before_subprotocol(server) -> None:
    assert asked(server, "/ocpp/NOBODY", subprotocols="ocpp0.1").status == 404
    assert asked(server, "/ocpp/LOCKED", subprotocols="ocpp0.1").status == 401
    assert asked(server, "/ocpp/OPEN", subprotocols="ocpp0.1").status == 400


def test_a_charger_that_is_allowed_to_may_offer_no_subprotocol(server) -> None:
    answer = asked(server, "/ocpp/MUTE", subprotocols=None)
    assert answer.status == 101
    assert "sec-websocket-protocol" not in answer.headers
    assert asked(server, "/ocpp/OPEN", subprotocols=None).status == 400
    assert asked(server, "/ocpp/MUTE", subprotocols="ocpp0.1").status == 400


def test_a_flat_socket_speaks_for_no_unknown_charger(server) -> None:
    with RawCharger((server.host, server.port)) as charger:
        assert charger.asks("/ocpp", subprotocols=None).status == 101
        charger.says('{"messageType":"StartTransaction","chargerId":99,"transactionId":"T"}')
        assert charger.hears_json()["error"]["code"] == "SecurityError"
        charger.says('{"messageType":"BootNotification","chargerId":"OPEN2","vendor":"V","model":"M"}')
        assert "error" in charger.hears_json()
    assert server.get("/api/chargers/99").status == 404


def test_a_flat_socket_speaks_for_a_locked_charger_only_with_its_password(server) -> None:
    server.post("/api/chargers", {"chargerId": 7, "password": PASSWORD})
    boot = '{"messageType":"BootNotification","chargerId":7,"vendor":"V","model":"M"}'
    with RawCharger((server.host, server.port)) as stranger:
        assert stranger.asks("/ocpp", subprotocols=None).status == 101
        stranger.says(boot)
        assert stranger.hears_json()["error"]["code"] == "SecurityError"
    with RawCharger((server.host, server.port)) as charger:
        assert charger.asks("/ocpp", subprotocols=None, headers=basic("7", PASSWORD)).status == 101
        charger.says(boot)
        assert charger.hears_json()["status"] == "Accepted"
    assert asked(server, "/ocpp", subprotocols=None, headers=basic("7", "wrong")).status == 401


def test_no_password_is_in_the_log(server) -> None:
    for secret in (PASSWORD, base64.b64encode(f"LOCKED:{PASSWORD}".encode()).decode()):
        assert secret not in server.log()
