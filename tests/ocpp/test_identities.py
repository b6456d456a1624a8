"""Identities: one name for a charger in paths, in JSON and in both dialects."""

import pytest

from charger_mgmt.domain import identities


@pytest.mark.parametrize(
    "identity", ["CP1", "cp 1", "1", "007", "x" * 128, "Säule-3", "-5", "a.b_c~d", "充電器"]
)
def test_an_ordinary_name_has_no_problem(identity):
    assert identities.problem(identity) is None


@pytest.mark.parametrize(
    ("identity", "word"),
    [
        ("", "empty"),
        ("x" * 129, "128"),
        (" CP1", "blank"),
        ("CP1\t", "blank"),
        ("CP\u00a01\u00a0", "blank"),
        ("C\x00P", "control"),
        ("C\u202eP", "control"),
        ("C\ud800P", "control"),
        ("a/b", "slash"),
        ("a:b", "colon"),
    ],
)
def test_a_problem_says_what_it_is(identity, word):
    assert word in (identities.problem(identity) or "")


@pytest.mark.parametrize(
    ("identity", "value"),
    [
        ("1", 1),
        ("0", 0),
        ("9007199254740991", 9007199254740991),
        ("9007199254740992", "9007199254740992"),
        ("99999999999999999999", "99999999999999999999"),
        ("007", "007"),
        ("-1", "-1"),
        ("1.0", "1.0"),
        ("CP001", "CP001"),
        ("١", "١"),
    ],
)
def test_a_canonical_number_is_an_integer_in_json(identity, value):
    assert identities.to_json(identity) == value
    assert identities.from_json(value) == identity


@pytest.mark.parametrize("value", [True, False, None, 1.0, -1, 2**53, [], {}, "", " 1", "a/b"])
def test_other_json_values_name_no_charger(value):
    with pytest.raises(ValueError, match="must"):
        identities.from_json(value)
