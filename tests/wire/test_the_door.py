"""The chargers' door against strangers: who is bound to what, who may come in how often, what is kept apart."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

import pytest

from tests.support.processes import wait_until
from tests.support.server import GunicornServer

from .raw import CLOSE, TEXT, RawCharger, asked, booted, dialed, frame
from .test_gateway_admission import PASSWORD, basic

STATUS = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
START = {"connectorId": 1, "idTag": "CARD-9", "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"}
SERVER_ENVIRON = {
    "AUTOMATIC_CALLS": "on",
    "FOLLOW_UP_DELAY": "0",
    "CHARGER_ONBOARDING": "open",
    "FIRST_MESSAGE_SECONDS": "1.5",
    "CHARGER_ORIGINS": "https://tool.example.com",
}


class Flat(RawCharger):
    """A flat socket."""

    def __init__(self, server: Any, **options: Any) -> None:
        super().__init__((server.host, server.port))
        self.answer = self.asks("/ocpp", subprotocols=None, **options)

    def tells(self, kind: str, charger: Any, **fields: Any) -> Any:
        self.says(json.dumps({"messageType": kind, "chargerId": charger} | fields))
        return self.hears_json()

    def boots_as(self, charger: Any) -> Any:
        return self.tells("BootNotification", charger, vendor="V", model="M")

    def starts(self, charger: Any, name: str) -> Any:
        return self.tells("StartTransaction", charger, transactionId=name, timestamp="2026-11-22T10:00:00Z")


def shown(server: Any, charger: Any) -> Any:
    return server.get(f"/api/chargers/{charger}").json


# Dialects


def test_a_wrong_dial_binds_nobody(server: Any) -> None:
    """Anyone opens /ocpp/77 and closes it: the flat charger 77 goes on."""
    with dialed(server, "77"):
        pass
    with Flat(server) as flat:
        assert flat.boots_as(77)["status"] == "Accepted"
        assert flat.starts(77, "T-1")["status"] == "Accepted"
        assert shown(server, 77)["boundDialect"] == "flat"
        with dialed(server, "77"):
            ended = flat.tells("StopTransaction", 77, transactionId="T-1", timestamp="2026-11-22T11:00:00Z")
            assert ended["status"] == "Accepted"
            started = server.post("/api/transactions/77/start", {"sessionId": "OPS"})
            assert started.json["message"] == "Transaction started"
        server.patch("/api/chargers/77", {"boundDialect": "flat"})
        assert asked(server, "/ocpp/77").status == 403
    sessions = server.get("/api/transactions/charger/77").json
    assert {row["sessionId"]: row["status"] for row in sessions}["T-1"] == "Completed"


def test_a_charger_with_its_password_is_heard_in_both_dialects_and_an_operator_can_bind_it(
    server: Any,
) -> None:
    with booted(server, "B-1"):
        pass
    assert shown(server, "B-1")["boundDialect"] == "ocpp1.6"
    with Flat(server) as flat:
        assert flat.boots_as("B-1")["error"]["code"] == "SecurityError"
        assert server.patch("/api/chargers/B-1", {"boundDialect": "flat"}).status == 200
        assert flat.boots_as("B-1")["status"] == "Accepted"
    server.patch("/api/chargers/B-1", {"password": PASSWORD})
    server.patch("/api/chargers/B-1", {"boundDialect": None})
    with booted(server, "B-1", headers=basic("B-1", PASSWORD)):
        pass
    assert shown(server, "B-1")["boundDialect"] == "ocpp1.6"


@pytest.mark.parametrize("kind", ["StartTransaction", "StopTransaction"])
def test_money_on_a_socket_that_may_not_speak_reaches_the_inbox(server: Any, kind: str) -> None:
    with booted(server, f"M-{kind}"), Flat(server) as flat:
        told = flat.tells(
            kind, f"M-{kind}", transactionId="T-9", timestamp="2026-11-22T10:00:00Z", meterStop=5
        )
        assert told["error"]["code"] == "SecurityError"
        flat.tells(kind, f"M-{kind}", transactionId="T-9", timestamp="2026-11-22T10:00:00Z", meterStop=5)
    (kept,) = server.get(f"/api/inbox?chargerId=M-{kind}&kind=not-admitted").json
    assert "T-9" in kept["raw"]
    assert "OCPP-J" in kept["reason"]


# Silence


def test_a_flat_socket_that_says_nothing_is_closed(server: Any) -> None:
    with Flat(server) as silent, Flat(server) as garbage, Flat(server) as real:
        assert real.boots_as(500)["status"] == "Accepted"
        garbage.says("{")
        assert silent.hears_close() == 1008
        assert garbage.hears_close() == 1008
        assert real.tells("Heartbeat", 500)["currentTime"]


def test_an_unknown_charger_that_says_nothing_is_closed_and_a_known_one_is_not(server: Any) -> None:
    with booted(server, "KNOWN"):
        pass
    with dialed(server, "NEVER-SEEN") as stranger, dialed(server, "KNOWN") as known:
        stranger.says('[2,"1","Nonsense",{}]')
        assert stranger.hears_close() == 1008
        time.sleep(0.5)
        assert known.calls("Heartbeat")[0] == 3


# Moved here without a boot


@pytest.mark.parametrize("dialect", ["ocpp1.6", "flat"])
def test_a_status_before_any_boot_is_taken(server: Any, dialect: str) -> None:
    if dialect == "flat":
        with Flat(server) as flat:
            assert flat.tells("StatusNotification", 501, status="Faulted") == {"status": "Accepted"}
            assert shown(server, 501)["status"] == "Faulted"
        return
    with dialed(server, "MOVED") as charger:
        assert charger.calls("StatusNotification", STATUS | {"status": "Faulted"}, "1") == [3, "1", {}]
        assert shown(server, "MOVED")["status"] == "Faulted"


def test_a_charger_that_speaks_before_its_boot_is_asked_for_it(server: Any) -> None:
    for action, payload, taken in (
        ("StatusNotification", STATUS, True),
        ("Authorize", {"idTag": "A"}, True),
        ("DataTransfer", {"vendorId": "V"}, True),
        ("Heartbeat", {}, False),
    ):
        with dialed(server, f"MOVED-{action}") as charger:
            answer = charger.calls(action, payload)
            assert answer[0] == (3 if taken else 4), answer
            asked_for = charger.hears_json()
            assert asked_for[2:] == ["TriggerMessage", {"requestedMessage": "BootNotification"}]
            charger.says(json.dumps([3, asked_for[1], {"status": "Accepted"}]))
            assert charger.boots()["status"] == "Accepted"


def test_held_to_the_letter_it_must_boot_first(server: Any) -> None:
    server.post("/api/chargers", {"chargerId": "STRICT", "strict": True})
    with dialed(server, "STRICT") as charger:
        assert charger.calls("StatusNotification", STATUS)[2] == "SecurityError"


def test_a_charger_that_was_closed_for_its_noise_is_kept_out_for_a_while(server: Any) -> None:
    with booted(server, "NOISY") as charger:
        charger.sends(frame(TEXT, b"") * 400)
        assert charger.hears_close() == 1008
    wait_until(lambda: asked(server, "/ocpp/NOISY").status == 429, seconds=5, what="it is kept out")
    assert int(asked(server, "/ocpp/NOISY").headers["retry-after"]) > 10
    assert asked(server, "/ocpp/QUIET").status == 101


# Browsers, and sockets that are replaced


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example.com", 403),
        ("null", 403),
        ("http://[", 403),
        ("https://central.evil.example", 403),
        ("http://central", 101),  # the server itself: some chargers' libraries name it
        ("https://tool.example.com", 101),
    ],
)
def test_a_web_page_of_somebody_elses_opens_no_socket(server: Any, origin: str, status: int) -> None:
    headers = [("Origin", origin)]
    assert asked(server, "/ocpp/ORIGIN", headers=headers).status == status
    assert asked(server, "/ocpp", subprotocols=None, headers=headers).status == status


def test_a_browser_must_be_allowed_also_when_it_names_us(server: Any) -> None:
    for sign in (("Sec-Fetch-Mode", "websocket"), ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")):
        assert asked(server, "/ocpp/ORIGIN", headers=[("Origin", "http://central"), sign]).status == 403
        allowed = ("Origin", "https://tool.example.com")
        assert asked(server, "/ocpp/ORIGIN", headers=[allowed, sign]).status == 101


def test_a_socket_that_is_replaced_gets_a_code_on_which_chargers_redial(server: Any) -> None:
    with booted(server, "TWICE") as first, booted(server, "TWICE"):
        assert first.hears_close() == 1012


# Taking access away


@pytest.mark.parametrize(
    ("change", "status"),
    [({"blocked": True}, 403), ({"approved": False}, 403), ({"password": PASSWORD}, 401)],
)
def test_taking_access_away_acts_at_once(server: Any, change: dict[str, Any], status: int) -> None:
    name = f"GONE-{next(iter(change))}"
    with booted(server, name) as charger:
        assert server.patch(f"/api/chargers/{name}", change).status == 200
        assert charger.hears_close() == 1008
    assert asked(server, f"/ocpp/{name}").status == status
    server.patch(f"/api/chargers/{name}", {"blocked": False, "approved": True, "password": None})
    with booted(server, name):
        pass


def test_a_blocked_flat_charger_is_not_heard_and_its_neighbours_on_the_socket_are(server: Any) -> None:
    with Flat(server) as alone, Flat(server) as shared:
        assert alone.boots_as(601)["status"] == "Accepted"
        for charger in (602, 603):
            assert shared.boots_as(charger)["status"] == "Accepted"
        for charger in (601, 602):
            server.patch(f"/api/chargers/{charger}", {"blocked": True})
        assert alone.hears_close() == 1008
        assert shared.tells("Heartbeat", 602)["error"]["code"] == "SecurityError"
        assert shared.tells("Heartbeat", 603)["currentTime"]
        refused = shared.starts(602, "T-BLOCKED")
        assert refused["error"]["code"] == "SecurityError"
    assert "T-BLOCKED" in server.get("/api/inbox?chargerId=602").json[0]["raw"]


def test_every_flat_socket_of_a_charger_is_ended(server: Any) -> None:
    with Flat(server) as older, Flat(server) as newer:
        for socket in (older, newer):
            assert socket.boots_as(604)["status"] == "Accepted"
        server.patch("/api/chargers/604", {"blocked": True})
        assert older.hears_close() == newer.hears_close() == 1008


def test_a_new_password_ends_flat_sockets_that_were_opened_with_the_old(server: Any) -> None:
    server.post("/api/chargers", {"chargerId": 605, "password": PASSWORD})
    server.post("/api/chargers", {"chargerId": 606})
    with (
        Flat(server, headers=basic("605", PASSWORD)) as silent,
        Flat(server, headers=basic("605", PASSWORD)) as busy,
    ):
        for charger in (605, 606):
            assert busy.boots_as(charger)["status"] == "Accepted"
        server.patch("/api/chargers/605", {"password": "another password, also long"})
        assert silent.hears_close() == busy.hears_close() == 1008
    with Flat(server, headers=basic("605", PASSWORD)) as refused:
        assert refused.answer.status == 401


def test_a_flat_charger_that_is_removed_begins_anew_on_the_socket_that_it_shares(server: Any) -> None:
    with Flat(server) as shared:
        for charger in (607, 608):
            assert shared.boots_as(charger)["status"] == "Accepted"
        server.patch("/api/chargers/607", {"name": "Gate"})
        assert server.request("DELETE", "/api/chargers/607").status == 204
        assert shared.boots_as(607)["status"] == "Accepted"
        assert shown(server, 607)["name"] is None
        assert shown(server, 607)["connected"] is True


def test_a_pinned_dialect_counts_for_those_with_a_password_too(server: Any) -> None:
    server.post("/api/chargers", {"chargerId": 609, "password": PASSWORD, "boundDialect": "ocpp1.6"})
    with Flat(server, headers=basic("609", PASSWORD)) as flat:
        assert flat.boots_as(609)["error"]["code"] == "SecurityError"
    server.patch("/api/chargers/609", {"boundDialect": "flat"})
    assert asked(server, "/ocpp/609", headers=basic("609", PASSWORD)).status == 403


def test_an_operator_ends_a_socket_and_the_charger_redials(server: Any) -> None:
    with booted(server, "AGAIN") as charger:
        assert server.post("/api/chargers/AGAIN/disconnect").status == 204
        assert charger.hears_close() == 1012
    wait_until(lambda: not shown(server, "AGAIN")["connected"], seconds=5, what="it is gone")
    assert server.post("/api/chargers/AGAIN/disconnect").status == 409
    assert server.post("/api/chargers/NOBODY/disconnect").status == 404
    with booted(server, "AGAIN"):
        pass


def test_a_flat_socket_that_has_not_spoken_yet_is_ended_too(server: Any) -> None:
    server.post("/api/chargers", {"chargerId": 640, "password": PASSWORD})
    with Flat(server, headers=basic("640", PASSWORD)) as flat:
        assert shown(server, 640)["connected"] is False
        assert server.post("/api/chargers/640/disconnect").status == 204
        assert flat.hears_close() == 1012


def test_a_charger_that_is_removed_leaves_its_sessions(server: Any) -> None:
    server.post("/api/chargers", {"chargerId": "OLD", "automaticCalls": False})
    with booted(server, "OLD") as charger:
        session = charger.calls("StartTransaction", START)[2]["transactionId"]
        assert server.request("DELETE", "/api/chargers/OLD").status == 409
        charger.calls(
            "StopTransaction",
            {"transactionId": session, "meterStop": 9, "timestamp": "2026-11-22T11:00:00Z"},
        )
        assert server.request("DELETE", "/api/chargers/OLD").status == 204
        assert charger.hears_close() == 1008
    assert server.get("/api/chargers/OLD").status == 404
    assert server.request("DELETE", "/api/chargers/OLD").status == 404
    assert "OLD" not in [row["identity"] for row in server.get("/api/chargers").json]
    assert [row["transactionId"] for row in server.get("/api/transactions/charger/OLD").json] == [session]
    assert server.get(f"/api/transactions/{session}").json["chargerId"] == "OLD"
    with booted(server, "OLD"):  # a new one by this name
        assert shown(server, "OLD")["openTransactions"] == []
    assert server.request("DELETE", "/api/chargers/OLD").status == 204
    assert server.post("/api/chargers", {"chargerId": "OLD", "password": PASSWORD}).status == 201
    assert asked(server, "/ocpp/OLD").status == 401


# With passwords


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GunicornServer]:
    """A server whose chargers must have passwords, with small limits for strangers."""
    path = tmp_path_factory.mktemp("guarded") / "chargers.sqlite3"
    settings = {
        "CHARGER_AUTH": "password",
        "CHARGER_ONBOARDING": "approve",
        "AUTOMATIC_CALLS": "off",
        "ANONYMOUS_SOCKETS_PER_SOURCE": "3",
    }
    with GunicornServer(f"sqlite:///{path}", settings) as running:
        running.post("/api/chargers", {"chargerId": "SAFE", "password": PASSWORD})
        running.post("/api/chargers", {"chargerId": "BARE"})
        running.post("/api/chargers", {"chargerId": "EXCEPTED", "allowWithoutPassword": True})
        yield running


def test_without_a_password_nobody_is_let_in_unless_excepted(guarded: GunicornServer) -> None:
    for name in ("NOBODY", "BARE", "SAFE"):
        assert asked(guarded, f"/ocpp/{name}").status == 401
        assert asked(guarded, f"/ocpp/{name}", headers=basic(name, "a wrong password")).status == 401
    assert guarded.get("/api/chargers/NOBODY").status == 404
    assert "charger BARE: refused, it has no password here" in guarded.log()
    with booted(guarded, "SAFE", headers=basic("SAFE", PASSWORD)):
        pass
    with booted(guarded, "EXCEPTED"):
        pass
    assert "charger EXCEPTED: let in without a password" in guarded.log()


def test_a_flat_charger_needs_its_password_too(guarded: GunicornServer) -> None:
    guarded.post("/api/chargers", {"chargerId": 8, "password": PASSWORD})
    with booted(guarded, "EXCEPTED"):
        pass
    with Flat(guarded) as stranger:
        for charger in (8, 9, "BARE"):
            assert stranger.boots_as(charger)["error"]["code"] == "SecurityError"
        assert stranger.boots_as("EXCEPTED")["error"]["code"] == "SecurityError"  # bound to OCPP-J
    with Flat(guarded, headers=basic("8", PASSWORD)) as charger:
        assert charger.boots_as(8)["status"] == "Accepted"


def test_wrong_passwords_slow_down_their_source_and_no_charger(guarded: GunicornServer) -> None:
    for name in ("ATTACKED", "NEIGHBOUR"):
        guarded.post("/api/chargers", {"chargerId": name, "password": PASSWORD})
    with booted(guarded, "SAFE", headers=basic("SAFE", PASSWORD)):
        guesses = []
        for number in range(26):
            path = "/ocpp/ATTACKED" if number % 2 else "/ocpp"  # the name in the path, or in the credentials
            began = time.monotonic()
            guess = asked(guarded, path, headers=basic("ATTACKED", f"a guess, number {number}"))
            guesses.append((guess.status, time.monotonic() - began))
            if guess.status == 429:
                assert int(guess.headers["retry-after"]) >= 1
        assert guesses[0][0] == 401
        assert 429 in [status for status, _ in guesses[-5:]]
        assert all(took > 1.5 for _, took in guesses[-5:])  # told late, so that no more are made
    # Chargers are heard from there while the guesses go on: one that was there before, and one that comes first now.
    for name in ("SAFE", "NEIGHBOUR"):
        with booted(guarded, name, headers=basic(name, PASSWORD)):
            pass


def test_who_proved_himself_from_there_lends_nobody_his_speed(guarded: GunicornServer) -> None:
    guarded.post("/api/chargers", {"chargerId": "GUESSED", "password": PASSWORD})

    def is_slow(number: int) -> bool:
        began = time.monotonic()
        asked(guarded, "/ocpp/GUESSED", headers=basic("GUESSED", f"a guess, number {number}"))
        return time.monotonic() - began > 1.5

    assert any(is_slow(number) for number in range(60))
    with booted(guarded, "SAFE", headers=basic("SAFE", PASSWORD)):
        pass
    began = time.monotonic()
    answers = [
        asked(guarded, "/ocpp", headers=basic("SAFE", f"guess {number}")).status for number in range(4)
    ]
    assert set(answers) == {401}
    assert time.monotonic() - began > 4  # each answer is kept back
    with booted(guarded, "SAFE", headers=basic("SAFE", PASSWORD)):
        pass


def test_dials_without_a_password_do_not_keep_out_who_has_it(guarded: GunicornServer) -> None:
    answers = list(islice(iter(lambda: asked(guarded, "/ocpp/SAFE").status, 429), 900))
    assert set(answers) == {401}
    assert 50 < len(answers) < 900
    with booted(guarded, "SAFE", headers=basic("SAFE", PASSWORD)):
        pass


def test_an_exception_that_is_taken_back_ends_the_socket(guarded: GunicornServer) -> None:
    guarded.post("/api/chargers", {"chargerId": "FOR-NOW", "allowWithoutPassword": True})
    with booted(guarded, "FOR-NOW") as charger:
        guarded.patch("/api/chargers/FOR-NOW", {"allowWithoutPassword": False})
        assert charger.hears_close() == 1008
    assert asked(guarded, "/ocpp/FOR-NOW").status == 401


def test_a_source_has_so_many_sockets_without_a_password(guarded: GunicornServer) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(Flat(guarded)).answer.status == 101
        refused = stack.enter_context(Flat(guarded)).answer
        assert (refused.status, "retry-after" in refused.headers) == (429, True)
        assert asked(guarded, "/ocpp/EXCEPTED").status == 429
        stack.enter_context(booted(guarded, "SAFE", headers=basic("SAFE", PASSWORD)))
    wait_until(lambda: asked(guarded, "/ocpp", subprotocols=None).status == 101, seconds=5, what="room again")


# Before approval


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GunicornServer]:
    """A server whose new chargers wait for an operator's word."""
    path = tmp_path_factory.mktemp("careful") / "chargers.sqlite3"
    settings = {
        "CHARGER_ONBOARDING": "approve",
        "AUTOMATIC_CALLS": "off",
        "NEW_CHARGERS_PER_SOURCE": "6",
        "UNAPPROVED_BYTES_PER_HOUR": "20000",
    }
    with GunicornServer(f"sqlite:///{path}", settings) as running:
        yield running


