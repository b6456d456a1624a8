"""OCTT, Core profile: what the operator does with a charger besides starting and stopping."""

from __future__ import annotations

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "FOLLOW_UP_DELAY": "0", "UNKNOWN_TAGS": "invalid"}


def test_TC_061_clear_the_authorization_cache(charger, operator):
    answer = operator.commands(charger, "ClearCache")
    assert (answer.status, answer.json["state"]) == (200, "accepted")
    assert answer.json["response"] == {"status": "Accepted"}
    assert [(call.action, call.payload) for call in charger.calls] == [("ClearCache", {})]


def resets(charger, operator, kind):
    """The operator resets the charger, which boots again and is accepted."""
    answer = operator.commands(charger, "Reset", type=kind)
    assert (answer.status, answer.json["response"]) == (200, {"status": "Accepted"})
    assert charger.rests()
    assert [call.payload for call in charger.calls] == [{"type": kind}]
    assert [boot.status for boot in charger.ledger.of("BootNotification")] == ["Accepted", "Accepted"]
    seen = operator.sees(charger)
    assert (seen["connected"], seen["status"]) == (True, "Available")


def test_TC_013_hard_reset(charger, session, operator):
    resets(charger, operator, "Hard")
    # After a hard reset the stop comes once the charger is back.
    assert session.stop.answer == {}
    assert [(row["status"], row["reason"]) for row in operator.history(charger)] == [
        ("Completed", "HardReset")
    ]


def test_TC_014_soft_reset(charger, session, operator):
    resets(charger, operator, "Soft")
    assert session.stop.answer == {}
    assert [(row["status"], row["reason"]) for row in operator.history(charger)] == [
        ("Completed", "SoftReset")
    ]


def test_TC_017_1_unlock_without_a_session_loose_cable(charger, operator):
    answer = operator.commands(charger, "UnlockConnector", connectorId=1)
    assert (answer.json["state"], answer.json["response"]) == ("accepted", {"status": "Unlocked"})
    assert [call.payload for call in charger.calls] == [{"connectorId": 1}]


def test_TC_017_2_unlock_without_a_session_fixed_cable(charger, operator):
    charger.answers("UnlockConnector", {"status": "NotSupported"})
    answer = operator.commands(charger, "UnlockConnector", connectorId=1)
    assert answer.status == 200
    assert (answer.json["state"], answer.json["response"]) == ("rejected", {"status": "NotSupported"})


def test_TC_018_1_unlock_during_a_session(charger, session, operator):
    charger.answers("UnlockConnector", {"status": "Unlocked"})
    answer = operator.commands(charger, "UnlockConnector", connectorId=1)
    assert answer.json["response"] == {"status": "Unlocked"}
    assert [row["status"] for row in operator.history(charger)] == ["In Progress"]
    assert charger.reports(1, "Finishing").answer == {}
    assert charger.stops(session, meter=1200, reason="UnlockCommand").answer == {}
    assert charger.reports(1, "Available").answer == {}
    (row,) = operator.history(charger)
    assert (row["status"], row["reason"], row["energyWh"]) == ("Completed", "UnlockCommand", 200)


def test_TC_019_1_retrieve_all_configuration_keys(charger, operator):
    answer = operator.commands(charger, "GetConfiguration")
    assert answer.status == 200
    (call,) = charger.calls
    assert call.payload.get("key", []) == []
    assert answer.json["response"] == charger.configuration.shown(None)
    values = {entry["key"]: entry.get("value") for entry in answer.json["response"]["configurationKey"]}
    assert values["NumberOfConnectors"] == "2"


def test_TC_019_2_retrieve_one_configuration_key(charger, operator):
    answer = operator.commands(charger, "GetConfiguration", key=["SupportedFeatureProfiles"])
    assert [call.payload for call in charger.calls] == [{"key": ["SupportedFeatureProfiles"]}]
    (entry,) = answer.json["response"]["configurationKey"]
    assert (entry["key"], entry["readonly"]) == ("SupportedFeatureProfiles", True)
    assert "Core" in entry["value"].split(",")


def changes(operator, charger, key, value):
    """ChangeConfiguration by the operator: (state, status)."""
    answer = operator.commands(charger, "ChangeConfiguration", key=key, value=value)
    assert answer.status == 200
    assert [call.payload for call in charger.calls] == [{"key": key, "value": value}]
    return answer.json["state"], answer.json["response"]["status"]


def test_TC_021_change_configuration(charger, operator):
    assert changes(operator, charger, "MeterValueSampleInterval", "60") == ("accepted", "Accepted")
    assert charger.configuration["MeterValueSampleInterval"] == "60"


def test_TC_030_unlock_failure(charger, operator):
    charger.answers("UnlockConnector", {"status": "UnlockFailed"})
    answer = operator.commands(charger, "UnlockConnector", connectorId=1)
    assert answer.status == 200
    assert (answer.json["state"], answer.json["response"]) == ("rejected", {"status": "UnlockFailed"})


def test_TC_031_unlock_an_unknown_connector(charger, operator):
    answer = operator.commands(charger, "UnlockConnector", connectorId=3)
    assert [call.payload for call in charger.calls] == [{"connectorId": 3}]
    assert answer.json["response"] == {"status": "NotSupported"}


def test_TC_040_1_change_an_unknown_configuration_key(charger, operator):
    assert changes(operator, charger, "WhateverKey", "1") == ("rejected", "NotSupported")


def test_TC_040_2_change_a_key_to_an_invalid_value(charger, operator):
    assert changes(operator, charger, "MeterValueSampleInterval", "-1") == ("rejected", "Rejected")
    assert charger.configuration["MeterValueSampleInterval"] == "60"
