"""Is the process alive, is it ready: /health, without a token."""

from __future__ import annotations

from typing import Annotated, NoReturn

import gevent
from flask import Blueprint, abort
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ..database.connections import reading
from ..database.models import Watch
from ..errors import DatabaseAway
from ..extensions import db
from .answers import Answer
from .endpoint import endpoint
from .fields import choice
from .problems import problem
from .process import central

blueprint = Blueprint("health", __name__, url_prefix="/health")
#: Seconds that the database may take for its answer.
PATIENCE = 3


class Health(Answer):
    status: Annotated[str, choice(("live", "ready"))]


@blueprint.get("/live")
@endpoint(access="open", answers={200: "It does."}, any_query=True)
def live() -> Health:
    """Does the process answer."""
    return Health("live")


@blueprint.get("/ready")
@endpoint(access="open", answers={200: "It does."}, errors=("database-away",), any_query=True)
def ready() -> Health:
    """Does the database answer, and is this process not about to end."""
    if central().draining:
        _not_ready("This process is about to end.")
    with gevent.Timeout(PATIENCE, False):
        try:
            with reading(db.engine) as conn:
                conn.execute(select(Watch.id).limit(1)).all()
        except DatabaseAway as error:
            _not_ready(str(error))
        except SQLAlchemyError:
            _not_ready("The database lacks our tables: run `flask db upgrade`.")
        return Health("ready")
    _not_ready("The database does not answer in time.")


def _not_ready(why: str) -> NoReturn:
    abort(problem(503, "database-away", why, headers={"Retry-After": "5"}))