def test_what_an_unapproved_charger_stores_is_kept_apart_until_it_is_approved(
    careful: GunicornServer,
) -> None:
    with dialed(careful, "NEW") as charger:
        assert charger.boots()["status"] == "Pending"
        session = charger.calls("StartTransaction", START)[2]["transactionId"]
    for path in ("/api/transactions", "/api/transactions/charger/NEW"):
        assert careful.get(path).json == []
        (row,) = careful.get(f"{path}?unapproved=true").json
        assert (row["transactionId"], row["unapproved"]) == (session, True)
    careful.patch("/api/chargers/NEW", {"approved": True})
    for path in ("/api/transactions", "/api/transactions/charger/NEW"):
        (row,) = careful.get(path).json
        assert (row["transactionId"], row["unapproved"]) == (session, False)
    with booted(careful, "NEW") as charger:
        charger.calls("StartTransaction", START | {"timestamp": "2026-11-22T12:00:00Z"})
    careful.patch("/api/chargers/NEW", {"approved": False})
    assert len(careful.get("/api/transactions/charger/NEW").json) == 2  # what is history stays history


def test_what_is_refused_does_not_use_up_what_a_flat_charger_may_store(careful: GunicornServer) -> None:
    with Flat(careful) as flat:
        assert flat.boots_as(641)["status"] == "Pending"
        for _ in range(100):  # 30,000 bytes, of which nothing is stored
            assert flat.tells("Heartbeat", 641, padding="x" * 300)["error"]["code"] == "SecurityError"
        assert flat.starts(641, "TXN-1")["status"] == "Accepted"


