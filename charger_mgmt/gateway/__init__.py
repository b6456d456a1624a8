"""Where chargers enter."""

from __future__ import annotations

import logging

from flask import Blueprint, Flask, Response, request

from ..extensions import sock
from ..web import problems
from ..websocket.socket import SUBPROTOCOL, ChargerSocket
from . import connection, flat
from .addresses import ENDPOINT, ChargerPaths
from .admission import FLAT, Admitted
from .central_system import CentralSystem
from .parts import Gateway

log = logging.getLogger(__name__)

#: environ key: what admission decided.
_ADMITTED = "charger_mgmt.admitted"


def register(app: Flask, central: CentralSystem, gateway: Gateway) -> None:
    """Open /ocpp to chargers."""
    app.config["SOCK_SERVER_OPTIONS"] = {
        "keepalive": gateway.keepalive,
        "max_message_bytes": central.settings.max_message_bytes,
    }
    app.wsgi_app = ChargerPaths(app.wsgi_app)  # type: ignore[method-assign]
    blueprint = Blueprint("gateway", __name__)

    # Not the blueprint's own before_request: that one is silent when no route matches.
    @app.before_request
    def refuse() -> Response | None:
        """Before the upgrade: let the request pass to the route, or answer it in HTTP."""
        if request.path != ENDPOINT and not request.path.startswith(ENDPOINT + "/"):
            return None
        decision = gateway.admission.decide(request.environ)
        if isinstance(decision, Admitted):
            request.environ[_ADMITTED] = decision
            request.environ[SUBPROTOCOL] = decision.subprotocol
            return None
        return Response(decision.body, decision.status, decision.headers, problems.CONTENT_TYPE)

    @sock.route(ENDPOINT, bp=blueprint)
    def charger_socket(socket: ChargerSocket) -> None:
        _serve(central, gateway, socket, request.environ[_ADMITTED])

    app.register_blueprint(blueprint)


def _serve(central: CentralSystem, gateway: Gateway, socket: ChargerSocket, admitted: Admitted) -> None:
    """A charger's socket, after the 101. No exception may leave: it would be written into the socket."""
    if admitted.identity is not None:
        socket.shares(gateway.connections.sources.frames_left(admitted.identity, socket.address))
    try:
        if admitted.dialect == FLAT:
            flat.serve(central, gateway, socket, admitted)
        else:
            connection.serve(central, gateway.connections, gateway.dispatcher, socket, admitted)
    except Exception:
        log.exception("charger %s at %s: the socket's route failed", admitted.identity, socket.peer)
        socket.drop("internal error")
