"""Keys of machines: /api/keys."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Blueprint
from msgspec import UNSET, UnsetType, structs

from ..domain.roles import ADMIN
from ..extensions import db
from ..web.answers import Answer, Time
from ..web.endpoint import endpoint
from ..web.fields import Moment, Name, RowId, about, text
from ..web.pages import NEXT, IdCursor, Limit, page
from ..web.process import operator
from ..web.reading import Sent
from ..web.replies import LOCATION, Reply
from . import accounts, keys
from .user_views import SiteIds
from .views import Role

blueprint = Blueprint("keys", __name__, url_prefix="/keys")


class KeysQuery(Sent):
    username: Annotated[str, text(description="Only of this account.")] | None = None
    limit: Limit = 100
    cursor: IdCursor | None = None


class NewKey(Sent):
    username: Annotated[str, text(accounts.LONGEST_NAME, description="The account that it acts for.")]
    name: Annotated[Name, about("What it is for.")]
    role: Role
    sites: SiteIds | None = None
    expires_at: Annotated[Moment | None, about("In a year, unless it is said.")] = None


class KeyChanges(Sent):
    name: Name | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    sites: SiteIds | UnsetType | None = UNSET
    expires_at: Moment | UnsetType = UNSET

    def columns(self) -> dict[str, Any]:
        """What was sent, by its column."""
        return {name: value for name, value in structs.asdict(self).items() if value is not UNSET}


class Key(Answer):
    key_id: int
    username: str
    name: str
    role: Role
    sites: list[int] | None
    created_at: Time
    created_by: str
    expires_at: Time
    last_used_at: Annotated[Time | None, about("To a minute.")]
    last_used_from: str | None
    ended_at: Time | None

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        return super().of(row, key_id=row.id, **given)


class MadeKey(Key):
    key: Annotated[str, about("Send it as the bearer token. It is shown this once.")]


@blueprint.get("")
@endpoint(access=ADMIN, whole_fleet=True, answers={200: ("The keys.", NEXT)}, errors=("not-found",))
def list_keys(query: KeysQuery) -> Reply[list[Key]]:
    """Keys, newest first, also those that have ended."""
    rows = keys.listed(db.engine, username=query.username, before=query.cursor, limit=query.limit + 1)
    return page(rows, query.limit, Key.of, lambda row: (row.id,))


@blueprint.post("")
@endpoint(
    access=ADMIN,
    whole_fleet=True,
    answers={201: ("Created.", LOCATION)},
    errors=("not-found", "conflict"),
)
def create_key(body: NewKey) -> Reply[MadeKey]:
    """Make a key by which a machine acts for an account.

    It may never do or see more than the account, and ends with it.
    """
    row, key = keys.create(
        db.engine,
        body.username,
        body.name,
        role=body.role,
        sites=body.sites,
        expires_at=body.expires_at,
        created_by=operator(),
    )
    return Reply(MadeKey.of(row, key=key), headers={"Location": f"/api/keys/{row.id}"})


@blueprint.get("/<key_id>")
@endpoint(access=ADMIN, whole_fleet=True, answers={200: "The key."}, errors=("not-found",))
def show_key(key_id: RowId) -> Key:
    """One key; the key itself is never shown again."""
    return Key.of(keys.find(db.engine, key_id))


@blueprint.patch("/<key_id>")
@endpoint(
    access=ADMIN, whole_fleet=True, answers={200: "The key as it is now."}, errors=("not-found", "conflict")
)
def change_key(key_id: RowId, body: KeyChanges) -> Key:
    """Change what a key is called, what it may do, how long it lasts."""
    return Key.of(keys.change(db.engine, key_id, body.columns()))


@blueprint.delete("/<key_id>")
@endpoint(access=ADMIN, whole_fleet=True, answers={204: "It has ended."}, errors=("not-found",))
def end_key(key_id: RowId) -> None:
    """End a key for good."""
    keys.end(db.engine, key_id)
