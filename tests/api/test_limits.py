"""A charger's limit reaches it when it comes, and again after each boot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from sqlalchemy import update

from charger_mgmt.database.models import InstalledProfile
from charger_mgmt.extensions import db
from charger_mgmt.serving.process import process_of
from charger_mgmt.smart_charging import profiles

from .conftest import Api, Charger
from .test_commands import until

PATH = "/api/chargers/CP1/limit"


def waiting(api: Api) -> None:
    with api.app.app_context(), db.engine.begin() as conn:
        conn.execute(update(InstalledProfile.__table__).values(tried_at=None))
    profiles.apply_waiting(process_of(api.app).central)
    gevent.sleep(0.05)


def sent(made: Charger) -> list[dict[str, Any]]:
    return [payload["csChargingProfiles"] for action, payload in made.asked if action == "SetChargingProfile"]


def test_a_limit_waits_for_its_charger_and_outlives_its_boots(
    api: Api, charger: Callable[..., Charger]
) -> None:
    api.post("/api/chargers", {"chargerId": "CP1"})
    assert api.post(PATH, {"kilowatts": 11}).json["state"] == "requested"
    waiting(api)
    made = charger("CP1")
    waiting(api)
    assert sent(made) == []  # it has not booted
    made.boots()
    waiting(api)
    until(lambda: api.get(PATH).json["state"] == "installed")
    waiting(api)
    assert len(sent(made)) == 1
    gevent.sleep(0.02)
    made.boots()
    waiting(api)
    until(lambda: len(sent(made)) == 2)
    assert sent(made)[0] == sent(made)[1]  # the same id: it takes its own place
    waiting(api)
    assert len(sent(made)) == 2
    api.delete(PATH)
    gevent.sleep(0.02)
    made.boots()
    waiting(api)
    assert len(sent(made)) == 2


def test_a_limit_whose_time_is_over_is_none(api: Api, charger: Callable[..., Charger]) -> None:
    from datetime import timedelta

    from charger_mgmt import clock

    made = charger("CP1")
    soon = (clock.now() + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    api.post(PATH, {"kilowatts": 11, "until": soon})
    until(lambda: api.get(PATH).json["kilowatts"] is None, seconds=5)
    made.boots()
    waiting(api)
    assert len(sent(made)) == 1


def test_a_newer_limit_takes_the_place_of_one_that_never_arrived(
    api: Api, charger: Callable[..., Charger]
) -> None:
    api.post("/api/chargers", {"chargerId": "CP1"})
    api.post(PATH, {"kilowatts": 11})
    api.post(PATH, {"kilowatts": 5.5})
    made = charger("CP1")
    made.boots()
    waiting(api)
    until(lambda: api.get(PATH).json["state"] == "installed")
    assert [each["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] for each in sent(made)] == [5500]