def starts(charger: RawCharger, hour: int) -> int:
    return charger.calls("StartTransaction", START | {"timestamp": f"2026-11-22T{hour}:00:00Z"})[2][
        "transactionId"
    ]


def test_an_approved_charger_is_in_the_history_on_the_socket_that_it_has(careful: GunicornServer) -> None:
    for approve in (
        lambda name: careful.flask("charger", "approve", name),
        lambda name: careful.patch(f"/api/chargers/{name}", {"approved": True}),
    ):
        name = f"ON-{time.monotonic_ns()}"
        with dialed(careful, name) as charger:
            assert charger.boots()["status"] == "Pending"
            before = starts(charger, 10)
            approve(name)
            after = starts(charger, 11)
            assert charger.boots()["status"] == "Accepted"
            later = starts(charger, 12)
        found = [row["transactionId"] for row in careful.get(f"/api/transactions/charger/{name}").json]
        assert found == [later, after, before]


def test_an_approved_flat_charger_is_in_the_history_without_another_boot(careful: GunicornServer) -> None:
    with Flat(careful) as flat:
        assert flat.boots_as(700)["status"] == "Pending"
        assert flat.starts(700, "T-1")["status"] == "Accepted"
        assert careful.get("/api/transactions/charger/700").json == []
        careful.patch("/api/chargers/700", {"approved": True})
        assert flat.tells("StopTransaction", 700, transactionId="T-1", timestamp="2026-11-22T11:00:00Z")
        assert flat.starts(700, "T-2")["status"] == "Accepted"
    assert len(careful.get("/api/transactions/charger/700").json) == 2


