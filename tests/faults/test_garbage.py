"""Whatever bytes a client thinks of: it hurts nobody but itself (hypothesis thinks of them)."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from charger_mgmt.dialects.ocpp16.published import document
from tests.support.mariadb import MariaDB
from tests.support.messages import FROM_CENTRAL_SYSTEM, FROM_CHARGER
from tests.support.server import GunicornServer
from tests.wire.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawCharger, booted, frame

from .conftest import SECONDS, SEED, must_be_quiet, started
from .test_rude import LATENCY, MEMORY, is_answered, memory

pytestmark = [pytest.mark.wire, pytest.mark.mariadb, pytest.mark.alone]
#: Sockets full of garbage; a soak opens many more.
SOCKETS = int(25 * SECONDS)

#: Every field that the specification knows, so that garbage gets past the first look.
FIELDS = sorted({name for action in FROM_CHARGER for name in document(action)["properties"]})
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=300)
    | st.sampled_from(("", "Available", "Accepted", "1970-01-01T00:00:00Z", "9e999", "\ud800", "\x00"))
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=20,
)
actions = st.sampled_from(sorted(FROM_CHARGER | FROM_CENTRAL_SYSTEM)) | scalars
calls = st.tuples(st.sampled_from((2, 2, 2, 3, 4, 5, "2")), scalars, actions, trees).map(list)
texts = (calls | trees).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
broken = st.builds(lambda text, cut: text[: max(len(text) - cut, 0)], texts, st.integers(0, 20))
frames = st.builds(
    lambda opcode, payload, final, rsv, masked: frame(opcode, payload, final=final, rsv=rsv, masked=masked),
    st.sampled_from((TEXT, TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, 0x3, 0xB)),
    texts | broken,
    st.sampled_from((True, True, True, False)),
    st.sampled_from((0, 0, 0, 0, 0x40, 0x10)),
    st.sampled_from((True, True, True, True, False)),
)
#: Mostly whole text frames, so that more than the first is read; at times bytes that are no frame at all.
said = st.lists(
    st.one_of((texts | broken).map(lambda text: frame(TEXT, text)), frames, st.binary(max_size=50)),
    max_size=12,
)


@pytest.fixture(scope="module")
def server(mariadb: MariaDB) -> Iterator[GunicornServer]:
    # The bystander answers pings only while it is asked.
    with started(mariadb.create_database(), WEBSOCKET_PING_INTERVAL="30") as running:
        yield running


@pytest.fixture(scope="module")
def bystander(server: GunicornServer) -> Iterator[RawCharger]:
    with booted(server, "BYSTANDER") as charger:
        yield charger


def test_garbage_hurts_nobody_else(server: GunicornServer, bystander: RawCharger) -> None:
    before = memory(server)

    @seed(SEED)
    @settings(max_examples=SOCKETS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(said)
    def try_out(pieces: list[bytes]) -> None:
        with contextlib.suppress(OSError, EOFError), booted(server, "GARBAGE") as charger:
            for piece in pieces:
                charger.sends(piece)
            charger.socket.settimeout(2)
            charger.socket.shutdown(socket.SHUT_WR)
            charger.is_ended()  # so all of it has been read
        began = time.monotonic()
        is_answered(bystander)
        assert time.monotonic() - began < LATENCY
        assert memory(server) - before < MEMORY
        must_be_quiet(server)

    try_out()
    must_be_quiet(server)
