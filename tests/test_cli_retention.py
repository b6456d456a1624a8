"""`flask retention`: the hourly clean-up by hand."""

from datetime import timedelta

from sqlalchemy import func, select

from charger_mgmt import clock
from charger_mgmt.database import bulk
from charger_mgmt.database.models import Charger, ChargerEvent
from charger_mgmt.serving.process import process_of


def test_it_drops_what_is_old_and_says_how_much(app):
    engine = process_of(app).central.database.engine
    with engine.begin() as conn:
        bulk.insert(conn, Charger.__table__, [{"identity": "CP1", "created_at": clock.now()}])
        charger_id = conn.scalar(select(Charger.id))
        event = {"charger_id": charger_id, "kind": "DataTransfer", "detail": {}}
        moments = [clock.now() - timedelta(days=days) for days in (1, 80, 100, 200)]
        bulk.insert(conn, ChargerEvent.__table__, [event | {"received_at": moment} for moment in moments])
    runner = app.test_cli_runner()
    assert "2 rows of charger_events dropped." in runner.invoke(args=["retention"]).output
    assert "Nothing is old enough to go." in runner.invoke(args=["retention"]).output
    with engine.begin() as conn:
        assert conn.scalar(select(func.count()).select_from(ChargerEvent)) == 2
