"""A private Redis server: no file, a free port, gone when the tests are."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from types import TracebackType

from .processes import LastWill, free_port, wait_until

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class Redis:
    """`redis-server` on a port of its own; as a context manager it starts, and is gone at the end."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host, self.port = host, free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="charger-mgmt-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self._last_will: LastWill | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process id. Raises RuntimeError while it is not running."""
        if self._process is None:
            raise RuntimeError("Redis is not running")
        return self._process.pid

    def __enter__(self) -> Redis:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, with an empty memory."""
        program = shutil.which("redis-server", path=_PATH)
        assert program is not None, "redis-server is missing: sudo apt-get install redis-server"
        self._process = subprocess.Popen(
            [
                program,
                *("--port", str(self.port), "--bind", self.host, "--dir", self._folder.name),
                *("--save", "", "--appendonly", "no", "--protected-mode", "no"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._last_will = LastWill(self._process.pid)
        wait_until(self._answers, seconds=10, what="Redis listens")

    def kill(self) -> None:
        """kill -9, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None
        if self._last_will is not None:
            self._last_will.revoke()
            self._last_will = None

    def freeze(self) -> None:
        """It answers nothing any more, and keeps its connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True
