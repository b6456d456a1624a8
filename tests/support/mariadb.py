"""A MariaDB (or MySQL) server of our own: private folder, free port, gone when the tests are."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy.engine import URL, make_url

from charger_mgmt import database_url

from .processes import LastWill, free_port, wait_until

MISSING = (
    "mariadbd is not installed. On Debian or Ubuntu: `sudo apt-get install mariadb-server` (`make test` does it"
    " when it may), or set TEST_DATABASE_URL=mysql://user:password@host/database to use a server of yours."
)
START_SECONDS = 60.0


def _programs() -> tuple[str | None, str | None]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)


def mariadb_is_installed() -> bool:
    """Whether a private server can be started here."""
    return None not in _programs()


class DatabaseServer:
    """A running MySQL or MariaDB on which databases can be made."""

    def __init__(self, url: str) -> None:
        self._url: URL = make_url(database_url.normalised(url).url)
        self._databases: list[str] = []

    def connect(self, database: str | None = None, **options: Any) -> pymysql.Connection:
        """A connection of the administrator, in autocommit mode."""
        return pymysql.connect(
            host=self._url.host or "127.0.0.1",
            port=self._url.port or 3306,
            user=self._url.username or "root",
            password=self._url.password or "",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            **options,
        )

    def execute(self, statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as the administrator; its rows."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"charger_mgmt_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        self._databases.append(name)
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop_databases(self) -> None:
        """Remove every database made here."""
        while self._databases:
            self.execute(f"DROP DATABASE IF EXISTS {self._databases.pop()}")


class _Installed:
    """mariadbd as it is installed on this machine."""

    def __init__(self) -> None:
        binary, installer = _programs()
        if binary is None or installer is None:
            raise RuntimeError(MISSING)
        self._binary, self._installer = binary, installer
        self.folder = Path(tempfile.mkdtemp(prefix="charger-mgmt-mariadb-"))

    def prepare(self, options: Sequence[str]) -> list[str]:
        """Make the data folder; the command that serves it."""
        # A server that starts removes what others have in the folder for temporary tables.
        common = [
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--user={_account()}",
            f"--tmpdir={self.folder}",
        ]
        _run(
            [
                self._installer,
                *common,
                "--auth-root-authentication-method=normal",
                "--skip-name-resolve",
                "--skip-test-db",
                *options,
            ]
        )
        return [
            self._binary,
            *common,
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            "--innodb-log-file-size=64M",
            *options,
        ]


class _InChroot:
    """MySQL's mysqld in a root folder of its own (see `make test-mysql`); its options are MariaDB's, translated."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = Path(tempfile.mkdtemp(prefix="charger-mgmt-mysql-", dir=root / "tmp"))
        self.folder.chmod(0o755)

    def prepare(self, options: Sequence[str]) -> list[str]:
        inside = Path("/") / self.folder.relative_to(self._root)
        everybody = self.folder / "everybody.sql"
        everybody.write_text(
            "CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY '';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
        )
        common = ["chroot", str(self._root), "/usr/sbin/mysqld", "--no-defaults", "--user=root"]
        common += [f"--datadir={inside / 'data'}", "--secure-file-priv="]
        # MySQL's undo tablespaces are files of their own without being asked.
        options = [
            self._translated(o, inside) for o in options if not o.startswith("--innodb-undo-tablespaces")
        ]
        _run([*common, "--initialize-insecure", *options])
        return [
            *common,
            f"--socket={inside / 'socket'}",
            "--mysqlx=OFF",
            f"--pid-file={inside / 'pid'}",
            f"--tmpdir={inside}",
            f"--init-file={inside / everybody.name}",
            "--innodb-redo-log-capacity=128M",
            *options,
        ]

    def _translated(self, option: str, inside: Path) -> str:
        name, _, value = option.partition("=")
        if name == "--skip-ssl":
            return "--tls-version="
        if name in ("--ssl-ca", "--ssl-cert", "--ssl-key"):
            shutil.copy(value, self.folder / Path(value).name)
            (self.folder / Path(value).name).chmod(0o644)
            return f"{name}={inside / Path(value).name}"
        return option


def _account() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"no database could be made:\n{error.stdout}{error.stderr}") from error


class MariaDB(DatabaseServer):
    """A private `mariadbd`. It may be stopped, killed, frozen and started again on the same data and port.

    With TEST_MYSQL_ROOT it is MySQL's `mysqld` out of that root folder.
    """

    def __init__(self, *server_options: str) -> None:
        """Prepare a data folder; `server_options` are handed to the server ("--max-connections=20")."""
        root = os.environ.get("TEST_MYSQL_ROOT")
        program = _InChroot(Path(root).resolve()) if root else _Installed()
        self.port = free_port()
        super().__init__(f"mysql://root@127.0.0.1:{self.port}/mysql")
        self.folder = program.folder
        self.log_file = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._last_will: LastWill | None = None
        try:
            self._command = [
                *program.prepare(server_options),
                "--bind-address=127.0.0.1",
                f"--port={self.port}",
                "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=1",
                "--innodb-buffer-pool-size=128M",
                "--innodb-fast-shutdown=2",
                "--max-connections=400",
                *(o for o in server_options if o.startswith(("--max-connections", "--bind-address"))),
            ]
        except RuntimeError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def __enter__(self) -> MariaDB:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def pid(self) -> int:
        """The server's process id. Raises RuntimeError while it is not running."""
        if self._process is None:
            raise RuntimeError("the MariaDB server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        self._process = process
        self._last_will = LastWill(process.pid, self.folder)

        def answers() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"mariadbd ended with {process.returncode}:\n{self.log()}")
            try:
                self.connect(connect_timeout=2).close()
            except pymysql.err.OperationalError:
                return False
            return True

        wait_until(answers, seconds=START_SECONDS, what="mariadbd takes connections", every=0.05)

    def stop(self) -> None:
        """Shut down in order and wait for the end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: what was committed must be there after the next start."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop in order and start again on the same data and port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """End the server, if it runs, and delete its folder."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What the server wrote."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def _end(self, signal_number: int) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(signal_number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            self._process = None
            if self._last_will is not None:
                self._last_will.revoke()
                self._last_will = None
