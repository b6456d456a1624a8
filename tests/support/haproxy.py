"""A private HAProxy in front of a server, as a deployment has one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from .processes import LastWill, free_port, wait_until

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
#: What we tell operators to use.
_RECIPES = Path(__file__).resolve().parents[2] / "deploy"


class HAProxy:
    """`haproxy` by a recipe of deploy/, in front of servers on these ports; a context manager: it starts, and is gone
    at the end."""

    def __init__(
        self, *targets: int | str, recipe: str = "haproxy.cfg", certificate: Path | None = None
    ) -> None:
        """`targets`: ports of this machine, or host:port. `certificate`: it is also there by TLS, on `tls_port`."""
        self.tls_port = free_port()
        self.host, self.port = "127.0.0.1", free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="charger-mgmt-haproxy-")
        self._file = Path(self._folder.name) / "haproxy.cfg"
        text = (_RECIPES / recipe).read_text()
        text = text.replace("maxconn 20000", "maxconn 8000").replace("maxconn 10000", "maxconn 5000")
        text = re.sub(r"(?m)^    bind :\d+$", f"    bind {self.host}:{self.port}", text)
        addresses = iter(each if isinstance(each, str) else f"127.0.0.1:{each}" for each in targets)
        text = re.sub(r"(?m)^    server .*\n?", lambda line: _at(line[0], next(addresses, None)), text)
        if certificate is not None:
            text = text.replace("    #bind :443", f"    bind {self.host}:{self.tls_port}")
            text = text.replace("/etc/haproxy/certificate.pem", str(certificate))
        self._file.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None
        self._last_will: LastWill | None = None

    def __enter__(self) -> HAProxy:
        self.start()
        return self

    def restart(self) -> None:
        """kill -9, and another one on the same port: every connection through it is cut."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)
        self.start()

    def start(self) -> None:
        program = shutil.which("haproxy", path=_PATH)
        assert program is not None, "haproxy is missing: sudo apt-get install haproxy"
        self._process = subprocess.Popen(
            [program, "-db", "-f", str(self._file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._last_will = LastWill(self._process.pid)
        wait_until(lambda: listens(self.host, self.port), seconds=10, what="HAProxy listens")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
        if self._last_will is not None:
            self._last_will.revoke()
        self._folder.cleanup()


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _at(line: str, address: str | None) -> str:
    """A server's line with another address; without one it is left out."""
    return re.sub(r"(    server \w+) \S+", rf"\1 {address}", line) if address else ""
