"""What an idTag is answered."""

from datetime import UTC, datetime, timedelta

import pytest

from charger_mgmt.dialects.ocpp16.answers import id_tag_info
from charger_mgmt.domain.authorisation import TagRecord, candidate_keys, judge

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def judged(tag, **circumstances):
    return judge(tag, NOW, **({"unknown": "Invalid", "at": 1} | circumstances)).status


@pytest.mark.parametrize("status", ["Accepted", "Blocked", "Expired", "Invalid"])
def test_the_operators_word_is_the_answer(status):
    assert judged(TagRecord("CARD-9", status)) == status


@pytest.mark.parametrize("unknown", ["Accepted", "Invalid"])
def test_an_unknown_tag_gets_what_is_set(unknown):
    assert judged(None, unknown=unknown) == unknown


def test_an_accepted_tag_past_its_expiry_is_expired():
    assert judged(TagRecord("CARD-9", "Accepted", expiry_date=NOW - timedelta(seconds=1))) == "Expired"


def test_a_tag_is_good_until_its_expiry():
    assert judged(TagRecord("CARD-9", "Accepted", expiry_date=NOW + timedelta(seconds=1))) == "Accepted"


def test_a_blocked_tag_past_its_expiry_stays_blocked():
    assert judged(TagRecord("CARD-9", "Blocked", expiry_date=NOW - timedelta(days=1))) == "Blocked"


def test_a_tag_at_its_limit_is_concurrent():
    tag = TagRecord("CARD-9", "Accepted", max_active_transactions=1)
    assert judged(tag, active=1) == "ConcurrentTx"
    assert judged(tag, active=0) == "Accepted"


def test_without_a_limit_a_tag_may_charge_many_times_at_once():
    assert judged(TagRecord("FLEET", "Accepted"), active=500) == "Accepted"


def test_a_spent_one_use_tag_is_invalid():
    assert judged(TagRecord("ONCE", "Accepted", spent=True)) == "Invalid"


def test_a_one_use_tag_is_good_at_its_own_charger_only():
    tag = TagRecord("ONCE", "Accepted", only_at=1)
    assert judged(tag, at=1) == "Accepted"
    assert judged(tag, at=2) == "Invalid"


def test_the_answer_carries_the_group_and_the_expiry():
    tag = TagRecord("CARD-9", "Accepted", expiry_date=NOW + timedelta(days=1), parent_id_tag="FLEET")
    assert id_tag_info(judge(tag, NOW, at=1, unknown="Invalid")) == {
        "status": "Accepted",
        "expiryDate": "2026-11-23T12:00:00Z",
        "parentIdTag": "FLEET",
    }


def test_case_and_blanks_do_not_count():
    assert candidate_keys(" Card-9 ") == candidate_keys("CARD-9")


def test_a_tag_with_something_appended_is_looked_for_by_its_prefixes_longest_first():
    candidates = candidate_keys("ABCDEFGHIJKLMNOP;and a lot more")
    assert candidates[:2] == ["abcdefghijklmnop;and a lot more", "abcdefghijklmnop;and"]
    assert "abcdefghijklmnop" in candidates
