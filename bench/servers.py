"""The systems under test, each a process of its own, and the load process that talks to them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.engine import make_url

from tests.support.mariadb import MariaDB
from tests.support.processes import LastWill, children, free_port, wait_until
from tests.support.server import INHERITED, ROOT, GunicornServer

_TICKS = os.sysconf("SC_CLK_TCK")
PEERS = Path(__file__).resolve().parent / "peers"
OCPP_RPC = ROOT / "tests" / "peers" / "node_modules"
#: A charger that is loaded answers no calls of ours; the peers make none either.
SETTINGS = {"AUTOMATIC_CALLS": "off", "LOG_LEVEL": "WARNING", "NEW_CHARGERS_PER_SOURCE": "0"}


class Server(Protocol):
    """What a benchmark needs of a system under test."""

    name: str
    host: str
    port: int

    @property
    def pid(self) -> int: ...


class Ours(GunicornServer):
    """This system: gunicorn with one worker, as a deployment runs it."""

    def __init__(self, database_url: str, name: str = "charger_mgmt", **settings: str) -> None:
        super().__init__(database_url, SETTINGS | settings)
        self.name = name

    def __enter__(self) -> Ours:
        super().__enter__()
        return self

    @property
    def pid(self) -> int:
        return self.worker_pid

    @property
    def pids(self) -> list[int]:
        """Of all workers."""
        return children(self.master_pid)


class Peer:
    """Somebody else's central system, started with a port of its own."""

    def __init__(self, name: str, command: list[str], environ: Mapping[str, str]) -> None:
        self.name = name
        self.host, self.port = "127.0.0.1", free_port()
        self._command = [*command, str(self.port)]
        self._environ = {key: os.environ[key] for key in INHERITED if key in os.environ} | dict(environ)
        self._log: Any = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Peer:
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environ,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._last_will = LastWill(self._process.pid)
        try:
            wait_until(self._listens, seconds=30, what=f"{self.name} listens", every=0.05)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._last_will.revoke()
        self._log.close()

    def _listens(self) -> bool:
        import socket

        if self._process is not None and self._process.poll() is not None:
            self._log.seek(0)
            raise RuntimeError(f"{self.name} ended: {self._log.read().decode()[-2000:]}")
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex((self.host, self.port)) == 0


def ocpp_websockets(database_url: str | None = None) -> Peer:
    """PyPI `ocpp` over `websockets`; with a database it stores what it is sent, one commit a message."""
    environ = {"DATABASE_URL": database_url} if database_url else {}
    return Peer("ocpp + websockets", [sys.executable, str(PEERS / "central_system.py")], environ)


def ocpp_rpc() -> Peer:
    """npm `ocpp-rpc` in strict mode."""
    node = shutil.which("node")
    if node is None or not OCPP_RPC.is_dir():
        raise RuntimeError("node or ocpp-rpc is missing: run `make bench`, which installs it")
    return Peer("ocpp-rpc strict", [node, str(PEERS / "central_system.js")], {"NODE_PATH": str(OCPP_RPC)})


@contextlib.contextmanager
def database(*options: str) -> Iterator[MariaDB]:
    """A private MariaDB: every commit is flushed to the disk, as a deployment wants it."""
    with MariaDB(*options) as server:
        yield server


def database_of(server: GunicornServer) -> str:
    """The name of a server's database."""
    name = make_url(server.environ["DATABASE_URL"]).database
    assert name is not None
    return name


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """The memory that a process holds (RSS)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Load:
    """A load process (see load.py) against one server."""

    def __init__(self, server: Server, **job: Any) -> None:
        self._server = server
        self._job = {"host": server.host, "port": server.port} | job
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Load:
        """Start it and wait until every charger has booted. `connecting`: how long that took (seconds)."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._tell(json.dumps(self._job))
        try:
            self.connecting: float = self._hear()["ready"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def run(self) -> dict[str, Any]:
        """Let it talk; what it saw, and the server's share of one processor meanwhile (all workers together)."""
        pids = getattr(self._server, "pids", None) or [self._server.pid]
        used, began = sum(map(cpu_seconds, pids)), time.perf_counter()
        self._tell("go")
        seen = self._hear()
        seen["server_cpu"] = (sum(map(cpu_seconds, pids)) - used) / (time.perf_counter() - began)
        return seen

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load process ended with {self._process.wait()}")
        return json.loads(line)


def measure(server: Server, **job: Any) -> dict[str, Any]:
    """One run of a load against a server."""
    with Load(server, **job) as load:
        return load.run()
