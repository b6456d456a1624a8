"""Who gets a socket, decided before the upgrade: X-01 to X-04, X-33, X-34, TC_088."""

from __future__ import annotations

import base64

import pytest

from charger_mgmt.simulate.transport import HandshakeRefused

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0", "CHARGER_ONBOARDING": "closed"}
PASSWORD = "sixteen-bytes-at-least"
#: 20 bytes, a colon, a zero and a byte that is no text among them.
BINARY_KEY = "003AFF0405063A08FF00FFFE80C3283A0D0A000F"


@pytest.fixture
def known(operator, identity):
    """The identity of a charger that the operator has entered."""
    entered = operator.post("/api/chargers", {"chargerId": identity})
    assert entered.status == 201
    return identity


@pytest.fixture
def secured(operator, known):
    """The same with a password."""
    assert operator.patch(f"/api/chargers/{known}", {"password": PASSWORD}).status == 200
    return known


def refusal(charger):
    """The HTTP status instead of an upgrade."""
    with pytest.raises(HandshakeRefused) as refused:
        charger.dials_in()
    assert refused.value.headers["content-type"] == "application/problem+json"
    return refused.value.status


def test_X_01_unknown_identity_is_404_and_not_upgraded(wire_charger, operator, identity):
    assert refusal(wire_charger(identity)) == 404
    assert operator.get(f"/api/chargers/{identity}").status == 404


def test_X_02_percent_encoded_identity_is_decoded_once(wire_charger, operator, server):
    operator.post("/api/chargers", {"chargerId": "RDAM 123"})
    charger = wire_charger("RDAM 123", url=f"{server.ocpp_url}/RDAM%20123")
    assert charger.boots().status == "Accepted"
    seen = operator.sees("RDAM 123")
    assert (seen["chargerId"], seen["connected"]) == ("RDAM 123", True)


@pytest.mark.parametrize("offered", [[], ["OCPP1.6"], ["ocpp2.0.1"], ["ocpp1.5", "ocpp1.60"]])
def test_X_03_without_the_exact_subprotocol_there_is_no_upgrade(wire_charger, known, offered):
    assert refusal(wire_charger(known, subprotocols=offered)) == 400


@pytest.mark.parametrize("offered", [["ocpp1.5", "ocpp1.6"], ["ocpp1.6", "ocpp1.5"]])
def test_X_04_of_several_subprotocols_exactly_ocpp16_comes_back(wire_charger, known, offered):
    charger = wire_charger(known, subprotocols=offered)
    assert charger.boots().status == "Accepted"
    assert charger.transport.subprotocol == "ocpp1.6"


def test_TC_088_subprotocol_negotiation(wire_charger, known):
    assert refusal(wire_charger(known, subprotocols=["ocpp0.1"])) == 400
    charger = wire_charger(known, subprotocols=["ocpp0.1", "ocpp1.6"])
    charger.dials_in()
    assert charger.transport.subprotocol == "ocpp1.6"


def test_X_33_the_right_password_is_let_in(wire_charger, secured):
    assert wire_charger(secured, password=PASSWORD).boots().status == "Accepted"


def test_X_33_a_wrong_password_is_401(wire_charger, secured, operator):
    assert refusal(wire_charger(secured, password=PASSWORD + "!")) == 401
    assert operator.sees(secured)["connected"] is False


def test_X_33_the_password_of_another_identity_is_401(wire_charger, secured, operator):
    other = f"{secured}-B"
    operator.post("/api/chargers", {"chargerId": other, "password": "another-password-of-its-own"})
    credentials = base64.b64encode(f"{secured}:{PASSWORD}".encode()).decode()
    charger = wire_charger(other, headers=[("Authorization", f"Basic {credentials}")])
    assert refusal(charger) == 401


def test_X_33_a_missing_header_is_401_and_says_what_is_wanted(wire_charger, secured):
    with pytest.raises(HandshakeRefused) as refused:
        wire_charger(secured).dials_in()
    assert refused.value.status == 401
    assert refused.value.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("value", ["Basic !!!not-base64!!!", "Basic", "Basic bm8tY29sb24=", "Bearer token"])
def test_X_33_a_malformed_header_is_401(wire_charger, secured, value):
    assert refusal(wire_charger(secured, headers=[("Authorization", value)])) == 401


def test_X_34_a_binary_password_is_accepted_and_never_shown(wire_charger, known, operator, server):
    charger = wire_charger(known)
    charger.starts_up()
    answer = operator.commands(charger, "ChangeConfiguration", key="AuthorizationKey", value=BINARY_KEY)
    assert answer.json["response"] == {"status": "Accepted"}
    charger.hangs_up()
    assert refusal(wire_charger(known)) == 401
    almost = bytes.fromhex(BINARY_KEY[:-2] + "00")
    assert refusal(wire_charger(known, password=almost)) == 401
    assert wire_charger(known, password=bytes.fromhex(BINARY_KEY)).heartbeats()["currentTime"]
    assert BINARY_KEY not in server.log()
    assert BINARY_KEY not in operator.get(f"/api/chargers/{known}/commands").text


def test_X_34_the_example_of_the_specification_is_accepted(wire_charger, operator):
    operator.post("/api/chargers", {"chargerId": "AL1000"})
    charger = wire_charger("AL1000")
    charger.starts_up()
    key = "0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF"
    operator.commands(charger, "ChangeConfiguration", key="AuthorizationKey", value=key)
    charger.hangs_up()
    header = ("Authorization", "Basic QUwxMDAwOgABAgMEBQYH////////////////")
    assert wire_charger("AL1000", headers=[header]).heartbeats()["currentTime"]
