"""Is the process alive, is it ready: /health, without a token."""

import gevent
from flask import Blueprint, Response
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

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
            return _not_ready(str(error))
        except SQLAlchemyError:
            return _not_ready("The database lacks our tables: run `flask db upgrade`.")
        return reply({"status": "ready"})
    return _not_ready("The database does not answer in time.")


def _not_ready(why: str) -> Response:
    return problem(503, "database-away", why, headers={"Retry-After": "5"})
