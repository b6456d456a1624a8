"""`flask simulate` against the real server: it runs, ends by itself or on Ctrl-C, and tells the truth."""

import re
import signal
import subprocess
import sys

import pytest

from tests.support.processes import free_port, wait_until
from tests.support.server import ROOT


def command(*options):
    return [sys.executable, "-m", "flask", "simulate", *map(str, options)]


def test_a_fleet_lives_and_every_session_is_in_the_history(server):
    options = ("--chargers", 5, "--flat", 1, "--minutes", 0.15, "--pace", 1200, "--url", server.ocpp_url)
    done = subprocess.run(
        command(*options),
        cwd=ROOT,
        env=server.environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every transaction message was acknowledged." in done.stdout
    finished = int(re.search(r"chargers \| (\d+) sessions", done.stdout)[1])
    assert finished > 0
    rows = server.get("/api/transactions?limit=1000").json
    assert len(rows) == finished
    assert {row["status"] for row in rows} == {"Completed"}
    assert [row for row in rows if row["flags"]] == []


def test_ctrl_c_ends_what_runs_and_keeps_the_books(server):
    process = subprocess.Popen(
        command("--chargers", 3, "--pace", 600, "--prefix", "INT", "--url", server.ocpp_url),
        cwd=ROOT,
        env=server.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        running = "/api/transactions?status=In%20Progress"
        wait_until(lambda: server.get(running).json, seconds=30, what="a session runs")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert server.get(running).json == []


def test_a_fleet_that_never_gets_in_says_so():
    options = ("--chargers", "1", "--minutes", "0.02", "--url", f"ws://127.0.0.1:{free_port()}/ocpp")
    done = subprocess.run(
        [sys.executable, "-m", "charger_mgmt.simulate", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "never got a connection" in done.stdout


@pytest.mark.parametrize(("option", "value"), [("--chargers", "-1"), ("--pace", "0"), ("--minutes", "x")])
def test_options_that_make_no_sense_are_refused(option, value):
    done = subprocess.run(
        command(option, value), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert option in done.stderr
