"""What the gateway of one process consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..websocket.keepalive import KeepAlive
from .admission import Admission
from .connection import Connections
from .dispatch import Dispatcher
from .places import Places
from .requests import Waiting


@dataclass(slots=True)
class Gateway:
    """Where chargers enter, and the server that lets them."""

    admission: Admission
    connections: Connections
    dispatcher: Dispatcher
    keepalive: KeepAlive
    places: Places
    #: Connections between two requests.
    waiting: Waiting
    #: What the server accepts connections with; closed first when the process ends.
    listeners: list[Any] = field(default_factory=list)
