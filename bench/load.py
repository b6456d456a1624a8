"""The load process: many chargers on one epoll loop, so light that it is not what is measured.

    python -m bench.load < job.json

It opens the sockets, boots every charger, prints {"ready": …}, waits for a line, runs, and prints one JSON
object with what it saw. A job:

    host, port, sockets     where, and how many chargers; `prefix` names them, `first` is the first number
    talk                    what they say (see talks.py)
    seconds                 how long; null: until every talk has ended
    rate                    messages a second in all (an open loop: due times do not wait for answers);
                            null: every charger sends as soon as it has its answer (a closed loop)
    warm_up                 seconds before the measuring begins
    window                  how many may be on their way in at once
    answers_calls           answer the server's calls with Accepted (the servers are told not to make any, as a rule)
    groups                  instead of talk and rate: [{"talk", "sockets", "rate"}, …] at the same time
"""

from __future__ import annotations

import contextlib
import errno
import gc
import heapq
import json
import random
import re
import resource
import select
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from typing import Any

from . import frames, talks
from .figures import summary

#: Chargers on their way in at once, from the connection to the boot's answer; in a storm everybody dials.
_WINDOW = 40
_STORM_WINDOW = 1000
#: Before a charger tries again whose socket has ended (seconds). Who is turned away is told how long.
_RETRY = 1.0
_RETRY_AFTER = re.compile(rb"(?i)\r\nretry-after: *(\d+)")
_BIND_LATE = 24  # IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, per destination
_UPGRADE = (
    "GET /ocpp/{} HTTP/1.1\r\nHost: {}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)


class Charger:
    """One socket and its talk."""

    __slots__ = ("begun", "buffer", "due", "group", "last", "number", "open_since", "socket", "stage", "talk")

    def __init__(self, number: int, talk: talks.Talk, group: Group) -> None:
        self.number = number
        self.talk = talk
        self.group = group
        self.socket: Any = None
        self.buffer = b""
        #: upgrading → booting → preparing → ready → done
        self.stage = "upgrading"
        #: The talk has come to what is measured.
        self.begun = False
        #: The call that waits for its answer, and since when (or when it was due).
        self.last: bytes | None = None
        self.open_since = 0.0
        #: Due times of an open loop that wait for this charger's turn.
        self.due: deque[float] = deque()


class Group:
    """Chargers that say the same, and what was seen of them."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.talk = talks.TALKS[job["talk"]]
        self.name = job["talk"]
        self.sockets = job["sockets"]
        self.rate: float | None = job.get("rate")
        self.chargers: list[Charger] = []
        self.latencies = array("d")
        self.refused = 0
        self.next_due = 0.0
        self.turn = 0


class Load:
    """All chargers of this process."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.address = (job["host"], job["port"])
        self.prefix = job.get("prefix", "BENCH")
        self.seconds: float | None = job.get("seconds")
        self.warm_up = job.get("warm_up", 0.0)
        self.limit = job.get("limit", 300.0)
        self.groups = [Group(group) for group in job.get("groups") or [job]]
        number = job.get("first", 1)
        for group in self.groups:
            for _ in range(group.sockets):
                group.chargers.append(Charger(number, group.talk(number), group))
                number += 1
        self.chargers = [charger for group in self.groups for charger in group.chargers]
        self.poll = select.epoll()
        self.by_fd: dict[int, Charger] = {}
        #: Chargers that wait before they connect again: (when, number, charger).
        self.waiting: list[tuple[float, int, Charger]] = []
        self.entering = 0
        self.ended = 0
        self.reconnects = 0
        self.measuring = False
        #: In a storm nobody waits until all have connected: sockets are part of what is measured.
        self.storm = bool(job.get("storm"))
        self.window = job.get("window") or (_STORM_WINDOW if self.storm else _WINDOW)
        self.answers_calls = bool(job.get("answers_calls"))
        #: Open loop: the last answers, which the chargers' talks want when their next turn comes.
        self.answers: dict[int, bytes] = {}

    # Connecting

    def connect_all(self) -> None:
        """Open every socket and bring every talk to its beginning."""
        for charger in self.chargers:
            heapq.heappush(self.waiting, (0.0, charger.number, charger))
        deadline = time.perf_counter() + self.limit
        while any(charger.stage != "ready" for charger in self.chargers):
            self.step(0.2)
            if time.perf_counter() > deadline:
                missing = sum(charger.stage != "ready" for charger in self.chargers)
                raise SystemExit(f"{missing} chargers did not get ready within {self.limit:g} s")

    def connect_due(self, now: float) -> None:
        while self.waiting and self.entering < self.window and self.waiting[0][0] <= now:
            self.connect(heapq.heappop(self.waiting)[2])

    def connect(self, charger: Charger) -> None:
        charger.socket = sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_IP, _BIND_LATE, 1)
        # One source address has 28,000 ports for one destination, some of them still in TIME_WAIT.
        sock.bind((f"127.0.0.{2 + charger.number % 8}", 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(10)
        try:
            sock.connect(self.address)
            sock.sendall(_UPGRADE.format(f"{self.prefix}{charger.number}", *self.address).encode())
        except OSError:
            sock.close()
            self.retry(charger)
            return
        sock.setblocking(False)
        charger.buffer, charger.stage = b"", "upgrading"
        self.entering += 1
        self.by_fd[sock.fileno()] = charger
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def lost(self, charger: Charger, pause: float = _RETRY) -> None:
        """The socket has ended: the charger comes back and sends its open call again."""
        fd = charger.socket.fileno()
        self.poll.unregister(fd)
        del self.by_fd[fd]
        charger.socket.close()
        if charger.stage in ("upgrading", "booting"):
            self.entering -= 1
        if charger.stage != "done":
            self.retry(charger, pause)

    def retry(self, charger: Charger, pause: float = _RETRY) -> None:
        self.reconnects += 1
        charger.stage = "waiting"
        when = time.perf_counter() + pause * (1 + random.random() / 4)
        heapq.heappush(self.waiting, (when, charger.number, charger))

    # Talking

    def step(self, timeout: float) -> None:
        """Handle what has come in."""
        now = time.perf_counter()
        if self.waiting:
            self.connect_due(now)
            timeout = min(timeout, 0.05)
        by_fd = self.by_fd
        for fd, _ in self.poll.poll(timeout):
            charger = by_fd[fd]
            try:
                data = charger.socket.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self.lost(charger)
            elif charger.stage == "ready" and not charger.buffer and self.whole(data):
                self.answered(charger, data[2:])
            else:
                self.received(charger, data)

    @staticmethod
    def whole(data: bytes) -> bool:
        """Exactly one short text frame: nearly always so."""
        return data[0] == 0x81 and data[1] < 126 and len(data) == 2 + data[1]

    def received(self, charger: Charger, data: bytes) -> None:
        charger.buffer += data
        if charger.stage == "upgrading" and not self.upgraded(charger):
            return
        try:
            while (frame := frames.split(charger.buffer)) is not None:
                opcode, payload, charger.buffer = frame
                if opcode == 0x1:
                    self.text(charger, payload)
                elif opcode == 0x9:
                    charger.socket.sendall(frames.pong(payload))
                elif opcode == 0x8:
                    raise OSError(errno.ECONNRESET, "closed")
        except OSError:
            self.lost(charger)

    def upgraded(self, charger: Charger) -> bool:
        head, found, rest = charger.buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        if b" 101 " not in head[:20]:
            told = _RETRY_AFTER.search(head)
            self.lost(charger, float(told[1]) if told else _RETRY)
            return False
        charger.buffer, charger.stage = rest, "booting"
        self.write(charger, talks.BOOT)
        return True

    def text(self, charger: Charger, payload: bytes) -> None:
        if self.answers_calls and payload.startswith(b"[2"):
            self.accept(charger, payload)
            return
        if not payload.startswith(b"[3"):
            charger.group.refused += 1
            if payload.startswith(b"[2"):
                return  # a call to the charger; the servers under test are told not to make any
        if charger.stage == "booting":
            self.entering -= 1
            charger.stage = "ready" if charger.begun else "preparing"
            if charger.last is not None:  # it was lost on the way: once more
                self.write(charger, charger.last)
            elif not charger.begun:
                self.advance(charger, None)
        elif charger.stage == "preparing":
            self.advance(charger, payload)
        elif charger.stage == "ready":
            self.answered(charger, payload)

    def accept(self, charger: Charger, call: bytes) -> None:
        self.write(
            charger, frames.text(json.dumps([3, json.loads(call)[1], {"status": "Accepted"}]).encode())
        )

    def advance(self, charger: Charger, answer: bytes | None) -> None:
        """One step of the talk before the measuring."""
        charger.last = None
        frame = next(charger.talk) if answer is None else charger.talk.send(answer)
        if frame is None:
            charger.stage, charger.begun = "ready", True
            if self.storm:
                self.say_next(charger, None)
        else:
            charger.last = frame
            self.write(charger, frame)

    def answered(self, charger: Charger, payload: bytes) -> None:
        """The answer to the open call has come: note it and say the next thing, if it is due."""
        if self.answers_calls and payload.startswith(b"[2"):
            self.accept(charger, payload)
            return
        now = time.perf_counter()
        group = charger.group
        if self.measuring:
            group.latencies.append(now - charger.open_since)
        if payload[:2] != b"[3":
            group.refused += 1
        if group.rate is None:
            self.say_next(charger, payload)
        elif charger.due:
            self.say_next(charger, payload, charger.due.popleft())
        else:
            charger.last = None
            self.answers[charger.number] = payload

    def say_next(self, charger: Charger, answer: bytes | None, due: float | None = None) -> None:
        try:
            frame = charger.talk.send(answer) if answer is not None else next(charger.talk)
        except StopIteration:
            charger.stage, charger.last = "done", None
            self.ended += 1
            return
        assert frame is not None
        charger.last = frame
        charger.open_since = due if due is not None else time.perf_counter()
        self.write(charger, frame)

    def write(self, charger: Charger, frame: bytes) -> None:
        with contextlib.suppress(OSError):  # the poll tells of the end as well
            charger.socket.sendall(frame)

    # Running

    def run(self) -> dict[str, Any]:
        """Let them talk; what was seen."""
        began = time.perf_counter()
        for group in self.groups:
            group.next_due = began
            if group.rate is None and not self.storm:
                for charger in group.chargers:
                    self.say_next(charger, None)
        if self.warm_up:
            for _ in self.until(began + self.warm_up):
                self.step(0.05)
        for group in self.groups:
            group.latencies = array("d")
        self.measuring = True
        cpu, start = time.process_time(), time.perf_counter()
        for _ in self.until(start + (self.seconds or self.limit)):
            self.step(0.05 if all(group.rate is None for group in self.groups) else 0.002)
            if self.ended == len(self.chargers):
                break
        elapsed = time.perf_counter() - start
        used = time.process_time() - cpu
        return {
            "seconds": elapsed,
            "client_cpu": used / elapsed,
            "reconnects": self.reconnects,
            "unfinished": len(self.chargers) - self.ended,
            "groups": [self.seen(group, elapsed) for group in self.groups],
        }

    def until(self, end: float) -> Iterator[None]:
        """Turns of the loop until `end`; what an open loop owes meanwhile is said."""
        open_loops = [group for group in self.groups if group.rate is not None]
        while (now := time.perf_counter()) < end:
            for group in open_loops:
                self.say_due(group, now)
            yield

    def say_due(self, group: Group, now: float) -> None:
        assert group.rate is not None
        while group.next_due <= now:
            charger = group.chargers[group.turn % len(group.chargers)]
            group.turn += 1
            if charger.last is None and charger.stage == "ready":
                self.say_next(charger, self.answers.pop(charger.number, None), group.next_due)
            else:
                charger.due.append(group.next_due)
            group.next_due += 1 / group.rate

    @staticmethod
    def seen(group: Group, elapsed: float) -> dict[str, Any]:
        return {
            "talk": group.name,
            "answers": len(group.latencies),
            "per_second": len(group.latencies) / elapsed,
            "refused": group.refused,
            "behind": sum(len(charger.due) for charger in group.chargers),
            "latency": summary(group.latencies),
        }


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = Load(json.loads(sys.stdin.readline()))
    began = time.perf_counter()
    if not load.storm:
        load.connect_all()
    gc.collect()
    gc.disable()
    print(json.dumps({"ready": time.perf_counter() - began}), flush=True)
    sys.stdin.readline()
    if load.storm:
        for charger in load.chargers:
            heapq.heappush(load.waiting, (0.0, charger.number, charger))
    print(json.dumps(load.run()), flush=True)
    sys.stdin.readline()  # the sockets stay open until the parent has looked


if __name__ == "__main__":
    main()
