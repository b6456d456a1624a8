"""A MariaDB Galera cluster of three on this machine, as deploy/haproxy-database.cfg wants it: one writes, two follow.

All begin as copies of one data folder, so that a node never needs more than what it has missed (IST). Whole copies (SST)
would want programs of the `mariadb-server` package; in their place stands a script that tells where the other one is, which
is all that is left of them then.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import pymysql

from .mariadb import _account, _programs, _run
from .processes import LastWill, free_port, wait_until

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
MISSING = "Galera is missing. On Debian or Ubuntu: `sudo apt-get install galera-4`"
#: Who looks whether a node may be written to: see deploy/haproxy-database.cfg.
_CHECKER = "CREATE USER haproxy@'127.0.0.1' IDENTIFIED BY ''"


_METHOD = "nothing"
_SCRIPT = """#!{python}
import os, sys, time
given = dict(zip(sys.argv[1::1], sys.argv[2::1]))
if given["--role"] == "joiner":
    note = os.path.join({folder!r}, given["--address"].split(":")[-1].split("/")[0])
    if os.path.exists(note):
        os.remove(note)
    print("ready", given["--address"], flush=True)
    while not os.path.exists(note):
        time.sleep(0.02)
    print(open(note).read().strip(), flush=True)
    os.remove(note)
elif "--bypass" in sys.argv:
    note = os.path.join({folder!r}, given["--address"].split(":")[-1].split("/")[0])
    with open(note + ".new", "w") as file:
        file.write(given["--gtid"])
    os.rename(note + ".new", note)
    print("continue", flush=True)
    print("done", given["--gtid"], flush=True)
else:
    sys.exit("a whole copy was asked for")
