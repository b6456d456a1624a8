"""`meter_values` as it is, and partitioned by time: what storing, finding and dropping cost.

    python -m bench.partitions [--rows 2000000]

Partitioned by the day of a sample's own time, which is part of its key: a sample that is sent again falls into the same
partition, so the unique key holds. Foreign keys and unique keys without that day are not possible then.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from tests.support.server import GunicornServer

from . import servers
from .figures import table

MONTHS = 24
DAY0 = 20_000
_COPY = "partitioned"
_COLUMNS = (
    "charger_id, connector_id, transaction_id, sample_key, timestamp, received_at, measurand, phase, context,"
    " location, format, unit, value_micro, raw"
)
#: Samples of 24 months, in the order of their time; each session has a hundred.
_SAMPLES = """
    SELECT 1, 1, FLOOR(seq / 100) + 1, LEFT(UNHEX(SHA2(seq, 256)), {length}),
        {time}, {time},
        'Energy.Active.Import.Register', NULL, 'Sample.Periodic', 'Outlet', 'Raw', 'Wh', seq * 1000000, seq{more}
    FROM seq_1_to_{rows}
"""


def run(*, rows: int) -> dict[str, Any]:
    days = MONTHS * 30
    figures: dict[str, Any] = {"rows": rows, "months": MONTHS}
    with servers.database("--innodb-buffer-pool-size=1G") as database:
        server = GunicornServer(database.create_database())
        server.prepare()
        name = servers.database_of(server)

        cursor = database.connect(name).cursor()

        def timed(statement: str) -> float:
            began = time.perf_counter()
            cursor.execute(statement)
            cursor.fetchall()
            return time.perf_counter() - began

        database.execute(
            "INSERT INTO chargers (id, identity, created_at) VALUES (1, 'BENCH', UTC_TIMESTAMP(3))", name
        )
        (length,) = {
            int(row[0])
            for row in database.execute(
                "SELECT CHARACTER_MAXIMUM_LENGTH FROM information_schema.columns WHERE table_name = 'meter_values'"
                f" AND column_name = 'sample_key' AND table_schema = '{name}'"
            )
        }
        parts = ", ".join(
            f"PARTITION m{month} VALUES LESS THAN ({DAY0 + 30 * (month + 1)})" for month in range(MONTHS)
        )
        definition = ", ".join(
            f"`{row[0]}` {row[1]}{'' if row[2] == 'YES' else ' NOT NULL'}"
            for row in database.execute("SHOW COLUMNS FROM meter_values", name)
            if row[0] != "id"
        )
        database.execute(
            f"CREATE TABLE {_COPY} (id BIGINT NOT NULL AUTO_INCREMENT, {definition},"
            " sample_day INT NOT NULL,"
            " PRIMARY KEY (id, sample_day), UNIQUE KEY (sample_key, sample_day),"
            " KEY (transaction_id, id), KEY (charger_id, transaction_id, id), KEY (received_at))"
            f" PARTITION BY RANGE (sample_day) (PARTITION none VALUES LESS THAN ({DAY0}), {parts},"
            " PARTITION later VALUES LESS THAN MAXVALUE)",
            name,
        )
        figures["key_bytes"] = length
        cursor.execute("SET foreign_key_checks = 0")  # the sessions are not there
        for kind, into in (("as it is", "meter_values"), ("partitioned", _COPY)):
            seen: dict[str, float] = {}
            columns, more = _COLUMNS, ""
            if into == _COPY:
                columns, more = f"{_COLUMNS}, sample_day", f", {DAY0} + FLOOR(seq * {days} / {rows})"
            moment = f"FROM_DAYS(TO_DAYS('1970-01-01') + {DAY0}) + INTERVAL FLOOR(seq * {days} * 86400.0 / {rows}) SECOND"
            samples = _SAMPLES.format(time=moment, rows=rows, more=more, length=length)
            seen["filled_s"] = timed(f"INSERT INTO {into} ({columns}) {samples}")
            # What the committer does: sets of new samples at the end of time, some sent again.
            sets = []
            for number in range(100):
                key = f"LEFT(UNHEX(SHA2(CONCAT('s{number}-', id), 256)), {length})"
                new = f"SELECT {columns.replace('sample_key', key)} FROM {into} WHERE id BETWEEN {rows - 300} AND {rows - 1}"
                sets.append(timed(f"INSERT IGNORE INTO {into} ({columns}) {new}"))
            seen["set_of_300_ms"] = 1000 * sorted(sets)[50]
            again = f"SELECT {columns} FROM {into} WHERE id BETWEEN {rows // 2} AND {rows // 2 + 299}"
            seen["sent_again_ms"] = 1000 * timed(f"INSERT IGNORE INTO {into} ({columns}) {again}")
            (count,) = database.execute(f"SELECT COUNT(*) FROM {into}", name)
            seen["rows"] = int(count[0])
            looks = [
                timed(f"SELECT COUNT(*) FROM {into} WHERE transaction_id = {1 + number * 7 % (rows // 100)}")
                for number in range(200)
            ]
            seen["session_ms"] = 1000 * sorted(looks)[100]
            oldest = DAY0 + 30
            if into == _COPY:
                seen["drop_month_s"] = timed(f"ALTER TABLE {into} DROP PARTITION m0")
            else:
                began = time.perf_counter()
                limit = f"FROM_DAYS(TO_DAYS('1970-01-01') + {oldest})"
                while cursor.execute(
                    f"DELETE FROM {into} WHERE received_at < {limit} ORDER BY received_at LIMIT 1000"
                ):
                    pass
                seen["drop_month_s"] = time.perf_counter() - began
            figures[kind] = seen
        server.remove()
    return figures


def show(figures: dict[str, Any]) -> str:
    rows: list[list[Any]] = [
        [f"{figures['rows']:,} samples of {figures['months']} months", "as it is", "partitioned"]
    ]
    for what, key, digits in (
        ("filled, s", "filled_s", 1),
        ("a set of 300 new ones, ms", "set_of_300_ms", 1),
        ("300 that are there already, ms", "sent_again_ms", 1),
        ("samples of a session, ms", "session_ms", 2),
        ("a month dropped, s", "drop_month_s", 2),
    ):
        rows.append([what, *(f"{figures[kind][key]:.{digits}f}" for kind in ("as it is", "partitioned"))])
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.partitions", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(rows=given.rows)
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
