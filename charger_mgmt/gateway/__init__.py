"""Where chargers enter."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request

from ..extensions import sock
from ..live.garbage import Garbage
from ..live.keepalive import KeepAlive
from ..live.socket import SUBPROTOCOL, ChargerSocket
from . import connection, flat, liveness
from .addresses import ENDPOINT, ChargerPaths
from .admission import FLAT, Admission, Admitted
from .connection import Connections
from .follow_ups import FollowUps
from .pacing import Pacing
from .places import Places
from .requests import Waiting
from .shutdown import shut_down_on_sigterm, shutdown
from .sources import Sources

__all__ = ["Gateway", "register", "shut_down_on_sigterm", "shutdown"]

log = logging.getLogger(__name__)

#: environ key: what admission decided.
_ADMITTED = "charger_mgmt.admitted"
blueprint = Blueprint("gateway", __name__)


@dataclass(slots=True)
class Gateway:
    """The gateway's parts of one application, at `app.extensions["gateway"]`."""

    admission: Admission
    connections: Connections
    follow_ups: FollowUps
    keepalive: KeepAlive
    places: Places
    #: What the server accepts connections with; closed first when the process ends.
    listeners: list[Any] = field(default_factory=list)
    #: Connections between two requests.
    waiting: Waiting = field(default_factory=Waiting)


def register(app: Flask) -> None:
    """Open /ocpp to chargers, and let the application's process watch them."""
    central = app.extensions["central_system"]
    settings = central.settings
    keepalive = KeepAlive(settings.websocket_ping_interval, settings.heartbeat_timeout)
    pacing, sources, places = Pacing(settings.admissions_at_once), Sources(settings), Places()
    gateway = app.extensions["gateway"] = Gateway(
        Admission(central.database, settings, pacing, sources, places),
        Connections(central, pacing, sources, places),
        FollowUps(central),
        keepalive,
        places,
    )
    app.config["SOCK_SERVER_OPTIONS"] = {
        "keepalive": keepalive,
        "max_message_bytes": settings.max_message_bytes,
    }
    app.wsgi_app = ChargerPaths(app.wsgi_app)  # type: ignore[method-assign]
    # Not the blueprint's own before_request: that one is silent when no route matches.
    app.before_request(_refuse)
    app.register_blueprint(blueprint)
    central.on_start.append(liveness.start)
    central.on_start.append(lambda _: keepalive.start())
    central.on_start.append(lambda _: places.start(gateway.waiting))
    central.on_start.append(lambda _: Garbage(keepalive).start())


def _refuse() -> Response | None:
    """Before the upgrade: let the request pass to the route, or answer it in HTTP."""
    if request.path != ENDPOINT and not request.path.startswith(ENDPOINT + "/"):
        return None
    decision = current_app.extensions["gateway"].admission.decide(request.environ)
    if isinstance(decision, Admitted):
        request.environ[_ADMITTED] = decision
        request.environ[SUBPROTOCOL] = decision.subprotocol
        return None
    return Response(decision.body, decision.status, decision.headers, "application/problem+json")


@sock.route(ENDPOINT, bp=blueprint)
def charger_socket(socket: ChargerSocket) -> None:
    """A charger's socket, after the 101. No exception may leave: it would be written into the socket."""
    admitted: Admitted = request.environ[_ADMITTED]
    central: Any = current_app.extensions["central_system"]
    gateway: Gateway = current_app.extensions["gateway"]
    if admitted.identity is not None:
        socket.shares(gateway.connections.sources.frames_left(admitted.identity, socket.address))
    try:
        if admitted.dialect == FLAT:
            flat.serve(central, gateway, socket, admitted)
        else:
            connection.serve(central, gateway.connections, gateway.follow_ups, socket, admitted)
    except Exception:
        log.exception("charger %s at %s: the socket's route failed", admitted.identity, socket.peer)
        socket.drop("internal error")
