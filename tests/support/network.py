"""Hosts with a network of their own on this machine: namespaces and veth pairs on a bridge (`ip netns`; needs root).

    10.77.0.1    here: the balancer, the chargers
    10.77.0.2    here: Redis
    10.77.0.3    here: the database
    10.77.0.11…  the hosts

A partition is silent, as in the field: what a host sends to an address goes nowhere, and nobody tells it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

HERE, REDIS, DATABASE = "10.77.0.1", "10.77.0.2", "10.77.0.3"
_BRIDGE = "chargers-test"
#: A card that nobody has.
_NOWHERE = "02:00:00:00:00:99"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
MISSING = "hosts with networks of their own need root and iproute2 (`sudo apt-get install iproute2`)"


def _ip(*arguments: str, check: bool = True) -> None:
    program = shutil.which("ip", path=_PATH)
    assert program is not None, MISSING
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"ip {' '.join(arguments)}: {done.stderr}"


def is_permitted() -> bool:
    """Whether hosts can be made here."""
    return os.geteuid() == 0 and shutil.which("ip", path=_PATH) is not None


class Host:
    """One of them. What runs on it is started with `command` in front."""

    def __init__(self, number: int) -> None:
        self.name = f"chargers-host{number}"
        self.address = f"10.77.0.{10 + number}"
        self.command = ("ip", "netns", "exec", self.name)
        self._card = f"chargers-v{number}"

    def make(self) -> None:
        _ip("netns", "add", self.name)
        _ip("link", "add", self._card, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self._card, "master", _BRIDGE, "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        _ip("netns", "del", self.name, check=False)
        _ip("link", "del", self._card, check=False)

    def loses(self, address: str) -> None:
        """What it sends there goes nowhere from now on."""
        place = ("neigh", "replace", address, "lladdr", _NOWHERE, "dev", "eth0", "nud", "permanent")
        _ip("-n", self.name, *place)

    def finds(self, address: str) -> None:
        """It is reached again."""
        _ip("-n", self.name, "neigh", "del", address, "dev", "eth0")

    def unplug(self) -> None:
        """Nobody hears of it any more, and it of nobody."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def plug(self) -> None:
        _ip("-n", self.name, "link", "set", "eth0", "up")


class Network:
    """The bridge and its hosts; a context manager: they are there, and gone at the end."""

    def __init__(self, hosts: int) -> None:
        self.hosts = [Host(number + 1) for number in range(hosts)]
        self._ours: IO[str] | None = None

    def __enter__(self) -> Network:
        """Raises RuntimeError while somebody else's are there: names and addresses are the same."""
        self._ours = open(Path(tempfile.gettempdir()) / "charger-mgmt-network", "w")
        try:
            fcntl.flock(self._ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._ours.close()
            raise RuntimeError(
                "other tests, or `make cluster`, use these networks: wait for their end"
            ) from None
        self._remove()  # of a run that was killed
        try:
            _ip("link", "add", _BRIDGE, "type", "bridge")
            for address in (HERE, REDIS, DATABASE):
                _ip("addr", "add", f"{address}/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")
            for host in self.hosts:
                host.make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()
        if self._ours is not None:
            self._ours.close()

    def _remove(self) -> None:
        for host in self.hosts:
            host.remove()
        _ip("link", "del", _BRIDGE, check=False)
