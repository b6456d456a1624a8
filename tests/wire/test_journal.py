"""What goes over chargers' sockets is kept, beside the hot path, without secrets."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.processes import wait_until
from tests.support.server import GunicornServer

from .raw import booted

pytestmark = pytest.mark.wire

SERVER_ENVIRON = {"AUTOMATIC_CALLS": "off", "MESSAGE_JOURNAL_PERCENT": "100", "CALL_TIMEOUT": "3"}
KEY = "a-secret-AuthorizationKey"[:9] + "0123456789abcdef"


def kept(server: GunicornServer, identity: str, count: int, **query: Any) -> list[dict[str, Any]]:
    """The messages of a charger, oldest first, once there are so many."""
    path = f"/api/chargers/{identity}/messages?{urlencode({'limit': 1000} | query)}"
    wait_until(lambda: len(server.get(path).json) >= count, seconds=10, what=f"{count} messages are kept")
    return list(reversed(server.get(path).json))


def brief(message: dict[str, Any]) -> tuple[Any, ...]:
    return message["direction"], message["kind"], message["action"], message["outcome"]


def calls(server: GunicornServer, charger: Any, action: str, payload: Any, answer: Any) -> Any:
    """The operator calls, the charger answers; what the operator is told."""
    told: list[Any] = []
    path = f"/api/chargers/{charger.identity}/commands/{action}"
    asked = threading.Thread(target=lambda: told.append(server.post(path, payload)))
    asked.start()
    call = charger.hears_json()
    charger.says(json.dumps([4, call[1], *answer] if isinstance(answer, list) else [3, call[1], answer]))
    asked.join(10)
    return told[0]


@pytest.fixture
def charger(server: GunicornServer, request: pytest.FixtureRequest) -> Iterator[Any]:
    identity = f"CP-{zlib.crc32(request.node.name.encode())}"
    with booted(server, identity) as charger:
        charger.identity = identity
        yield charger


def test_a_conversation_is_kept(server: GunicornServer, charger: Any) -> None:
    charger.calls("Heartbeat", {}, "hb-1")
    charger.calls("Authorize", {"idTag": "A"}, "au-1")
    charger.calls("Foo", {}, "foo-1")
    calls(server, charger, "Reset", {"type": "Soft"}, {"status": "Rejected"})
    calls(server, charger, "ClearCache", {}, ["InternalError", "no", {}])
    seen = kept(server, charger.identity, 12)
    assert [brief(each) for each in seen] == [
        ("in", "call", "BootNotification", None),
        ("out", "result", "BootNotification", "Accepted"),
        ("in", "call", "Heartbeat", None),
        ("out", "result", "Heartbeat", None),
        ("in", "call", "Authorize", None),
        ("out", "result", "Authorize", "Accepted"),
        ("in", "call", "Foo", None),
        ("out", "error", "Foo", "NotImplemented"),
        ("out", "call", "Reset", None),
        ("in", "result", "Reset", "Rejected"),
        ("out", "call", "ClearCache", None),
        ("in", "error", "ClearCache", "InternalError"),
    ]
    assert seen[2]["text"] == '[2, "hb-1", "Heartbeat", {}]'
    assert all((each["roundTripMs"] is not None) == (each["kind"] != "call") for each in seen)
    assert [each["messageId"] for each in seen[2:4]] == ["hb-1", "hb-1"]
    ats = [each["at"] for each in seen]
    assert ats == sorted(ats)


def test_the_journal_is_searched(server: GunicornServer, charger: Any) -> None:
    charger.calls("Authorize", {"idTag": "50%_x"}, "au-2")
    charger.calls("Heartbeat", {}, "hb-2")
    kept(server, charger.identity, 6)
    for query, count in (
        ({"action": "Authorize"}, 2),
        ({"kind": "call"}, 3),
        ({"direction": "out"}, 3),
        ({"messageId": "hb-2"}, 2),
        ({"q": "50%_x"}, 1),
        ({"q": "50%Zx"}, 0),
        ({"from": "2099-01-01T00:00:00Z"}, 0),
        ({"to": "2099-01-01T00:00:00Z"}, 6),
    ):
        path = f"/api/chargers/{charger.identity}/messages?{urlencode(query)}"
        assert len(server.get(path).json) == count, query
    whole = server.get(f"/api/messages?{urlencode({'chargerId': charger.identity, 'limit': 2})}")
    assert [each["action"] for each in whole.json] == ["Heartbeat", "Heartbeat"]
    assert 'rel="next"' in whole.headers["link"]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "Accepted"},
        {"status": "Accepted", "echo": KEY},
        ["InternalError", f"{KEY} is bad", {"k": KEY}],
    ],
)
def test_a_key_is_never_kept(server: GunicornServer, charger: Any, answer: Any) -> None:
    calls(server, charger, "ChangeConfiguration", {"key": "authorizationKEY", "value": KEY}, answer)
    told = {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": KEY}]}
    calls(server, charger, "GetConfiguration", {}, told)
    charger.says(json.dumps([2, "x-1", "DataTransfer", {"vendorId": "v", "data": f"AuthorizationKey={KEY}"}]))
    charger.says(f'[2,"x-2","DataTransfer",{{"vendorId":"AuthorizationKey {KEY}"')
    seen = kept(server, charger.identity, 8)
    text = json.dumps(seen)
    assert KEY not in text
    assert "***" in text


def test_a_password_in_an_address_is_never_kept(server: GunicornServer, charger: Any) -> None:
    location = {"location": "ftp://user:hunter2@files.test/in"}
    calls(server, charger, "GetDiagnostics", location, {})
    log = {
        "logType": "SecurityLog",
        "requestId": 1,
        "log": {"remoteLocation": "https://u:hunter2@files.test"},
    }
    calls(server, charger, "GetLog", log, {"status": "Accepted"})
    text = json.dumps(kept(server, charger.identity, 6))
    assert "hunter2" not in text
    assert "files.test" in text


def test_frames_that_are_none_are_kept_as_they_came(server: GunicornServer, charger: Any) -> None:
    for odd in ("pong", "[]", "{}", '[9,"a"]', "\x00 \ud83d".encode("utf-8", "replace").decode(), "[2"):
        charger.says(odd)
    charger.calls("Heartbeat", {}, "hb-3")
    texts = [each["text"] for each in kept(server, charger.identity, 10) if each["kind"] == "other"]
    assert {"pong", "[]", "{}", "[2"} <= set(texts)


def test_a_long_frame_is_cut(server: GunicornServer, charger: Any) -> None:
    charger.calls("DataTransfer", {"vendorId": "v", "data": "x" * 50_000}, "long-1")
    (seen,) = kept(server, charger.identity, 1, messageId="long-1", direction="in")
    assert (len(seen["text"]), seen["size"] > 50_000) == (8000, True)


def test_a_charger_is_left_out_or_taken_in_at_once(server: GunicornServer, charger: Any) -> None:
    kept(server, charger.identity, 2)
    path = f"/api/chargers/{charger.identity}"
    assert server.patch(path, {"journal": False}).json["journal"] is False
    charger.calls("Heartbeat", {}, "not-kept")
    assert server.patch(path, {"journal": None}).json["journal"] is None
    charger.calls("Heartbeat", {}, "kept")
    ids = [each["messageId"] for each in kept(server, charger.identity, 4)]
    assert "kept" in ids
    assert "not-kept" not in ids
