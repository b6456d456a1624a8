"""Is the process alive, is it ready: /health, without a token."""

import gevent
from flask import Blueprint, Response
from sqlalchemy import select

from ..errors import DatabaseAway
from ..extensions import db
from ..store.connections import reading
from ..store.models import Watch
from .problems import problem
from .replies import reply

blueprint = Blueprint("health", __name__, url_prefix="/health")
#: Seconds that the database may take for its answer.
PATIENCE = 3


@blueprint.get("/live")
def live() -> Response:
    """The process answers; the database is not asked."""
    return reply({"status": "live"})


@blueprint.get("/ready")
def ready() -> Response:
    """The database answers, and its tables are there."""
    with gevent.Timeout(PATIENCE, False):
        try:
            with reading(db.engine) as conn:
                conn.execute(select(Watch.id).limit(1)).all()
        except DatabaseAway as error:
            return problem(503, "database-away", str(error), headers={"Retry-After": "5"})
        return reply({"status": "ready"})
    return problem(
        503, "database-away", "The database does not answer in time.", headers={"Retry-After": "5"}
    )
