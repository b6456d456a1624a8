"""A private HAProxy in front of a server, as a deployment has one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from .processes import LastWill, free_port, wait_until

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_CONFIGURATION = """
global
    maxconn 4000
defaults
    mode http
    option forwardfor
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    timeout tunnel 1h
frontend chargers
    bind 127.0.0.1:{port}
    default_backend central
backend central
    server one 127.0.0.1:{target}
"""


class HAProxy:
    """`haproxy` on a port of its own; as a context manager it starts, and is gone at the end."""

    def __init__(self, target: int) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="charger-mgmt-haproxy-")
        self._file = Path(self._folder.name) / "haproxy.cfg"
        self._file.write_text(_CONFIGURATION.format(port=self.port, target=target))
        self._process: subprocess.Popen[bytes] | None = None
        self._last_will: LastWill | None = None

    def __enter__(self) -> HAProxy:
        program = shutil.which("haproxy", path=_PATH)
        assert program is not None, "haproxy is missing: sudo apt-get install haproxy"
        self._process = subprocess.Popen(
            [program, "-db", "-f", str(self._file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._last_will = LastWill(self._process.pid)
        wait_until(self._answers, seconds=10, what="HAProxy listens")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
        if self._last_will is not None:
            self._last_will.revoke()
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True
