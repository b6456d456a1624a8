"""The charger's WebSocket against a server that others wrote (`websockets`)."""

import json
import threading

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.sync.server import serve

from charger_mgmt.simulate.charger import FakeCharger
from charger_mgmt.simulate.transport import ConnectionLost, HandshakeRefused
from charger_mgmt.simulate.wire import WireTransport, basic_credentials, charger_url
from tests.support.processes import wait_until


class Server:
    """Answers Heartbeats; what else comes, and how it was dialled, is kept."""

    def __init__(self):
        self.requests = []
        self.texts = []
        self.connections = []
        self._server = serve(
            self._talk,
            "127.0.0.1",
            0,
            subprotocols=["ocpp1.6"],
            process_request=self._request,
            ping_interval=None,
        )
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/ocpp"

    def _request(self, connection, request):
        self.requests.append(request)
        if request.path.endswith("/stranger"):
            return Response(404, "Not Found", Headers({"Content-Length": "2"}), b"no")
        return None

    def _talk(self, connection):
        self.connections.append(connection)
        for text in connection:
            self.texts.append(text)
            _, message_id, action, _ = json.loads(text)
            if action == "Heartbeat":
                connection.send(json.dumps([3, message_id, {"currentTime": "2026-03-01T12:00:00Z"}]))
            elif action == "DataTransfer":
                connection.close(1012, "restart")

    def ends(self):
        self._server.shutdown()
        self._thread.join(5)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.ends()


@pytest.fixture
def dial(server):
    chargers = []

    def dial(identity="CP-1", **options):
        charger = FakeCharger(
            identity, WireTransport(charger_url(server.url, identity), **options), call_timeout=5
        )
        chargers.append(charger)
        charger.dials_in()
        return charger

    yield dial
    for charger in chargers:
        charger.hangs_up()


def test_a_call_is_answered(dial):
    assert dial().heartbeats()["currentTime"] == "2026-03-01T12:00:00Z"


def test_the_subprotocol_is_negotiated(dial):
    assert dial().transport.subprotocol == "ocpp1.6"


def test_the_identity_is_percent_encoded(dial, server):
    dial("RDAM 12/3")
    assert server.requests[0].path == "/ocpp/RDAM%2012%2F3"


def test_basic_credentials_may_hold_any_bytes(dial, server):
    key = bytes.fromhex("0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF")
    dial("AL1000", headers=[("Authorization", basic_credentials("AL1000", key))])
    assert server.requests[0].headers["Authorization"] == "Basic QUwxMDAwOgABAgMEBQYH////////////////"


def test_a_refused_upgrade_shows_its_status_and_body(dial):
    with pytest.raises(HandshakeRefused) as refusal:
        dial("stranger")
    assert (refusal.value.status, refusal.value.body) == (404, b"no")


def test_nobody_there_is_a_lost_connection():
    charger = FakeCharger("CP-1", WireTransport("ws://127.0.0.1:9/ocpp/CP-1"))
    with pytest.raises(ConnectionLost):
        charger.dials_in()


def test_a_large_message_goes_out_whole(dial, server):
    dial().transport.send(json.dumps([2, "1", "Heartbeat", {"data": "x" * 300_000}]))
    wait_until(lambda: server.texts, seconds=5, what="the message arrives")
    assert len(server.texts[0]) > 300_000


def test_a_close_from_the_other_side_is_noticed_with_its_code(dial):
    charger = dial()
    with pytest.raises(ConnectionLost):
        charger.transfers("Acme")
    assert charger.closed_with == (1012, "restart")
    assert not charger.online


def test_it_dials_again_after_a_close(dial):
    charger = dial()
    with pytest.raises(ConnectionLost):
        charger.transfers("Acme")
    charger.comes_back()
    assert charger.heartbeats().acknowledged


def test_going_offline_is_without_a_word(dial, server):
    charger = dial()
    charger.heartbeats()
    charger.goes_offline()
    wait_until(lambda: server.connections[0].close_code, seconds=5, what="the server sees the end")
    assert server.connections[0].close_code == 1006


def test_hanging_up_is_orderly(dial, server):
    charger = dial()
    charger.heartbeats()
    charger.hangs_up()
    wait_until(lambda: server.connections[0].close_code, seconds=5, what="the server sees the end")
    assert server.connections[0].close_code == 1000


def test_pings_are_answered(dial, server):
    charger = dial()
    charger.heartbeats()
    assert server.connections[0].ping().wait(5)
    assert charger.transport.pings == 1


def test_a_charger_may_leave_pings_unanswered(dial, server):
    charger = dial(answers_pings=False)
    charger.heartbeats()
    pong = server.connections[0].ping()
    wait_until(lambda: charger.transport.pings, seconds=5, what="the ping arrives")
    charger.heartbeats()
    assert not pong.is_set()


def test_calls_from_the_other_side_are_answered_without_being_asked(dial, server):
    charger = dial()
    charger.heartbeats()
    server.connections[0].send(json.dumps([2, "cs-1", "ClearCache", {}]))
    wait_until(lambda: server.texts[1:], seconds=5, what="the answer arrives")
    assert json.loads(server.texts[1]) == [3, "cs-1", {"status": "Accepted"}]


def test_text_without_an_answer_has_none(dial):
    assert dial().sends_text(json.dumps([2, "1", "Nonsense", {}])) is None
