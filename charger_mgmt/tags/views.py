"""idTags: /api/tags."""

from __future__ import annotations

from typing import Annotated, Any, Self
from urllib.parse import quote

from flask import Blueprint, request
from msgspec import UNSET, Meta, UnsetType, structs

from ..domain import authorisation
from ..domain.roles import OPERATOR, VIEWER
from ..extensions import db
from ..web.answers import Answer, Number, Time, scaled
from ..web.endpoint import endpoint
from ..web.fields import LARGEST, IdTag, KilowattHours, Minutes, Moment, about, choice, meta
from ..web.pages import NEXT, Limit, NameCursor, page
from ..web.process import central, sites
from ..web.reading import Sent
from ..web.replies import LOCATION, Reply
from . import entries

blueprint = Blueprint("tags", __name__, url_prefix="/tags")

TagStatus = Annotated[str, choice(entries.STATUSES)]
#: The segment of a path that names a tag.
TagName = Annotated[str, about("In whatever case.", extra_json_schema={"x-parameter": "idTag"})]


class TagQuery(Sent):
    status: Annotated[str, choice(entries.STATUSES, description="Only these.")] | None = None
    limit: Limit = 100
    cursor: NameCursor | None = None


class _TagFields(Sent):
    status: TagStatus | UnsetType = UNSET
    expiry_date: Moment | UnsetType | None = UNSET
    parent_id_tag: IdTag | UnsetType | None = UNSET
    max_active_transactions: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=LARGEST,
                description="How many transactions it may have open at once; null: no limit.",
            ),
        ]
        | UnsetType
        | None
    ) = UNSET

    session_kwh: (
        Annotated[KilowattHours, about("What each of its sessions may take; null: no limit.")]
        | UnsetType
        | None
    ) = UNSET
    session_minutes: (
        Annotated[Minutes, about("How long each of its sessions may last; null: no limit.")]
        | UnsetType
        | None
    ) = UNSET

    def columns(self) -> dict[str, Any]:
        """What was sent, by its column."""
        values = structs.asdict(self)
        del values["id_tag"]
        values["session_energy_mwh"] = values.pop("session_kwh")
        return {name: value for name, value in values.items() if value is not UNSET}


class NewTag(_TagFields, kw_only=True):
    id_tag: IdTag


def _same_name(value: Any) -> str:
    if value != (request.view_args or {}).get("id_tag"):
        raise ValueError("cannot be changed")
    return str(value)


class TagChanges(_TagFields):
    id_tag: Annotated[
        str | UnsetType, meta(_same_name, description="As in the path: it cannot be changed.")
    ] = UNSET


class Tag(Answer):
    id_tag: Annotated[str, Meta(min_length=1, max_length=255)]
    status: TagStatus
    expiry_date: Time | None
    parent_id_tag: str | None
    max_active_transactions: int | None
    session_kwh: Annotated[Number | None, about("What each of its sessions may take.")]
    session_minutes: Annotated[int | None, about("How long each of its sessions may last.")]
    entered: Annotated[
        bool,
        about(
            "False: nobody entered it, sessions name it; its status is what it is answered. A PATCH enters it."
        ),
    ]
    created_at: Time

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        entered = not isinstance(row, entries.SeenTag)
        return super().of(row, entered=entered, session_kwh=scaled(row.session_energy_mwh, 6), **given)


@blueprint.get("")
@endpoint(access=VIEWER, answers={200: ("The tags.", NEXT)})
def list_tags(query: TagQuery) -> Reply[list[Tag]]:
    """idTags, by their lower-case text; one-use tags are not shown."""
    rows = entries.listed(db.engine, status=query.status, after=query.cursor, limit=query.limit + 1)
    return page(rows, query.limit, Tag.of, lambda row: (row.id_tag_key,))


@blueprint.post("")
@endpoint(access=OPERATOR, whole_fleet=True, answers={201: ("Created.", LOCATION)}, errors=("conflict",))
def create_tag(body: NewTag) -> Reply[Tag]:
    """Enter an idTag."""
    row = entries.create(db.engine, body.id_tag, {"status": "Accepted"} | body.columns())
    return Reply(Tag.of(row), headers={"Location": f"/api/tags/{quote(row.id_tag, safe='')}"})


@blueprint.get("/<id_tag>")
@endpoint(access=VIEWER, answers={200: "The tag."}, errors=("not-found",))
def show_tag(id_tag: TagName) -> Tag:
    """One idTag."""
    return Tag.of(entries.find(db.engine, id_tag, _unknown(), sites()))


@blueprint.patch("/<id_tag>")
@endpoint(
    access=OPERATOR,
    whole_fleet=True,
    answers={200: "The tag as it is now."},
    errors=("not-found", "conflict"),
)
def change_tag(id_tag: TagName, body: TagChanges) -> Tag:
    """Change an idTag."""
    return Tag.of(entries.change(db.engine, id_tag, body.columns(), _unknown()))


def _unknown() -> str:
    """The status of a tag that nobody entered."""
    return authorisation.unknown_status(central().settings.unknown_tags)
