"""The real thing: `gunicorn` serving this repository, as a deployment would."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask_migrate import upgrade

import config
from charger_mgmt import create_app
from charger_mgmt.access import accounts
from charger_mgmt.extensions import db
from charger_mgmt.serving.process import process_of

from .network import Host
from .processes import LastWill, children, free_port, is_running, kill_group, wait_until

ROOT = Path(__file__).resolve().parents[2]
USERNAME = "operator"
PASSWORD = "a long enough password"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
#: The only variables of the caller's environment that a server gets to see.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")
#: Signs in the log of something that no test should cause.
ALARMS = ("Traceback (most recent call last)", "ConcurrentObjectUseError", "LoopExit", "WORKER TIMEOUT")


@dataclass(frozen=True)
class Response:
    """An HTTP answer; `json` is the decoded body, or None when it is not JSON."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text) if "json" in self.headers.get("content-type", "") else None


class GunicornServer:
    """`gunicorn -c gunicorn.conf.py wsgi:app` with a database, an operator and a port of its own.

    As a context manager it starts, and at the end proves that nothing of it is left.
    """

    def __init__(
        self,
        database_url: str,
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"),
        on: Host | None = None,
    ) -> None:
        """`environ` is added to the server's environment (HEARTBEAT_TIMEOUT, CHARGER_ONBOARDING, …); `on` which host it
        runs, if not on this machine's own network.
        """
        self.command = [*(on.command if on else ()), *command]
        self.host = on.address if on else "127.0.0.1"
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="charger-mgmt-server-")
        self.log_file = Path(self.folder.name) / "gunicorn.log"
        self.environ = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.environ |= {
            "DATABASE_URL": database_url,
            "HOST": self.host,
            "PORT": str(self.port),
            "JWT_SECRET_KEY": "tests-only-secret-" + "x" * 32,
            "ACCESS_TOKEN_SECONDS": "7200",
            "ENV_FILE": os.devnull,
            "FLASK_SKIP_DOTENV": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environ.update(environ or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._last_will: LastWill | None = None
        self._token: str | None = None

    # Where it is

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ocpp_url(self) -> str:
        """Where flat chargers connect; OCPP-J chargers append `/<identity>`."""
        return f"ws://{self.host}:{self.port}/ocpp"

    @property
    def master_pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """It was started, and not ended or killed."""
        return self._process is not None

    @property
    def worker_pid(self) -> int:
        """The worker that serves now; waits while the master replaces a dead one."""
        return wait_until(lambda: children(self.master_pid), seconds=STOP_SECONDS, what="a worker runs")[-1]

    def log(self) -> str:
        """Everything the server wrote."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def alarms(self) -> list[str]:
        """Lines in the log that an operator would have to explain."""
        return [line for line in self.log().splitlines() if any(alarm in line for alarm in ALARMS)]

    # Life

    def __enter__(self) -> GunicornServer:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._process is not None:
                self.terminate()
        finally:
            self.remove()

    def prepare(self) -> None:
        """Upgrade the database and create the operator: what `flask db upgrade` and `flask user create` do.

        Here and not in processes of their own, which would take most of a server's start.
        """
        app = create_app(config.load(self.environ))
        database = process_of(app).central.database
        try:
            with app.app_context():
                upgrade()
                accounts.create(db.engine, USERNAME, PASSWORD, role="admin")
        finally:
            database.engine.dispose()
            database.rest.dispose()

    def flask(self, *arguments: str, timeout: float = 120) -> str:
        """Run a `flask` command on this server's database; what it printed. AssertionError if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"flask {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def launch(self) -> subprocess.Popen[bytes]:
        """Start gunicorn without waiting for it."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environ, stdout=log, stderr=log, start_new_session=True
            )
        self._last_will = LastWill(self._process.pid)
        return self._process

    def start(self) -> None:
        """Start gunicorn and wait until it is ready."""
        process = self.launch()

        def ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"gunicorn ended with {process.returncode}:\n{self.log()}")
            return self.is_ready()

        try:
            wait_until(ready, seconds=START_SECONDS, what="gunicorn is ready", every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def is_ready(self) -> bool:
        """Whether /health/ready says so, now."""
        try:
            return self.request("GET", "/health/ready", token=None, timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """After a worker's or the database's death: wait until the server serves again."""
        wait_until(self.is_ready, seconds=seconds, what="the server is ready again", every=0.05)

    def kill_worker(self) -> int:
        """kill -9 the worker; the master starts another. The dead worker's pid."""
        pid = self.worker_pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), seconds=STOP_SECONDS, what="the killed worker is gone")
        return pid

    def kill_master(self) -> None:
        """kill -9 the whole server, as a power cut would."""
        group = self.master_pid
        kill_group(group, signal.SIGKILL)
        self._reap()
        self._assert_nothing_left(group)

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM to the master; its exit code. Proves that no process is left."""
        os.kill(self.master_pid, signal.SIGTERM)
        return self.wait(seconds)

    def interrupt(self, seconds: float = STOP_SECONDS) -> int:
        """Ctrl-C: a terminal sends it to master and worker alike. The exit code."""
        kill_group(self.master_pid, signal.SIGINT)
        return self.wait(seconds)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the end that was asked for; the exit code. Proves that no process is left."""
        group = self.master_pid
        assert self._process is not None
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill_group(group, signal.SIGKILL)
            self._reap()
            raise AssertionError(f"gunicorn did not end within {seconds:g} s:\n{self.log()}") from None
        self._reap()
        self._assert_nothing_left(group)
        return code

    def restart(self) -> None:
        """An orderly end and a new start on the same port and database."""
        self.terminate()
        self.start()

    def remove(self) -> None:
        """End whatever still runs and delete the log."""
        if self._process is not None:
            kill_group(self._process.pid, signal.SIGKILL)
            self._reap()
        self.folder.cleanup()

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait(timeout=STOP_SECONDS)
        self._process = None
        if self._last_will is not None:
            self._last_will.revoke()
            self._last_will = None

    def _assert_nothing_left(self, group: int) -> None:
        def gone() -> bool:
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return True
            return False

        wait_until(gone, seconds=STOP_SECONDS, what="every process of the server is gone")

    # REST

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Response:
        """One REST call with a JSON body; `token`: "" is the operator's own, None sends none."""
        sent = {"Accept": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token()}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
            return Response(answer.status, {key.lower(): value for key, value in answer.getheaders()}, text)
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Response:
        return self.request("POST", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Response:
        return self.request("PATCH", path, body, **options)

    def token(self) -> str:
        """The operator's access token; logs in the first time."""
        if self._token is None:
            login = {"username": USERNAME, "password": PASSWORD}
            answer = self.request("POST", "/api/auth/login", login, token=None)
            assert answer.status == 200, answer
            self._token = answer.json["accessToken"]
        return self._token
