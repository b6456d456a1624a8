"""The settings of a test's application, and which variables the system reads."""

from dataclasses import replace
from typing import Any

import pytest

import config
from charger_mgmt.database_url import DatabaseUrl
from charger_mgmt.settings import FirstAccount, Settings, variables


def settings_for(database_url: str, **changes: Any) -> Settings:
    """What the environment says, on this database, with these changes."""
    return replace(config.load(), database_url=DatabaseUrl(database_url), **changes)


def marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `@pytest.mark.settings(…)` says of a test; the nearest mark wins."""
    changes: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("settings"))):
        changes |= marker.kwargs
    return changes


def all_variables() -> set[str]:
    """Every variable that the system reads."""
    return {
        name
        for what in (Settings, FirstAccount)
        for field, variable in variables(what)
        for name in (field.upper(), *variable.also)
    }
