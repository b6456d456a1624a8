"""A fake charger on an obedient central system, with a clock that is moved by hand."""

import pytest

from charger_mgmt.simulate.charger import FakeCharger

from .central_system import HandClock, ObedientCentralSystem


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def central_system():
    return ObedientCentralSystem()


@pytest.fixture
def fake(central_system, clock):
    return FakeCharger("CP-1", central_system, clock=clock)
