"""A charger's four-word summary: one row per rule of the mission."""

import pytest

from charger_mgmt.domain.status import has_fault, summary


@pytest.mark.parametrize(
    ("connectors", "word"),
    [
        ({}, "Unavailable"),
        ({0: "Available"}, "Unavailable"),
        ({0: "Available", 1: "Available"}, "Available"),
        ({1: "Preparing"}, "Available"),
        ({1: "Finishing"}, "Available"),
        ({1: "Reserved"}, "Available"),
        ({1: "Charging"}, "Charging"),
        ({1: "SuspendedEV"}, "Charging"),
        ({1: "SuspendedEVSE"}, "Charging"),
        ({1: "Available", 2: "Charging"}, "Charging"),
        # somebody is charging, whatever the main part says
        ({0: "Faulted", 1: "Charging"}, "Charging"),
        ({0: "Unavailable", 1: "SuspendedEV"}, "Charging"),
        ({0: "Faulted", 1: "Available"}, "Faulted"),
        ({0: "Unavailable", 1: "Available"}, "Unavailable"),
        ({0: "Unavailable", 1: "Faulted"}, "Unavailable"),
        # one faulted connector does not take the charger away
        ({0: "Available", 1: "Faulted", 2: "Available"}, "Available"),
        ({0: "Available", 1: "Faulted", 2: "Unavailable"}, "Faulted"),
        ({1: "Unavailable"}, "Unavailable"),
    ],
)
def test_the_first_rule_that_matches_wins(connectors, word):
    assert summary(connectors) == word


def test_a_fault_on_one_connector_shows_whatever_the_summary_says():
    assert has_fault({0: "Available", 1: "Charging", 2: "Faulted"})


def test_a_main_part_that_charges_is_not_an_outlet_that_charges():
    assert summary({0: "Charging", 1: "Available"}) == "Available"


def test_without_a_faulted_connector_there_is_no_fault():
    assert not has_fault({0: "Unavailable", 1: "SuspendedEVSE"})
