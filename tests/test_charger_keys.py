"""A new charger password never locks its charger out, in whatever spelling it comes, whatever answer was lost."""

from __future__ import annotations

import pytest

from charger_mgmt.chargers import passwords
from charger_mgmt.simulate.transport import HandshakeRefused

OLD = "old password of 20 B"
KEY = "0011aaBBccDDeeFF00112233445566778899AABB"
SPELLINGS = [bytes.fromhex(KEY), KEY.encode(), KEY.lower().encode(), KEY.upper().encode()]


@pytest.fixture
def dials(chargers):
    """Whether a charger gets in with a password."""

    def dial(password, identity="CP-1"):
        try:
            charger = chargers(identity, password=password)
            charger.dials_in()
        except HandshakeRefused:
            return False
        charger.hangs_up()
        return True

    return dial


@pytest.fixture
def keyed(chargers, operator):
    """A charger with the old password, connected."""
    operator.post("/api/chargers", {"chargerId": "CP-1", "password": OLD})
    charger = chargers("CP-1", password=OLD)
    charger.boots()
    return charger


@pytest.mark.parametrize("stored", [KEY, KEY.lower(), KEY.upper()])
def test_a_key_is_one_key_in_every_spelling(operator, dials, stored):
    operator.post("/api/chargers", {"chargerId": "CP-1", "password": stored})
    assert [dials(spelled) for spelled in SPELLINGS] == [True] * 4
    assert not dials(KEY[:-1].encode() + b"C")
    assert not dials(b"")


def test_a_password_that_is_a_text_is_taken_to_the_letter(operator, dials):
    operator.post("/api/chargers", {"chargerId": "CP-1", "password": "Correct Horse Battery"})
    assert dials(b"Correct Horse Battery")
    assert not dials(b"correct horse battery")


def test_hashes_from_before_keys_had_one_form_still_open():
    assert passwords.matches(passwords.hashed(KEY.lower().encode()), bytes.fromhex(KEY))
    assert passwords.matches(passwords.hashed(bytes.fromhex(KEY)), KEY.encode())


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_a_key_that_the_charger_accepted_opens_in_every_spelling_and_the_old_one_no_more(
    keyed, operator, dials, spelled
):
    operator.commands(keyed, "ChangeConfiguration", key="AuthorizationKey", value=KEY)
    keyed.hangs_up()
    assert dials(spelled)
    assert not dials(OLD)


def test_a_key_that_the_charger_refused_opens_nothing(keyed, operator, dials):
    keyed.answers("ChangeConfiguration", {"status": "Rejected"})
    operator.commands(keyed, "ChangeConfiguration", key="AuthorizationKey", value=KEY)
    keyed.hangs_up()
    assert not dials(KEY)
    assert dials(OLD)


@pytest.mark.settings(call_timeout=0.1)
@pytest.mark.parametrize(("used", "other"), [(KEY, OLD), (OLD, KEY)])
def test_after_a_lost_answer_both_open_until_one_is_used(keyed, operator, dials, used, other):
    keyed.ignores("ChangeConfiguration")
    assert operator.commands(keyed, "ChangeConfiguration", key="AuthorizationKey", value=KEY).status == 504
    keyed.hangs_up()
    assert dials(used)
    assert not dials(other)
    assert dials(used)


@pytest.mark.settings(call_timeout=0.1)
def test_of_two_changes_whose_answers_were_lost_each_may_have_been_taken(keyed, operator, dials):
    keyed.ignores("ChangeConfiguration")
    other = "ff" * 20
    for value in (KEY, other):
        operator.commands(keyed, "ChangeConfiguration", key="AuthorizationKey", value=value)
    keyed.hangs_up()
    assert dials(KEY)
    assert not dials(other)
    assert not dials(OLD)


def test_a_key_for_after_the_reboot_opens_then_and_the_old_one_until_then(keyed, operator, dials):
    keyed.answers("ChangeConfiguration", {"status": "RebootRequired"})
    operator.commands(keyed, "ChangeConfiguration", key="AuthorizationKey", value=KEY)
    keyed.hangs_up()
    assert dials(OLD)
    assert dials(KEY)
    assert not dials(OLD)


def test_an_operators_password_settles_everything(keyed, operator, dials):
    keyed.answers("ChangeConfiguration", {"status": "RebootRequired"})
    operator.commands(keyed, "ChangeConfiguration", key="AuthorizationKey", value=KEY)
    keyed.hangs_up()
    operator.patch("/api/chargers/CP-1", {"password": "the operator's own word"})
    assert not dials(OLD)
    assert not dials(KEY)
    assert dials("the operator's own word")
