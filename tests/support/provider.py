"""A real identity provider, and a person with a browser who signs in there."""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from .processes import free_port

HERE = Path(__file__).resolve().parents[1] / "peers"
AUDIENCE = "https://chargers.test/api"
CLIENT = "chargers"
CLIENT_SECRET = "a secret of the server"
ROLES = "admins=admin,staff=operator,guests=viewer"


@dataclass
class Provider:
    """`provider.mjs` in a process of its own, on a port that it keeps when it starts again (with new keys)."""

    public_url: str
    audience: str = AUDIENCE
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """What the server is told of it."""
        return {
            "public_url": self.public_url,
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": CLIENT_SECRET,
            "oidc_audience": self.audience,
            "oidc_roles": tuple(ROLES.split(",")),
        }

    @property
    def environ(self) -> dict[str, str]:
        """The same as environment variables."""
        return {
            name.upper(): ",".join(value) if isinstance(value, tuple) else value
            for name, value in self.settings.items()
        }

    def start(self) -> None:
        node = shutil.which("node")
        assert node is not None, "node is missing: `make test` installs it"
        callback = f"{self.public_url}/api/auth/provider/callback"
        self.process = subprocess.Popen(
            [node, "provider.mjs", str(self.port), callback, self.audience],
            cwd=HERE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line == "ready\n":
                break
        else:
            raise AssertionError("".join(said))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def machine_token(self, client: str = "robot admins", resource: str | None = None) -> str:
        """An access token of a machine whose roles and sites are spelled in its name."""
        credentials = base64.b64encode(f"{requests.utils.quote(client)}:a+secret+of+the+machine".encode())
        asked = {"grant_type": "client_credentials", "resource": resource or self.audience}
        headers = {"Authorization": f"Basic {credentials.decode()}"}
        answer = requests.post(f"{self.issuer}/token", data=asked, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@contextmanager
def running_provider(public_url: str) -> Iterator[Provider]:
    provider = Provider(public_url)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


class Browser:
    """Follows redirects, keeps cookies, fills in the provider's forms."""

    def __init__(self) -> None:
        self.session = requests.Session()

    def get(self, url: str) -> requests.Response:
        return self.session.get(url, timeout=10)

    def sign_in(self, begin: str, login: str, *, stop_before: str | None = None) -> requests.Response:
        """Open `begin`, and go through the provider's pages as `login`; the last answer.

        `stop_before`: where the browser is sent to an address that begins so, that redirect is the last answer.
        """
        answer = self._follow(self.session.get(begin, timeout=10, allow_redirects=False), stop_before)
        for _ in range(5):
            form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            if form is None:
                return answer
            fields = dict(
                re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text)
            )
            if 'name="login"' in answer.text:
                fields |= {"login": login, "password": "whatever"}
            action = urljoin(answer.url, html.unescape(form[1]))
            sent = self.session.post(action, data=fields, timeout=10, allow_redirects=False)
            answer = self._follow(sent, stop_before)
        raise AssertionError(f"no end of forms: {answer.text[:500]}")

    def _follow(self, answer: requests.Response, stop_before: str | None) -> requests.Response:
        for _ in range(10):
            if "Location" not in answer.headers:
                return answer
            target = urljoin(answer.url, answer.headers["Location"])
            if stop_before is not None and target.startswith(stop_before):
                return answer
            answer = self.session.get(target, timeout=10, allow_redirects=False)
        raise AssertionError("no end of redirects")
