"""The npm package `ocpp-rpc` as the charger, in strict mode: it validates what both sides send."""

import json
import queue
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from .operator import steers_a_session

pytestmark = pytest.mark.peer
#: The calls that the system makes by itself come at once, so that they are validated too.
SERVER_ENVIRON = {"FOLLOW_UP_DELAY": "0"}
HERE = Path(__file__).parent


class NodeCharger:
    """`charger.js` in a process of its own, and what it tells."""

    def __init__(self, url: str, identity: str) -> None:
        node = shutil.which("node")
        assert node is not None, "node is missing: `make test` installs it"
        assert (HERE / "node_modules" / "ocpp-rpc").is_dir(), (
            "run `npm ci` in tests/peers (`make peers` does)"
        )
        self.identity = identity
        self.told: queue.Queue = queue.Queue()
        self.process = subprocess.Popen(
            [node, "charger.js", url, identity],
            cwd=HERE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._reads, daemon=True)
        self._reader.start()

    def _reads(self) -> None:
        for line in self.process.stdout:
            try:
                self.told.put(json.loads(line))
            except ValueError:
                self.told.put({"event": "fault", "message": line})

    def until(self, event):
        try:
            told = self.told.get(timeout=30)
        except queue.Empty:
            raise AssertionError(f"the charger never got as far as {event!r}") from None
        assert told["event"] == event, told
        return told

    def ends(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        self.process.stdout.close()


@pytest.fixture
def peer(server, request):
    charger = NodeCharger(server.ocpp_url, f"RPC-{request.node.name[-12:].strip('[]')}")
    yield charger
    charger.ends()


def test_a_session_started_and_stopped_from_afar(server, peer):
    session = steers_a_session(server, peer)
    assert session["energyWh"] == 7250
    assert session["reason"] == "Remote"
    assert peer.process.wait(10) == 0, "strict validation found something"


def test_its_meter_values_are_kept(server, peer):
    session = steers_a_session(server, peer)
    detail = server.get(f"/api/transactions/{session['transactionId']}").json
    assert [(row["measurand"], row["unit"], row["phase"], row["raw"]) for row in detail["meterValues"]] == [
        ("Energy.Active.Import.Register", "Wh", None, "4100"),
        ("Power.Active.Import", "kW", None, "11.04"),
        ("Current.Import", "A", "L1", "16.1"),
    ]
