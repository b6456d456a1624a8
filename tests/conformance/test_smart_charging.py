"""Smart charging as an operator works with it: a library, what is installed where, one limit for a charger, both reckonings."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from charger_mgmt import clock
from tests.support.processes import wait_until

SERVER_ENVIRON = {
    "AUTOMATIC_CALLS": "off",
    "FOLLOW_UP_DELAY": "0",
    "UNKNOWN_TAGS": "invalid",
    "CALL_TIMEOUT": "1",
    "OPERATOR_WAIT": "2",
}


@pytest.fixture(autouse=True)
def _asked_for(operator):
    for action in ("SetChargingProfile", "ClearChargingProfile", "GetCompositeSchedule"):
        operator.asked[action] += 1000


def at(**parts):
    return (clock.now() + timedelta(**parts)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def profile(purpose="TxDefaultProfile", level=1, limit=16.0, unit="A", kind="Absolute", **fields):
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    if kind != "Relative":
        schedule["startSchedule"] = at(minutes=-1)
    return {
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    } | fields


def installs(operator, charger, connector, made=None, **fields):
    body = {"connectorId": connector} | ({"profile": made} if made else {}) | fields
    return operator.post(f"/api/chargers/{charger.identity}/charging-profiles", body)


def held(charger):
    return {number: connector for number, (connector, _) in charger.holds.profiles.items()}


def known(operator, charger, state="installed"):
    listed = operator.get(f"/api/chargers/{charger.identity}/charging-profiles", state=state).json
    return {each["chargingProfileId"]: each["connectorId"] for each in listed}


def test_a_profile_is_installed_and_cleared(charger, operator):
    made = installs(operator, charger, 1, profile())
    assert (made.status, made.json["state"], made.json["answer"]) == (201, "installed", "Accepted")
    number = made.json["chargingProfileId"]
    assert charger.calls[-1].payload == {"connectorId": 1, "csChargingProfiles": made.json["profile"]}
    assert held(charger) == known(operator, charger) == {number: 1}
    path = f"/api/chargers/{charger.identity}/charging-profiles/{number}"
    assert operator._request("DELETE", path, None).status == 204
    assert held(charger) == known(operator, charger) == {}


def test_what_is_known_is_what_the_charger_holds(charger, session, operator):
    """Replaced by id, by purpose and level, cleared by criteria, by hand and by resource: both sides agree all along."""

    def by_hand(number, connector, made):
        whole = {"chargingProfileId": number} | made
        operator.commands(charger, "SetChargingProfile", connectorId=connector, csChargingProfiles=whole)
        assert held(charger) == known(operator, charger)

    for connector, made, fields in (
        (1, profile(), {}),
        (1, profile(limit=8.0), {}),  # the same level: it takes the place
        (2, profile(), {}),
        (0, profile("ChargePointMaxProfile"), {}),
        (1, profile("TxProfile", kind="Relative"), {"transactionId": session.transaction_id}),
    ):
        assert installs(operator, charger, connector, made, **fields).status == 201
        assert held(charger) == known(operator, charger)
    by_hand(7, 1, profile(level=4))
    by_hand(7, 2, profile(level=5))
    by_hand(8, 2, profile(level=5))
    assert len(held(charger)) == 5
    for criteria in ({"connectorId": 2}, {"chargingProfilePurpose": "ChargePointMaxProfile"}, {"id": 7}, {}):
        operator.commands(charger, "ClearChargingProfile", **criteria)
        assert held(charger) == known(operator, charger)
    assert held(charger) == {}


def test_a_profile_of_the_library_is_installed_where_it_is_needed(charger, session, operator):
    library = operator.post(
        "/api/charging-profiles", {"name": f"Eco {charger.identity}", "profile": profile()}
    )
    assert library.status == 201
    again = operator.post("/api/charging-profiles", {"name": f"Eco {charger.identity}", "profile": profile()})
    assert again.status == 409
    number = library.json["libraryId"]
    made = installs(operator, charger, 2, libraryId=number)
    assert (made.status, made.json["libraryId"]) == (201, number)
    assert operator._request("DELETE", f"/api/charging-profiles/{number}", None).status == 204
    assert held(charger) == {made.json["chargingProfileId"]: 2}
    assert installs(operator, charger, 2, libraryId=number).status == 404


def test_a_profile_of_a_session_dies_with_it(charger, session, operator):
    number = session.transaction_id
    own = profile("TxProfile", kind="Relative")
    assert installs(operator, charger, 2, own, transactionId=number).json["code"] == "conflict"
    assert installs(operator, charger, 1, own, transactionId=999_999).status == 404
    made = installs(operator, charger, 1, own, transactionId=number)
    assert made.json["profile"]["transactionId"] == number
    charger.stops(session, meter=2000)
    assert installs(operator, charger, 1, own, transactionId=number).json["code"] == "conflict"


@pytest.mark.parametrize(
    ("connector", "made", "wrong"),
    [
        (1, profile("ChargePointMaxProfile"), "connectorId"),
        (0, profile("TxProfile"), "connectorId"),
        (1, profile("TxProfile"), "profile/transactionId"),
        (1, profile(recurrencyKind="Daily"), "profile/recurrencyKind"),
        (1, profile(limit=8.15), "profile/chargingSchedule/chargingSchedulePeriod/0/limit"),
        (1, profile(chargingProfileId=1), "profile/chargingProfileId"),
        (1, profile(stackLevel=-1), "profile/stackLevel"),
        (1, {}, "profile/stackLevel"),
        (1, {"x": 1}, "profile/x"),
        (1, profile(level=11), "profile/stackLevel"),
    ],
)
def test_X_28_what_cannot_be_is_refused_before_it_is_sent(charger, operator, connector, made, wrong):
    operator.commands(charger, "GetConfiguration")
    before = len(charger.calls)
    answer = operator.post(
        f"/api/chargers/{charger.identity}/charging-profiles", {"connectorId": connector, "profile": made}
    )
    assert answer.status == 400, answer
    assert wrong in {each["field"] for each in answer.json["errors"]}
    assert len(charger.calls) == before


def test_a_charger_that_takes_amperes_only_is_sent_no_watts(charger, operator):
    charger.configuration["ChargingScheduleAllowedChargingRateUnit"] = "Current"
    operator.commands(charger, "GetConfiguration")
    refused = installs(operator, charger, 1, profile(unit="W", limit=11_000))
    assert refused.json["errors"][0]["field"] == "profile/chargingSchedule/chargingRateUnit"
    limited = operator.post(f"/api/chargers/{charger.identity}/limit", {"kilowatts": 11})
    assert limited.status == 200
    wait_until(lambda: held(charger), seconds=5, what="it is limited")
    ((_, made),) = charger.holds.profiles.values()
    assert made["chargingSchedule"]["chargingRateUnit"] == "A"
    assert made["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == Decimal(
        "15.9"
    )  # never above 11 kW


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
def test_what_the_charger_refuses_is_not_installed(charger, operator, status):
    charger.answers("SetChargingProfile", {"status": status})
    made = installs(operator, charger, 1, profile())
    assert (made.status, made.json["code"]) == (409, "command-refused")
    assert known(operator, charger) == {}
    assert len(known(operator, charger, "refused")) == 1


def test_a_late_answer_is_heard(charger, operator):
    charger.answers_late("SetChargingProfile", 2.0)
    made = installs(operator, charger, 1, profile())
    assert (made.status, made.json["state"]) == (202, "requested")
    wait_until(lambda: known(operator, charger), seconds=10, what="the late answer has come")


def limit(operator, charger):
    return operator.get(f"/api/chargers/{charger.identity}/limit").json


def test_eleven_kilowatts_until_six_is_one_call(charger, operator):
    assert limit(operator, charger)["kilowatts"] is None
    until = at(hours=5)
    path = f"/api/chargers/{charger.identity}/limit"
    answer = operator.post(path, {"kilowatts": 11, "until": until})
    assert (answer.status, answer.json["kilowatts"], answer.json["until"]) == (200, 11, until)
    wait_until(lambda: limit(operator, charger)["state"] == "installed", seconds=5, what="it is installed")
    ((connector, made),) = charger.holds.profiles.values()
    assert (connector, made["chargingProfilePurpose"], made["validTo"]) == (0, "ChargePointMaxProfile", until)
    operator.post(path, {"kilowatts": 7.4})
    wait_until(lambda: limit(operator, charger)["state"] == "installed", seconds=5, what="it is installed")
    ((_, made),) = charger.holds.profiles.values()  # it took the other one's place
    assert made["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 7400
    assert limit(operator, charger)["kilowatts"] == 7.4
    assert operator._request("DELETE", path, None).status == 204
    wait_until(lambda: not held(charger), seconds=5, what="it is not limited any more")
    assert limit(operator, charger)["kilowatts"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kilowatts": -1},
        {"kilowatts": "11"},
        {"kilowatts": 1e9},
        {"kilowatts": 11, "until": "2020-01-01T00:00:00Z"},
        {"kilowatts": True},
    ],
)
def test_a_limit_that_cannot_be_is_refused(charger, operator, body):
    assert operator.post(f"/api/chargers/{charger.identity}/limit", body).status == 400


def test_both_reckonings(charger, operator):
    installs(operator, charger, 0, profile("ChargePointMaxProfile", limit=10.0))
    installs(operator, charger, 1, profile(limit=6.0))
    for connector, expected in ((1, 6), (2, 10), (0, 10)):
        seen = operator.post(
            f"/api/chargers/{charger.identity}/composite-schedule",
            {"connectorId": connector, "duration": 300, "unit": "A"},
        )
        assert seen.status == 200, seen
        assert seen.json["computed"] == [{"startPeriod": 0, "limit": expected}]
        assert seen.json["status"] == "Accepted"
        reported = seen.json["reported"]["chargingSchedulePeriod"]
        assert [period["limit"] for period in reported] == [expected]
    watts = operator.post(
        f"/api/chargers/{charger.identity}/composite-schedule", {"connectorId": 1, "duration": 300}
    )
    assert watts.json["computed"] == [{"startPeriod": 0, "limit": 4140}]