"""


def _execute(port: int, statement: str) -> list[tuple[Any, ...]]:
    options: dict[str, Any] = {"user": "root", "autocommit": True, "connect_timeout": 2, "read_timeout": 20}
    with (
        contextlib.closing(pymysql.connect(host="127.0.0.1", port=port, **options)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return list(cursor.fetchall())


class Node:
    """One node: may be killed, frozen, cut off from the others, and started again."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.folder = folder / f"node{number}"
        self.port, self.group_port, self.transfer_port, self.increment_port = (free_port() for _ in range(4))
        self._environ = os.environ | {
            "PATH": f"{folder / 'bin'}:{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._last_will: LastWill | None = None
        self._command: list[str] = []

    def prepare(self, group: list[int]) -> None:
        binary, _ = _programs()
        assert binary is not None
        self._command = [
            binary,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--tmpdir={self.folder}",
            f"--user={_account()}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--max-connections=200",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=48M",
            # As deploy/galera.cnf
            "--binlog-format=ROW",
            "--default-storage-engine=InnoDB",
            "--innodb-autoinc-lock-mode=2",
            "--innodb-flush-log-at-trx-commit=1",
            "--wsrep-on=ON",
            "--wsrep-auto-increment-control=OFF",
            f"--wsrep-provider={PROVIDER}",
            "--wsrep-cluster-name=chargers",
            f"--wsrep-node-name=node{self.number}",
            f"--wsrep-node-address=127.0.0.1:{self.group_port}",
            "--wsrep-cluster-address=gcomm://" + ",".join(f"127.0.0.1:{port}" for port in group),
            f"--wsrep-sst-method={_METHOD}",
            f"--wsrep-sst-receive-address=127.0.0.1:{self.transfer_port}",
            "--wsrep-provider-options="
            f"gmcast.listen_addr=tcp://127.0.0.1:{self.group_port};ist.recv_addr=127.0.0.1:{self.increment_port};"
            "gcache.size=128M;pc.recovery=false;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S;"
            "evs.inactive_check_period=PT0.5S;evs.keepalive_period=PT0.5S;evs.install_timeout=PT4S",
        ]

    def start(self, *options: str) -> None:
        """Start it and wait until it is in step with the others; after a kill, from what it had committed."""
        command = [*self._command, *options]
        if (position := self._position()) is not None:
            command.append(f"--wsrep-start-position={position}")
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=self._environ
            )
        self._last_will = LastWill(self._process.pid)
        wait_until(self._is_up, seconds=60, what=f"node {self.number} is in step", every=0.1)

    def _position(self) -> str | None:
        """What it has, when its own note of it is missing: it was killed."""
        noted = re.search(r"(?m)^seqno:\s*(-?\d+)", (self.folder / "data" / "grastate.dat").read_text())
        if noted is None or noted[1] != "-1":
            return None
        done = subprocess.run(
            [*self._command, "--wsrep-recover"], capture_output=True, text=True, check=False
        )
        found = re.findall(r"Recovered position:? ([0-9a-f-]+:-?\d+)", done.stderr + done.stdout)
        return found[-1] if found else None

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            text = self.log_file.read_text(errors="replace")
            raise RuntimeError(f"node {self.number} ended with {self._process.returncode}:\n{text[-4000:]}")
        return self.state() == "Synced"

    def state(self) -> str:
        """Synced, Joined, Initialized (not with the majority)…; "": it does not answer."""
        try:
            return str(self.execute("SHOW STATUS LIKE 'wsrep_local_state_comment'")[0][1])
        except (pymysql.err.Error, IndexError):
            return ""

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        return _execute(self.port, statement)

    def cut_off(self) -> None:
        """The others do not hear it any more, nor it them; clients still reach it."""
        self.execute("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")

    def reconnect(self) -> None:
        self.execute("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._last_will is not None:
            self._last_will.revoke()
            self._last_will = None


class Galera:
    """Three nodes in one group; a context manager: they run, and are gone at the end."""

    def __init__(self) -> None:
        _, installer = _programs()
        assert installer is not None
        assert PROVIDER.exists(), MISSING
        self._folder = Path(tempfile.mkdtemp(prefix="charger-mgmt-galera-"))
        self.nodes = [Node(number, self._folder) for number in (1, 2, 3)]
        first = self.nodes[0]
        first.folder.mkdir()
        script = self._folder / "bin" / f"wsrep_sst_{_METHOD}"
        script.parent.mkdir()
        script.write_text(_SCRIPT.format(python=sys.executable, folder=str(self._folder)))
        script.chmod(0o755)
        self._installer = [
            installer,
            "--no-defaults",
            f"--datadir={first.folder / 'data'}",
            f"--user={_account()}",
            f"--tmpdir={first.folder}",
            "--auth-root-authentication-method=normal",
            "--skip-name-resolve",
            "--skip-test-db",
        ]

    def __enter__(self) -> Galera:
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _start(self) -> None:
        first, *others = self.nodes
        _run(self._installer)
        group = [node.group_port for node in self.nodes]
        for node in self.nodes:
            node.prepare(group)
        state = first.folder / "data" / "grastate.dat"
        state.write_text(
            f"# GALERA saved state\nversion: 2.1\nuuid:    {uuid.uuid4()}\nseqno:   0\nsafe_to_bootstrap: 1\n"
        )
        first.start("--wsrep-new-cluster")
        first.execute(_CHECKER)  # from now on its tables, too, know of the group
        first.stop()
        for node in others:
            shutil.copytree(first.folder, node.folder)
        first.start("--wsrep-new-cluster")
        for node in others:
            node.start()

    def _remove(self) -> None:
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def through(self, port: int, statement: str) -> list[tuple[Any, ...]]:
        """What the node says to which whatever listens on the port leads."""
        return _execute(port, statement)

    def answers(self, port: int) -> bool:
        """Whether there is one."""
        try:
            return bool(_execute(port, "SELECT 1"))
        except pymysql.err.Error:
            return False

    def create_database(self, port: int) -> str:
        """The URL of a new database there."""
        name = f"charger_mgmt_{uuid.uuid4().hex[:12]}"
        _execute(port, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"mysql+pymysql://root@127.0.0.1:{port}/{name}?charset=utf8mb4"
