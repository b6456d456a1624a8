"""Accounts: /api/users."""

from __future__ import annotations

from typing import Annotated, Any, Self
from urllib.parse import quote

from flask import Blueprint, request
from msgspec import UNSET, UnsetType, structs

from ..domain.roles import ADMIN, ROLES
from ..extensions import db
from ..web.answers import Answer, Time
from ..web.endpoint import endpoint
from ..web.fields import LARGEST, RowId, about, choice, meta, text
from ..web.pages import NEXT, Limit, NameCursor, page
from ..web.reading import Sent
from ..web.replies import LOCATION, Reply, time_text
from . import accounts, log_ins
from .door import door, settings
from .views import OpenLogIn, Password, Role

blueprint = Blueprint("users", __name__, url_prefix="/users")


def _site_ids(value: Any) -> list[int]:
    if not isinstance(value, list) or len(value) > 1000:
        raise ValueError("must be a list of at most 1000 numbers of sites, or null")
    if any(type(each) is not int or not 1 <= each <= LARGEST for each in value):
        raise ValueError("must hold numbers of sites only")
    return value


SiteIds = Annotated[
    list[int],
    meta(
        _site_ids,
        instead={"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 1000},
        description="The sites that it is limited to; null: it sees everything.",
    ),
]
#: The segment of a path that names an account.
Username = Annotated[str, about("The account's name.", extra_json_schema={"x-parameter": "username"})]


class UsersQuery(Sent):
    role: Annotated[str, choice(ROLES, description="Only these.")] | None = None
    active: Annotated[bool | None, about("Only those that may, or that may not, log in.")] = None
    limit: Limit = 100
    cursor: NameCursor | None = None


class NewUser(Sent):
    username: Annotated[str, text(accounts.LONGEST_NAME)]
    role: Role
    sites: SiteIds | None = None
    password: Annotated[
        Password | None,
        about("Without one somebody sets it by a reset link, or the account is a machine's, which has keys."),
    ] = None


class UserChanges(Sent):
    role: Role | UnsetType = UNSET
    sites: SiteIds | UnsetType | None = UNSET
    active: Annotated[bool | UnsetType, about("false: every log-in and key of the account ends at once.")] = (
        UNSET
    )

    def columns(self) -> dict[str, Any]:
        """What was sent, by its column."""
        return {name: value for name, value in structs.asdict(self).items() if value is not UNSET}


class User(Answer):
    username: str
    role: Role
    sites: Annotated[list[int] | None, about("The sites that it is limited to; null: it sees everything.")]
    active: bool
    has_password: bool
    issuer: Annotated[str | None, about("The identity provider whose account it is.")]
    created_at: Time

    @classmethod
    def of(cls, row: Any, **given: Any) -> Self:
        return super().of(row, has_password=row.password_hash != "", **given)


class ResetLink(Answer):
    reset_token: Annotated[str, about("For `POST /api/auth/password-reset`, once.")]
    link: Annotated[str, about("The page that asks for the new password: hand it to the account's owner.")]
    expires_at: Time


@blueprint.get("")
@endpoint(access=ADMIN, whole_fleet=True, answers={200: ("The accounts.", NEXT)})
def list_users(query: UsersQuery) -> Reply[list[User]]:
    """Accounts, by name."""
    rows = accounts.listed(
        db.engine, role=query.role, active=query.active, after=query.cursor, limit=query.limit + 1
    )
    return page(rows, query.limit, User.of, lambda row: (row.username,))


@blueprint.post("")
@endpoint(
    access=ADMIN,
    whole_fleet=True,
    answers={201: ("Created.", LOCATION)},
    errors=("conflict", "too-many-attempts"),
)
def create_user(body: NewUser) -> Reply[User]:
    """Create an account."""
    row = accounts.create(db.engine, body.username, body.password, role=body.role, sites=body.sites)
    return Reply(User.of(row), headers={"Location": f"/api/users/{quote(body.username, safe='')}"})


@blueprint.get("/<username>")
@endpoint(access=ADMIN, whole_fleet=True, answers={200: "The account."}, errors=("not-found",))
def show_user(username: Username) -> User:
    """One account."""
    return User.of(accounts.known(db.engine, username))


@blueprint.patch("/<username>")
@endpoint(
    access=ADMIN,
    whole_fleet=True,
    answers={200: "The account as it is now."},
    errors=("not-found", "conflict"),
)
def change_user(username: Username, body: UserChanges) -> User:
    """Give an account another role or other sites, disable it, enable it.

    It holds from the next request on, whatever tokens there are. The last admin who could undo it cannot be disabled, limited or
    made something else (409). What an identity provider says of its accounts only it can change.
    """
    return User.of(accounts.change(db.engine, username, body.columns()))


@blueprint.post("/<username>/reset-link")
@endpoint(access=ADMIN, whole_fleet=True, answers={201: "The link."}, errors=("not-found", "conflict"))
def make_reset_link(username: Username) -> ResetLink:
    """Make a link by which the account's owner sets a new password.

    It is good for an hour and once. The password of now stays until then.
    """
    token, until = door().reset_links.make(accounts.known(db.engine, username))
    where = settings().public_url or request.host_url.rstrip("/")
    return ResetLink(token, f"{where}/password#{token}", time_text(until) or "")


@blueprint.get("/<username>/log-ins")
@endpoint(
    access=ADMIN,
    whole_fleet=True,
    answers={200: "Those that have not ended, the newest first."},
    errors=("not-found",),
)
def list_log_ins(username: Username) -> list[OpenLogIn]:
    """An account's log-ins."""
    return [OpenLogIn.by(row, None) for row in log_ins.listed(db.engine, username, settings())]


@blueprint.delete("/<username>/log-ins")
@endpoint(access=ADMIN, whole_fleet=True, answers={204: "They have ended."}, errors=("not-found",))
def end_log_ins(username: Username) -> None:
    """End every log-in of an account."""
    log_ins.end_all(db.engine, username)


@blueprint.delete("/<username>/log-ins/<log_in_id>")
@endpoint(access=ADMIN, whole_fleet=True, answers={204: "It has ended."}, errors=("not-found",))
def end_log_in(username: Username, log_in_id: RowId) -> None:
    """End one log-in of an account."""
    log_ins.end_one(db.engine, username, log_in_id)
