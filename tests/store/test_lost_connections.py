"""Connections that the database drops are an expected fault."""

import logging

import pytest
from sqlalchemy import text

import config
from charger_mgmt.database import engine


@pytest.mark.mariadb
def test_a_connection_that_died_in_use_is_returned_without_a_traceback(mariadb, caplog):
    chargers = engine.create(
        config.load({"DATABASE_URL": mariadb.create_database(), "DATABASE_TIMEOUT": "3"})
    )
    in_use = chargers.raw_connection()
    mariadb.kill()
    try:
        with caplog.at_level(logging.INFO):
            in_use.close()
    finally:
        mariadb.start()
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert caplog.records[0].exc_info is None
    with chargers.connect() as conn:
        assert conn.scalar(text("SELECT 1")) == 1
    chargers.dispose()
