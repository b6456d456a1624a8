"""What every child process of the tests needs: a free port, a deadline, and an end that is certain."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Ends a process group and removes a folder as soon as its standard input closes, which the kernel does
#: for us however we die.
_LAST_WILL = 'read -r _ || true; kill -s KILL -- "-$1" 2>/dev/null; [ -z "$2" ] || rm -rf -- "$2"'


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], *, seconds: float, what: str, every: float = 0.02) -> Any:
    """The condition's first true value; AssertionError naming `what` when the deadline passes."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(every)


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children(pid: int) -> list[int]:
    """The child processes of a process, oldest first."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class LastWill:
    """Ends a process group, and removes its folder, even when the test run itself is killed."""

    def __init__(self, group: int, folder: Path | None = None) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _LAST_WILL, "last-will", str(group), str(folder or "")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def revoke(self) -> None:
        """The process ended in an orderly way: nothing is left to do."""
        self._shell.kill()
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()


def kill_group(group: int, signal_number: int) -> None:
    """Signal every process of a group that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal_number)
