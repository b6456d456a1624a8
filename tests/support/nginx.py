"""A private nginx in front of servers, by deploy/nginx.conf."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from .haproxy import listens
from .processes import LastWill, free_port, wait_until

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_RECIPE = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
_AROUND = """\
pid {folder}/pid;
error_log {folder}/error.log;
daemon off;
worker_processes 1;
user root;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{recipe}
}}
"""


class Nginx:
    """`nginx` in front of servers on these ports; a context manager: it starts, and is gone at the end."""

    def __init__(self, *targets: int, certificate: Path | None = None) -> None:
        """`certificate`: chain and key in one file; it is also there by TLS, on `tls_port`."""
        self.host, self.port, self.tls_port = "127.0.0.1", free_port(), free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="charger-mgmt-nginx-")
        text = _RECIPE.read_text().replace("listen 80;", f"listen {self.host}:{self.port};")
        addresses = iter(targets)
        text = re.sub(r"192\.0\.2\.1[12]:8080", lambda _: f"127.0.0.1:{next(addresses)}", text)
        if certificate is not None:
            text = text.replace("#listen 443 ssl", f"listen {self.host}:{self.tls_port} ssl")
            text = re.sub(r"/etc/nginx/certificate\.\w+", str(certificate), text)
        around = _AROUND.format(folder=self._folder.name, recipe=text)
        if os.geteuid():
            around = around.replace("user root;\n", "")
        self._file = Path(self._folder.name) / "nginx.conf"
        self._file.write_text(around)
        self._process: subprocess.Popen[bytes] | None = None
        self._last_will: LastWill | None = None

    def __enter__(self) -> Nginx:
        program = shutil.which("nginx", path=_PATH)
        assert program is not None, "nginx is missing: sudo apt-get install nginx-light"
        self._process = subprocess.Popen(
            [program, "-c", str(self._file), "-p", self._folder.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._last_will = LastWill(self._process.pid)
        wait_until(lambda: listens(self.host, self.port), seconds=10, what="nginx listens")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=10)
        if self._last_will is not None:
            self._last_will.revoke()
        self._folder.cleanup()
