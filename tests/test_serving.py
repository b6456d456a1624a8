"""The server as a deployment sees it: gunicorn.conf.py, the Procfile, starting and ending."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .support.mariadb import DatabaseServer
from .support.processes import children, is_running, wait_until
from .support.server import PASSWORD, ROOT, GunicornServer

pytestmark = pytest.mark.wire


@pytest.fixture
def fresh(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[GunicornServer]:
    """A server of this test's own, on SQLite; `@pytest.mark.settings` gives its environment."""
    marker = request.node.get_closest_marker("settings")
    environ = marker.kwargs if marker else {}
    with GunicornServer(f"sqlite:///{tmp_path / 'chargers.sqlite3'}", environ) as running:
        yield running


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines if line)}


def test_it_is_ready_and_says_nothing_alarming(server: GunicornServer) -> None:
    assert server.get("/health/live", token=None).status == 200
    assert server.get("/health/ready", token=None).json == {"status": "ready"}
    assert server.get("/api/chargers").json == []


def test_sigterm_ends_it_at_once_and_in_order(fresh: GunicornServer) -> None:
    began = time.monotonic()
    assert fresh.terminate() == 0
    assert time.monotonic() - began < 5
    assert fresh.alarms() == []


def test_ctrl_c_ends_it_at_once_and_in_order(fresh: GunicornServer) -> None:
    began = time.monotonic()
    assert fresh.interrupt() == 0
    assert time.monotonic() - began < 5
    assert fresh.alarms() == []


def test_a_killed_worker_is_replaced(fresh: GunicornServer) -> None:
    dead = fresh.kill_worker()
    fresh.wait_until_ready()
    assert fresh.worker_pid != dead
    assert fresh.get("/api/chargers").status == 200


def test_a_worker_does_not_outlive_a_killed_master(fresh: GunicornServer) -> None:
    worker = fresh.worker_pid
    os.kill(fresh.master_pid, 9)
    wait_until(lambda: not is_running(worker), seconds=10, what="the worker of the dead master ends")
    assert fresh.wait() == -9


def test_it_may_open_as_many_files_as_the_system_allows(fresh: GunicornServer) -> None:
    limits = Path(f"/proc/{fresh.worker_pid}/limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
    assert soft == hard


@pytest.mark.settings(ACCESS_LOG="on")
def test_the_access_log_leaves_health_checks_out(fresh: GunicornServer) -> None:
    fresh.get("/health/live", token=None)
    fresh.get("/api/chargers")
    wait_until(lambda: "GET /api/chargers" in fresh.log(), seconds=5, what="the request is logged")
    assert "/health/" not in fresh.log()


def test_there_is_no_access_log_unless_asked_for(fresh: GunicornServer) -> None:
    fresh.get("/api/chargers")
    fresh.terminate()
    assert "/api/chargers" not in fresh.log()


def test_a_second_server_on_the_same_port_is_refused_and_the_first_goes_on(fresh: GunicornServer) -> None:
    second = subprocess.run(
        fresh.command, cwd=ROOT, env=fresh.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode != 0
    assert "in use" in second.stderr
    assert fresh.is_ready()


@pytest.mark.mariadb
def test_the_procfile_deploys_it(database_server: DatabaseServer) -> None:
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ADMIN_USERNAME": "operator",
        "ADMIN_PASSWORD": PASSWORD,
    }
    server = GunicornServer(database_server.create_database(), environ, ["/bin/sh", "-c", procfile()["web"]])
    del server.environ["HOST"]
    try:
        for _ in range(2):  # the second release of a deployment finds everything there
            released = subprocess.run(
                ["/bin/sh", "-c", procfile()["release"]],
                cwd=ROOT,
                env=server.environ,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert released.returncode == 0, released.stderr
        server.start()
        assert server.get("/api/chargers").status == 200
        assert f"http://0.0.0.0:{server.port}" in server.log()
        assert children(server.master_pid)
        server.interrupt()
        assert "Shutting down: Master" in server.log()
    finally:
        server.remove()


@pytest.mark.parametrize("process", ["release", "web"])
def test_the_procfile_refuses_a_deployment_without_a_secret(process: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", procfile()[process]],
        cwd=ROOT,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATABASE_URL": "mysql://u:p@127.0.0.1/x",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("Configuration: JWT_SECRET_KEY is not set")
    assert "Traceback" not in done.stderr


def test_a_release_says_in_one_line_that_the_database_does_not_answer() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "db", "upgrade"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "mysql://u:secret-word@127.0.0.1:1/x"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "secret-word" not in done.stderr


def test_lines_that_say_the_same_are_counted_not_repeated() -> None:
    script = """
import json, logging, runpy
conf = runpy.run_path("gunicorn.conf.py")
repeats = conf["Repeats"]()

def passes(message, *args, at, level=logging.INFO):
    made = logging.LogRecord("x", level, "f", 1, message, args, None)
    made.created = at
    return made.getMessage() if repeats.filter(made) else None

said = [passes("charger %s: refused, %s", "A", number, at=100 + number / 100) for number in range(500)]
print(json.dumps({
    "of one": sum(line is not None for line in said),
    "of another": passes("charger %s: refused, %s", "B", 1, at=106),
    "other words": passes("charger %s: connected", "A", at=106),
    "an error": sum(passes("broken", at=106, level=logging.ERROR) is not None for _ in range(50)),
    "later": passes("charger %s: refused, %s", "A", "x", at=111),
    "of many": sum(passes("hello %s", number, at=112) is not None for number in range(5000)),
}))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(result.stdout) == {
        "of one": 10,
        "of another": "charger B: refused, 1",
        "other words": "charger A: connected",
        "an error": 50,
        "later": "charger A: refused, x (before it, 490 lines like others were left out)",
        "of many": 2000,
    }


def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "chargers.sqlite3"
    path.touch(0o644)
    with GunicornServer(f"sqlite:///{path}") as server:
        assert server.get("/api/chargers").status == 200
        made = sorted(tmp_path.glob("chargers.sqlite3*"))
        assert len(made) > 1
        assert {
            file.name: oct(file.stat().st_mode & 0o777) for file in made if file.stat().st_mode & 0o077
        } == {}


@pytest.mark.settings(ADMIN_PASSWORD="a long and secret word", LOG_LEVEL="DEBUG")
def test_the_first_accounts_password_is_in_no_servers_environment(fresh: GunicornServer) -> None:
    assert fresh.get("/health/live").status == 200
    for pid in (fresh.worker_pid, fresh.master_pid):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"LOG_LEVEL=DEBUG" in environment
        assert b"secret word" not in environment
