"""The operator's part of a session with a peer: starts it, watches it, ends it, reads the history."""

from __future__ import annotations

from typing import Any, Protocol

from tests.support.processes import wait_until
from tests.support.server import GunicornServer


class Peer(Protocol):
    """A charger made of somebody else's software."""

    identity: str

    def until(self, event: str) -> dict[str, Any]:
        """Wait for it to get so far; what it has to say then. Fails if anything went wrong for it."""


def steers_a_session(server: GunicornServer, peer: Peer) -> dict[str, Any]:
    """Remote start, remote stop, and the finished transaction as the API shows it."""
    charger = f"/api/chargers/{peer.identity}"
    ready = peer.until("ready")
    assert ready["status"] == "Accepted"
    assert server.get(charger).json["status"] == "Available"

    started = server.post(f"/api/transactions/{peer.identity}/start", {"sessionId": f"by-{peer.identity}"})
    assert started.status in (201, 202), started.text
    charging = peer.until("charging")
    assert server.get(charger).json["status"] == "Charging"
    number = charging["transactionId"]
    (listed,) = server.get(f"/api/transactions/charger/{peer.identity}").json
    assert (listed["transactionId"], listed["status"]) == (number, "In Progress")

    ended = server.post(f"/api/transactions/{number}/end")
    assert ended.status in (200, 202), ended.text
    peer.until("stopped")
    assert server.get(charger).json["status"] == "Available"

    def finished() -> dict[str, Any] | None:
        (row,) = server.get(f"/api/transactions/charger/{peer.identity}").json
        return row if row["status"] == "Completed" else None

    session = wait_until(finished, seconds=5, what="the history shows the session as Completed")
    commands = server.get(f"{charger}/commands").json
    assert {"RemoteStartTransaction", "RemoteStopTransaction", "ChangeConfiguration"} <= {
        command["action"] for command in commands
    }
    assert [command for command in commands if command["state"] not in ("accepted", "rejected")] == []
    return session