def test_what_strangers_say_in_its_name_costs_a_charger_nothing(careful: GunicornServer) -> None:
    careful.post("/api/chargers", {"chargerId": 701, "password": PASSWORD})
    careful.patch("/api/chargers/701", {"approved": True})
    with Flat(careful) as stranger:
        for number in range(5):
            told = stranger.tells(
                "StartTransaction",
                701,
                transactionId=f"T-{number}",
                timestamp="2026-11-22T10:00:00Z",
                x="x" * 9000,
            )
            assert told["error"]["code"] == "SecurityError"
    with Flat(careful, headers=basic("701", PASSWORD)) as charger:
        assert charger.boots_as(701)["status"] == "Accepted"
        assert charger.starts(701, "MINE")["status"] == "Accepted"


def test_an_unapproved_charger_has_a_quota(careful: GunicornServer) -> None:
    sampled = [{"value": "1", "measurand": "Temperature", "unit": "Celsius"}] * 10
    with dialed(careful, "GREEDY") as charger:
        charger.boots()
        for second in range(1000):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
            metered = {"connectorId": 1, "meterValue": [{"timestamp": stamp, "sampledValue": sampled}]}
            charger.says(json.dumps([2, str(second), "MeterValues", metered]))
            if (got := charger.hears()).opcode == CLOSE:
                break
    assert got.close_code == 1008
    assert 10 < second < 60
    (event,) = careful.get("/api/chargers/GREEDY/events?kind=QuotaExceeded").json
    assert event["detail"]["limit"] == 20_000
    assert asked(careful, "/ocpp/GREEDY").status == 429
    careful.patch("/api/chargers/GREEDY", {"approved": True})
    assert asked(careful, "/ocpp/GREEDY").status == 101


def test_a_source_brings_so_many_new_chargers(careful: GunicornServer) -> None:
    answers = [asked(careful, f"/ocpp/FLOOD-{number}") for number in range(8)]
    statuses = [answer.status for answer in answers]
    assert statuses[-1] == 429
    assert statuses.count(101) <= 5
    assert int(answers[-1].headers["retry-after"]) > 60
    with Flat(careful) as flat:
        assert flat.boots_as("FLOOD-FLAT")["error"]["code"] == "SecurityError"
    assert asked(careful, "/ocpp/NEW").status == 403  # known, and shut out: nothing to do with its source
    assert careful.get("/api/chargers/FLOOD-7").status == 404
