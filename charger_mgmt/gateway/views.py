"""The processes that serve together: /api/processes."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Blueprint

from ..database import leases
from ..database.connections import reading
from ..domain.roles import VIEWER
from ..extensions import db
from ..web.answers import Answer, Time
from ..web.endpoint import endpoint
from ..web.fields import about

blueprint = Blueprint("processes", __name__, url_prefix="/processes")


class Process(Answer):
    process_id: str
    host: str
    pid: int
    version: str
    started_at: Time
    renewed_at: Annotated[
        Time,
        about("Its last sign of life, by the database's clock; LEASE_SECONDS without one, and it is dead."),
    ]
    sockets: Annotated[int, about("Chargers' sockets that it holds.")]
    draining: Annotated[bool, about("It is about to end, and lets its chargers go.")]

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        return super().of(row, process_id=row.id, **given)


@blueprint.get("")
@endpoint(access=VIEWER, whole_fleet=True, answers={200: "The processes, the oldest first: it leads."})
def list_processes() -> list[Process]:
    """Who serves, and how many chargers' sockets each holds.

    Empty where one process serves alone (without REDIS_URL).
    """
    with reading(db.engine) as conn:
        return [Process.of(row) for row in leases.every(conn)]
