"""A TCP proxy of the tests' own, between chargers and server, that loses what it is told to lose.

Runs in threads of the test process: two for each connection.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

#: Towards the server, towards the charger.
UP, DOWN = "up", "down"
_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


class Line:
    """One connection through the proxy."""

    def __init__(self, charger: socket.socket, server: socket.socket) -> None:
        self._ends = {UP: (charger, server), DOWN: (server, charger)}
        #: Directions in which bytes are taken and go nowhere.
        self.swallows: set[str] = set()
        #: Called with each piece that a charger has sent, after it has been passed on.
        self.after_up: Callable[[Line], None] | None = None
        self.open = True
        for direction in (UP, DOWN):
            threading.Thread(target=self._pump, args=(direction,), daemon=True).start()

    def _pump(self, direction: str) -> None:
        source, sink = self._ends[direction]
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if direction in self.swallows:
                    continue
                sink.sendall(data)
                if direction == UP and self.after_up is not None:
                    self.after_up(self)
        self.cut()

    def cut(self) -> None:
        """One end has gone. Whoever speaks into the void must not hear of it."""
        self.open = False
        for direction, (source, _) in self._ends.items():
            if direction not in self.swallows:
                with contextlib.suppress(OSError):
                    source.shutdown(socket.SHUT_RDWR)

    def resets(self) -> None:
        """End abruptly, with a TCP reset towards the charger and towards the server."""
        self.open = False
        for source, _ in self._ends.values():
            with contextlib.suppress(OSError):
                source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                source.shutdown(socket.SHUT_RDWR)
            source.close()


class Proxy:
    """Listens on a port of its own. As a context manager it is gone at the end."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.lines: list[Line] = []
        self._is_cut = False
        self._accepting = threading.Thread(target=self._accepts, daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def ocpp_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp"

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Every line is reset, and nobody gets another one."""
        self._is_cut = True
        for line in self.lines:
            line.resets()
        try:
            yield
        finally:
            self._is_cut = False

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for line in self.lines:
            line.resets()

    def _accepts(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                charger, _ = self._listener.accept()
                if self._is_cut:
                    charger.close()
                    continue
                try:
                    server = socket.create_connection(self._target, timeout=5)
                except OSError:
                    charger.close()
                    continue
                server.settimeout(None)
                self.lines.append(Line(charger, server))

    def living(self) -> list[Line]:
        """The lines on which bytes still pass."""
        return [line for line in self.lines if line.open and not line.swallows]


def loses_the_answer(after: float) -> Callable[[Line], None]:
    """For `after_up`: what comes next from the server is lost, and `after` seconds later the line is cut.

    The message has been passed on, so the server stores it and thinks that it has answered.
    """

    def lose(line: Line) -> None:
        line.after_up = None
        line.swallows.add(DOWN)
        time.sleep(after)
        line.resets()

    return lose
