"""Local authorization lists: /api/chargers/{chargerId}/local-list, /api/local-lists."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint

from ..domain.roles import OPERATOR, VIEWER
from ..extensions import db
from ..web.answers import Answer, Time
from ..web.endpoint import endpoint
from ..web.fields import ChargerIds, ChargerName, about
from ..web.process import central, operator, sites
from ..web.reading import Sent
from ..web.replies import time_text
from . import keeping
from .answers import NOT_SUPPORTED

blueprint = Blueprint("local_lists", __name__)

_OF_ONE = "/chargers/<charger_id>/local-list"


class WantedList(Sent):
    wanted: Annotated[bool, about("Keep it like the tags, from now on.")]


class WantedLists(Sent):
    charger_ids: ChargerIds
    wanted: Annotated[bool, about("Keep them like the tags, from now on.")]


class LocalList(Answer):
    wanted: Annotated[
        bool, about("It is kept like the tags: what changes reaches it within a minute or two.")
    ]
    version: Annotated[
        int | None, about("The listVersion that it accepted or told last; 0: empty. Null: not known.")
    ]
    supported: Annotated[bool | None, about("Null: it has not been asked.")]
    in_sync: Annotated[bool, about("It holds the tags as they are.")]
    changes: Annotated[
        int | None,
        about("Tags whose last change it does not hold; null: nobody can tell, so all of it is due."),
    ]
    tags: Annotated[int, about("How many there are.")]
    longest: Annotated[
        int | None,
        about(
            "How many it can hold (LocalAuthListMaxLength). Of more those go there that may charge, the latest first."
        ),
    ]
    answer: Annotated[str | None, about("The charger's word to the last SendLocalList.")]
    answered_at: Time | None


@blueprint.get(_OF_ONE)
@endpoint(access=VIEWER, answers={200: "What is known of it."}, errors=("not-found",))
def show_local_list(charger_id: ChargerName) -> LocalList:
    """A charger's local authorization list, and how it stands to the tags."""
    return _shown(charger_id)


@blueprint.patch(_OF_ONE)
@endpoint(access=OPERATOR, answers={200: "What is known of it now."}, errors=("not-found",))
def change_local_list(charger_id: ChargerName, body: WantedList) -> LocalList:
    """Have a charger's local list kept like the tags, or not any more."""
    keeping.want(central(), db.engine, [charger_id], body.wanted, sites=sites())
    return _shown(charger_id)


@blueprint.post(f"{_OF_ONE}/sync")
@endpoint(
    access=OPERATOR,
    answers={202: "It is being sent what it lacks; ask again how that went."},
    errors=("not-found", "charger-offline"),
)
def sync_local_list(charger_id: ChargerName) -> LocalList:
    """Bring a charger's local list to what the tags are, once."""
    keeping.see_to(central(), db.engine, charger_id, requested_by=operator())
    return _shown(charger_id)


@blueprint.patch("/local-lists")
@endpoint(access=OPERATOR, answers={204: "It is noted for each of them."}, errors=("not-found",))
def change_local_lists(body: WantedLists) -> None:
    """Have many chargers' local lists kept like the tags, or not any more."""
    keeping.want(central(), db.engine, body.charger_ids, body.wanted, sites=sites())


def _shown(identity: str) -> LocalList:
    known = keeping.state(db.engine, identity)
    row = known.row
    asked = row is not None and (row.answered_at is not None or row.tried_at is not None or row.version != 0)
    return LocalList(
        wanted=row is not None and row.wanted,
        version=row.version if row is not None and asked else None,
        supported=row.version != NOT_SUPPORTED if row is not None and asked else None,
        in_sync=known.in_sync,
        changes=known.changes,
        tags=known.tags,
        longest=known.most,
        answer=row.answer if row is not None else None,
        answered_at=time_text(row.answered_at) if row is not None else None,
    )
