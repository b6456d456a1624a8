"""What operators and the watch read: the liveness sweep, the list of chargers, the history's first and far pages.

The rows are made with MariaDB's sequence engine: three sessions of ten belong to one charger, so that its own
history has a far page as well. A client walks to a page by the Link headers; here the cursor of page 9,999's last
row is taken from SQL and written as the API writes it, and the page is compared with what SQL's OFFSET gives.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import create_engine

from charger_mgmt.status import silence
from tests.support.mariadb import MariaDB

from . import servers
from .figures import summary, table

PAGE = 100
#: Every so many seconds a session starts; it lasts from 10 minutes to 8 hours.
_STEP = 6
_TO = "UTC_TIMESTAMP() - INTERVAL 1 HOUR"


def run(*, chargers: int, sessions: int, far_page: int, repeats: int) -> dict[str, Any]:
    """The figures; see `show`."""
    options = ("--innodb-buffer-pool-size=2G", "--innodb-log-file-size=512M")
    with servers.database(*options) as database, servers.Ours(database.create_database()) as ours:
        name = servers.database_of(ours)
        began = time.perf_counter()
        _fill(database, name, chargers, sessions)
        filling = time.perf_counter() - began
        return {
            "chargers": chargers,
            "sessions": sessions,
            "far_page": far_page,
            "filling_seconds": filling,
            "liveness": _liveness(ours, chargers, repeats),
            "list_of_chargers": _list_of_chargers(ours, chargers, repeats),
            "history": _history(database, ours, far_page, repeats),
        }


def _fill(database: MariaDB, name: str, chargers: int, sessions: int) -> None:
    database.execute(
        "INSERT INTO chargers (identity, created_at, registration, dialect, status, reported_status,"
        " vendor, model, city)"
        " SELECT CONCAT('CP', LPAD(seq, 6, '0')), UTC_TIMESTAMP(3), 'Accepted', 'ocpp1.6', 'Available',"
        f" 'Available', 'Bench', 'Load 1', 'Springfield' FROM seq_1_to_{chargers}",
        name,
    )
    database.execute(
        "INSERT INTO sightings (charger_id, seen_at) SELECT id, UTC_TIMESTAMP(3) FROM chargers", name
    )
    with database.connect(name) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION unique_checks = 0, foreign_key_checks = 0")
        for first in range(1, sessions + 1, 500_000):
            last = min(first + 499_999, sessions)
            start = f"{_TO} - INTERVAL ({sessions} - seq) * {_STEP} SECOND"
            cursor.execute(
                "INSERT INTO transactions (charger_id, connector_id, id_tag, id_tag_status, status, start_key,"
                " start_timestamp, start_received_at, effective_start, stop_timestamp, stop_received_at,"
                " effective_end, meter_start_mwh, meter_stop_mwh, energy_mwh, reason)"
                f" SELECT IF(seq % 10 < 3, 1, 2 + (seq * 7919) % {chargers - 1}), 1, CONCAT('CARD-', seq % 5000),"
                f" 'Accepted', 'Completed', UNHEX(MD5(seq)), {start}, {start}, {start}, s_end, s_end, s_end,"
                " 1000, 9000000, 8999000, 'Local' FROM"
                f" (SELECT seq, {start} + INTERVAL 600 + (seq * 104729) % 28200 SECOND AS s_end"
                f" FROM seq_{first}_to_{last}) AS made",
            )
        cursor.execute("ANALYZE TABLE transactions, chargers")


def _timed(what: Callable[[], Any], repeats: int) -> dict[str, float]:
    what()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - began)
    found = summary(seconds)
    assert found is not None
    return found


def _liveness(ours: servers.Ours, chargers: int, repeats: int) -> dict[str, Any]:
    """What one turn of the watch costs when every charger has spoken, and when every charger is silent."""
    engine = create_engine(ours.environ["DATABASE_URL"], isolation_level="READ COMMITTED")
    ids = range(1, chargers + 1)
    limit = timedelta(seconds=330)

    def note() -> None:
        with engine.begin() as conn:
            silence.note_seen(conn, ids)

    def sweep() -> None:
        with engine.begin() as conn:
            silence.sweep(conn, limit)

    def everybody_falls_silent() -> float:
        with engine.begin() as conn:
            conn.exec_driver_sql("UPDATE chargers SET silent = 0, status = 'Available'")
            conn.exec_driver_sql(
                "UPDATE sightings SET silent = 0, seen_at = UTC_TIMESTAMP(3) - INTERVAL 1 DAY"
            )
            conn.exec_driver_sql("UPDATE watch SET resumed_at = UTC_TIMESTAMP(3) - INTERVAL 1 DAY")
        began = time.perf_counter()
        while True:
            with engine.begin() as conn:
                if not silence.sweep(conn, limit):
                    return time.perf_counter() - began

    figures = {
        "note_all": _timed(note, repeats),
        "sweep_nobody": _timed(sweep, repeats),
        "sweep_all_seconds": everybody_falls_silent(),
    }
    note()
    engine.dispose()
    return figures


class _Operator:
    """One keep-alive connection of a REST client."""

    def __init__(self, ours: servers.Ours) -> None:
        self._connection = http.client.HTTPConnection(ours.host, ours.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {ours.token()}"}

    def get(self, path: str, **query: Any) -> list[dict[str, Any]]:
        target = f"{path}?{urlencode(query)}" if query else path
        self._connection.request("GET", target, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {target}: {answer.status} {body[:500]!r}")
        return json.loads(body)


def _list_of_chargers(ours: servers.Ours, chargers: int, repeats: int) -> dict[str, Any]:
    operator = _Operator(ours)
    assert len(operator.get("/api/chargers", limit=10_000)) == chargers
    return {
        "all": _timed(lambda: operator.get("/api/chargers", limit=10_000), max(5, repeats // 5)),
        "first_hundred": _timed(lambda: operator.get("/api/chargers", limit=100), repeats),
    }


def _history(database: MariaDB, ours: servers.Ours, far_page: int, repeats: int) -> list[dict[str, Any]]:
    """Page 1 beside the far page, without and with filters; and pages that the filters leave short."""
    name = servers.database_of(ours)
    operator = _Operator(ours)
    newest = database.execute("SELECT MAX(effective_start) FROM transactions", name)[0][0]
    oldest = database.execute("SELECT MIN(effective_start) FROM transactions", name)[0][0]
    span = (newest - oldest) / 10
    window = {"from": _text(oldest + span), "to": _text(newest - span)}
    inside = f"effective_start < '{newest - span}' AND effective_end > '{oldest + span}'"
    cases: list[tuple[str, dict[str, str], str]] = [
        ("everything", {}, "1"),
        ("chargerId", {"chargerId": "CP000001"}, "charger_id = 1"),
        ("from and to", window, inside),
        ("chargerId, from, to", {"chargerId": "CP000001"} | window, f"charger_id = 1 AND {inside}"),
    ]
    figures = []
    offset = (far_page - 1) * PAGE
    for title, query, where in cases:
        rows = database.execute(
            f"SELECT id, effective_start FROM transactions WHERE {where}"
            f" ORDER BY effective_start DESC, id DESC LIMIT {offset - 1}, {PAGE + 1}",
            name,
        )
        cursor = _cursor(rows[0])
        far = operator.get("/api/transactions", limit=PAGE, cursor=cursor, **query)
        assert [row["transactionId"] for row in far] == [row[0] for row in rows[1:]], title
        # in turn, so that what disturbs one disturbs both
        first, last = _alternating(
            partial(operator.get, "/api/transactions", limit=PAGE, **query),
            partial(operator.get, "/api/transactions", limit=PAGE, cursor=cursor, **query),
            repeats,
        )
        figures.append(
            {
                "query": title,
                "page_1": summary(first),
                "far_page": summary(last),
                "ratio": statistics.median(last) / statistics.median(first),
            }
        )
    short = [
        ("the newest hour", {"from": _text(newest - timedelta(hours=1))}),
        ("one old hour", {"from": _text(oldest + span), "to": _text(oldest + span + timedelta(hours=1))}),
        ("a minute in the middle", {"from": _text(oldest + 5 * span), "to": _text(oldest + 5 * span + timedelta(minutes=1))}),
    ]  # fmt: skip
    for title, query in short:
        # all of the window, in pages of the largest size: the last one ends where the window does
        figures.append({"query": title, "whole": _timed(partial(_walk, operator, query), 5)})
    return figures


def _walk(operator: _Operator, query: dict[str, str]) -> int:
    """Every session of a window; how many."""
    rows = operator.get("/api/transactions", limit=1000, **query)
    total = len(rows)
    while len(rows) == 1000:
        last = rows[-1]
        start = datetime.fromisoformat(last["startTime"])
        rows = operator.get(
            "/api/transactions", limit=1000, cursor=_cursor((last["transactionId"], start)), **query
        )
        total += len(rows)
    return total


def _alternating(
    first: Callable[[], Any], second: Callable[[], Any], repeats: int
) -> tuple[list[float], list[float]]:
    seconds: tuple[list[float], list[float]] = ([], [])
    first(), second()
    for _ in range(repeats):
        for what, kept in zip((first, second), seconds, strict=True):
            began = time.perf_counter()
            what()
            kept.append(time.perf_counter() - began)
    return seconds


def _cursor(row: tuple[Any, ...]) -> str:
    """The cursor that the API would have put into the Link header behind this row (id, effective_start)."""
    moment = row[1] if row[1].tzinfo else row[1].replace(tzinfo=UTC)
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return f"{milliseconds}.{row[0]}"


def _text(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat() + "Z"


def show(figures: dict[str, Any]) -> str:
    def cell(found: dict[str, float]) -> str:
        return f"{found['p50_ms']:.1f} / {found['p99_ms']:.1f}"

    watch, chargers = figures["liveness"], figures["list_of_chargers"]
    rows: list[list[Any]] = [["history", "page 1 ms", f"page {figures['far_page']:,} ms", "ratio"]]
    whole: list[list[Any]] = [["short windows", "whole window ms"]]
    for query in figures["history"]:
        if "whole" in query:
            whole.append([query["query"], cell(query["whole"])])
        else:
            rows.append(
                [query["query"], cell(query["page_1"]), cell(query["far_page"]), f"{query['ratio']:.2f}"]
            )
    return "\n".join(
        [
            f"{figures['chargers']:,} chargers, {figures['sessions']:,} sessions; p50 / p99 in ms",
            f"liveness: all have spoken {cell(watch['note_all'])}; sweep, nobody silent {cell(watch['sweep_nobody'])};"
            f" sweep, all silent {watch['sweep_all_seconds'] * 1000:.0f} in all",
            f"GET /api/chargers: all {cell(chargers['all'])}; a page of 100 {cell(chargers['first_hundred'])}",
            table(rows),
            table(whole),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lists", description=__doc__)
    parser.add_argument("--chargers", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=5_000_000)
    parser.add_argument("--far-page", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    figures = run(
        chargers=given.chargers, sessions=given.sessions, far_page=given.far_page, repeats=given.repeats
    )
    print(json.dumps(figures, indent=2) if given.json else show(figures))


if __name__ == "__main__":
    main()
