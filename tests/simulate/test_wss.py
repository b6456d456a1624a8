"""The simulator behind TLS: chargers come and go without a word on standard error."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import trustme

from tests.support.processes import free_port, wait_until
from tests.support.server import ROOT, GunicornServer

pytestmark = pytest.mark.wire


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
def tls_url(tmp_path, authority) -> Iterator[tuple[GunicornServer, str]]:
    """A server, and the URL of a proxy in front of it that ends TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    port, started, ended = free_port(), threading.Event(), asyncio.Event()

    async def run(target: int) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                onward, back = await asyncio.open_connection("127.0.0.1", target)
                await asyncio.gather(_pump(reader, back), _pump(onward, writer))
            writer.close()

        async with await asyncio.start_server(handle, "127.0.0.1", port, ssl=context):
            loops.append(asyncio.get_running_loop())
            started.set()
            await ended.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    with GunicornServer(f"sqlite:///{tmp_path / 'a.sqlite3'}") as server:
        thread = threading.Thread(target=lambda: asyncio.run(run(server.port)), daemon=True)
        thread.start()
        assert started.wait(10)
        yield server, f"wss://localhost:{port}/ocpp"
        loops[0].call_soon_threadsafe(ended.set)
        thread.join(10)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def simulate(server: GunicornServer, url: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "simulate", "--chargers", "20", "--minutes", "0.25", "--pace", "3600",
         "--flat", "2", "--url", url],
        cwd=ROOT, env=server.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_chargers_behind_tls_lose_their_lines_without_a_traceback(tls_url, tmp_path, authority):
    server, url = tls_url
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    running = simulate(server, url, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    wait_until(lambda: server.log().count("connected from") >= 20, seconds=30, what="the chargers are in")
    server.kill_worker()
    printed, errors = running.communicate(timeout=120)
    assert errors == ""
    assert running.returncode == 0, printed
    assert "Every transaction message was acknowledged." in printed


def test_a_certificate_that_is_not_trusted_is_named(tls_url):
    server, url = tls_url
    printed, errors = simulate(server, url).communicate(timeout=120)
    assert errors == ""
    assert "never got a connection" in printed
    assert "certificate verify failed" in printed


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/ocpp"),
        ("https://example.com/ocpp", "wss://example.com/ocpp"),
        ("127.0.0.1:8080", "ws://"),
        ("ws://", "ws://"),
    ],
)
def test_an_address_that_no_charger_dials_is_refused_at_once(tmp_path, url, meant):
    server = GunicornServer(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    running = simulate(server, url)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert f"Did you mean {meant}" in errors
    server.remove()
