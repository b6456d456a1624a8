"""Local lists are kept like the tags: X-27, and what the specification says of versions, parts and failures."""

from __future__ import annotations

import time

import pytest

from tests.support.processes import wait_until

SERVER_ENVIRON = {
    "AUTOMATIC_CALLS": "off",
    "FOLLOW_UP_DELAY": "0",
    "UNKNOWN_TAGS": "invalid",
    "CALL_TIMEOUT": "2",
}


@pytest.fixture(autouse=True)
def _asked_for(operator):
    """What syncing a list may send belongs to the operator who asked for it."""
    for action in ("GetLocalListVersion", "SendLocalList", "GetConfiguration"):
        operator.asked[action] += 1000


def shown(operator, charger):
    return operator.get(f"/api/chargers/{charger.identity}/local-list").json


def syncs(operator, charger, *, fails=False):
    """The operator has the list brought up to date; what was sent for it."""
    before = len(charger.calls)
    assert operator.post(f"/api/chargers/{charger.identity}/local-list/sync").status == 202
    # Where nothing is due it is in sync from the first moment on, and the version is asked all the same.
    wait_until(
        lambda: any(call.action == "GetLocalListVersion" for call in charger.calls[before:]),
        seconds=10,
        what="its version is asked",
    )
    if fails:
        wait_until(lambda: len(charger.calls) > before + 1, seconds=10, what="something was sent")
        assert charger.rests()
    else:
        wait_until(lambda: shown(operator, charger)["inSync"], seconds=10, what="it is in sync")
        assert charger.rests()
    return [call.payload for call in charger.calls[before:] if call.action == "SendLocalList"]


def held(charger, *tags):
    """What the charger holds of these tags: tag → status."""
    return {
        tag: charger.holds.local_list[tag.lower()]["status"]
        for tag in tags
        if tag.lower() in charger.holds.local_list
    }


def test_the_list_of_a_new_charger_is_full_and_then_only_what_has_changed(charger, new_tag, tags, operator):
    one, two = new_tag(), new_tag("Blocked")
    first = syncs(operator, charger)
    assert first[0]["updateType"] == "Full"
    assert held(charger, one, two) == {one: "Accepted", two: "Blocked"}
    assert syncs(operator, charger) == []  # nothing has changed
    time.sleep(0.3)  # until whoever asked has seen that
    tags.block(one)
    three = new_tag()
    state = shown(operator, charger)
    assert (state["inSync"], state["changes"]) == (False, 2)
    (second,) = syncs(operator, charger)
    assert second["updateType"] == "Differential"
    assert second["listVersion"] > first[-1]["listVersion"]
    assert {entry["idTag"] for entry in second["localAuthorizationList"]} == {one, three}
    assert held(charger, one, three) == {one: "Blocked", three: "Accepted"}
    assert shown(operator, charger)["version"] == charger.holds.list_version == second["listVersion"]


def test_entries_say_until_when_and_of_which_group(charger, new_tag, tags, operator):
    parent = new_tag()
    member = new_tag(parent=parent)
    syncs(operator, charger)
    assert charger.holds.local_list[member.lower()]["parentIdTag"] == parent
    tags.expire(member)
    syncs(operator, charger)
    assert charger.holds.local_list[member.lower()]["expiryDate"] == "2020-01-01T00:00:00.000Z"


def test_a_long_list_goes_in_parts_with_rising_versions(charger, new_tag, operator):
    charger.configuration["SendLocalListMaxLength"] = "2"
    made = [new_tag() for _ in range(5)]
    sent = syncs(operator, charger)
    assert len(sent) >= 3
    assert [payload["updateType"] for payload in sent] == ["Full"] + ["Differential"] * (len(sent) - 1)
    versions = [payload["listVersion"] for payload in sent]
    assert versions == sorted(set(versions))
    assert min(versions) >= 1
    assert max(len(payload["localAuthorizationList"]) for payload in sent) <= 2
    assert len(held(charger, *made)) == 5
    for payload in sent:
        tags = [entry["idTag"].lower() for entry in payload["localAuthorizationList"]]
        assert len(tags) == len(set(tags))


def test_a_list_that_is_too_short_holds_who_may_charge_and_came_last(charger, new_tag, operator):
    charger.configuration["LocalAuthListMaxLength"] = "3"
    made = [new_tag() for _ in range(3)]
    blocked = new_tag("Blocked")
    syncs(operator, charger)
    assert len(charger.holds.local_list) == 3
    assert held(charger, *made) == dict.fromkeys(made, "Accepted")
    assert held(charger, blocked) == {}


def test_X_27_a_version_mismatch_is_followed_by_a_full_list(charger, new_tag, operator):
    syncs(operator, charger)
    new = new_tag()
    answers = iter([{"status": "VersionMismatch"}])
    obeys = charger.central_system._supported["SendLocalList"]
    charger.central_system._supported["SendLocalList"] = lambda payload, follow: (
        next(answers, None) or obeys(payload, follow)
    )
    sent = syncs(operator, charger)
    assert [payload["updateType"] for payload in sent][:2] == ["Differential", "Full"]
    assert held(charger, new) == {new: "Accepted"}


def test_a_list_that_somebody_else_has_written_is_written_anew(charger, new_tag, operator):
    syncs(operator, charger)
    charger.holds.list_version = 7_000
    charger.holds.local_list = {"stranger": {"status": "Accepted"}}
    new = new_tag()
    sent = syncs(operator, charger)
    assert sent[0]["updateType"] == "Full"
    assert sent[0]["listVersion"] > 7_000
    assert held(charger, new, "stranger") == {new: "Accepted"}


def test_a_conflict_that_the_charger_reports_has_it_written_anew(charger, operator):
    syncs(operator, charger)
    charger.reports(0, "Available", "LocalListConflict")
    assert shown(operator, charger)["inSync"] is False
    assert syncs(operator, charger)[0]["updateType"] == "Full"


@pytest.mark.parametrize("version", [-1, 0])
def test_a_charger_without_a_list_is_sent_none(charger, operator, version):
    charger.answers("GetLocalListVersion", {"listVersion": version})
    if version == 0:
        charger.configuration["LocalAuthListEnabled"] = "false"
    sent = syncs(operator, charger, fails=True)
    assert sent == []
    state = shown(operator, charger)
    assert (state["inSync"], state["supported"]) == (False, version == 0)


def test_a_charger_that_fails_is_tried_as_full_and_then_left_alone(charger, operator):
    charger.answers("SendLocalList", {"status": "Failed"})
    syncs(operator, charger, fails=True)
    wait_until(lambda: shown(operator, charger)["answer"] == "Failed", seconds=10, what="it has failed")
    assert charger.rests()
    assert [call.payload["updateType"] for call in charger.calls if call.action == "SendLocalList"] == [
        "Full"
    ]
    assert shown(operator, charger)["inSync"] is False
    charger.obeys("SendLocalList")
    assert syncs(operator, charger)[0]["updateType"] == "Full"


def test_no_answer_leaves_it_open(charger, operator):
    charger.ignores("SendLocalList")
    syncs(operator, charger, fails=True)
    assert shown(operator, charger)["inSync"] is False
