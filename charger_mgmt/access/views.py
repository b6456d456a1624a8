"""Logging in and out, and what is one's own: /api/auth."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Blueprint, g, request
from flask_jwt_extended import current_user, get_jwt
from msgspec import UNSET, Meta, UnsetType

from ..database import acts
from ..domain.roles import BY_PROVIDER, ROLES
from ..errors import Forbidden, LoginRefused, NotFound
from ..extensions import db
from ..web.answers import Answer, Time
from ..web.endpoint import DATABASE, endpoint
from ..web.fields import RowId, about, choice, text
from ..web.process import asker
from ..web.reading import Sent
from ..web.replies import Reply
from . import accounts, log_ins, passwords, provider, tokens
from .door import address, door, settings
from .log_ins import Origin

blueprint = Blueprint("auth", __name__, url_prefix="/auth")

#: Holds what a browser has begun at the identity provider.
_COOKIE = "sign-in"
Role = Annotated[
    str,
    choice(
        ROLES,
        "Role",
        description="viewer: reads; operator: commands, tags and sessions, too; admin: users, keys, sites and what chargers"
        " are, too.",
    ),
]
Password = Annotated[str, text(passwords.LONGEST, blanks=True, secret=True)]


class Login(Sent):
    username: Annotated[str, text(accounts.LONGEST_NAME, secret=True)]
    password: Password
    device_token: (
        Annotated[
            str, text(1000, secret=True, description="What an earlier log-in from this device has given.")
        ]
        | UnsetType
    ) = UNSET


class LogoutRequest(Sent):
    everywhere: Annotated[bool, about("Every log-in of the account.")] = False


class PasswordChange(Sent):
    old_password: Password
    password: Annotated[Password, about("The new one.")]


class PasswordReset(Sent):
    reset_token: Annotated[str, text(1000, secret=True)]
    password: Annotated[Password, about("The new one.")]


class Tokens(Answer):
    access_token: str
    token_type: Annotated[str, Meta(extra_json_schema={"const": "Bearer"})]
    expires_in: Annotated[int, about("Seconds that the access token lives.")]
    refresh_token: Annotated[
        str,
        about("For one use: each refresh gives the next one. One that comes a second time ends the log-in."),
    ]


class LoggedIn(Tokens):
    device_token: Annotated[
        str,
        about(
            "Keep it and send it with the next log-in from this device: then other people's wrong guesses at"
            " this account cannot hold you up."
        ),
    ]


class Me(Answer):
    username: str
    role: Role
    sites: Annotated[list[int] | None, about("The sites that you are limited to; null: you see everything.")]
    by: Annotated[str, choice(("log-in", "key", "provider"), description="What you have shown.")]


class OpenLogIn(Answer):
    log_in_id: int
    created_at: Time
    refreshed_at: Time
    address: Annotated[str, about("Where it came from.")]
    user_agent: Annotated[str | None, about("What the client said it is.")]
    current: Annotated[bool, about("It is the one that asks.")]

    @classmethod
    def by(cls, row: Any, key: str | None) -> Self:
        return cls.of(row, log_in_id=row.id, current=row.log_in_key == key)


def _origin() -> Origin:
    return Origin(address(), request.user_agent.string or None)


@blueprint.post("/login")
@endpoint(
    access="open", answers={200: "The tokens."}, errors=("login-refused", "too-many-attempts", *DATABASE)
)
def login(body: Login) -> LoggedIn:
    """Log in."""
    devices = door().devices
    log_in = log_ins.begin(
        db.engine,
        door().throttle,
        devices,
        username=body.username,
        password=body.password,
        device_token=body.device_token or None,
        origin=_origin(),
    )
    return LoggedIn(**tokens.pair(log_in), device_token=devices.token(body.username))


@blueprint.post("/refresh")
@endpoint(access="refresh token", answers={200: "The tokens."}, audited=False)
def refresh() -> Tokens:
    """New tokens for a refresh token.

    Send the refresh token as the bearer token. It can be used once.
    """
    return Tokens(**tokens.pair(log_ins.refreshed(db.engine, current_user, get_jwt()["jti"])))


@blueprint.post("/logout")
@endpoint(access="anyone", answers={204: "It has ended."}, errors=("forbidden",), optional_body=True)
def logout(body: LogoutRequest) -> None:
    """Log out.

    Every token of this log-in ends at once.
    """
    _only_people()
    log_ins.end(db.engine, asker(), everywhere=body.everywhere)


@blueprint.get("/me")
@endpoint(access="anyone", answers={200: "You."})
def show_me() -> Me:
    """Who asks, and what they may do."""
    me = asker()
    return Me(me.username, me.role, None if me.sites is None else sorted(me.sites), me.by)


@blueprint.get("/log-ins")
@endpoint(
    access="anyone",
    answers={200: "Those that have not ended, the newest first."},
    errors=("forbidden",),
)
def list_my_log_ins() -> list[OpenLogIn]:
    """Your log-ins."""
    _only_people()
    me = asker()
    return [OpenLogIn.by(row, me.log_in) for row in log_ins.listed(db.engine, me.username, settings())]


@blueprint.delete("/log-ins/<log_in_id>")
@endpoint(access="anyone", answers={204: "It has ended."}, errors=("not-found", "forbidden"))
def end_my_log_in(log_in_id: RowId) -> None:
    """End one of your log-ins: its tokens are worth nothing any more."""
    _only_people()
    log_ins.end_one(db.engine, asker().username, log_in_id)


@blueprint.post("/password")
@endpoint(
    access="anyone",
    answers={204: "Every log-in has ended; log in with the new one."},
    errors=("forbidden", "conflict", "too-many-attempts", "login-refused"),
)
def change_my_password(body: PasswordChange) -> None:
    """Change your password."""
    _only_people()
    me, throttle = asker(), door().throttle
    throttle.begin(me.username, address(), None, lambda: True)
    if not accounts.change_password(db.engine, me.username, before=body.old_password, after=body.password):
        raise LoginRefused("The old password is another one.")
    throttle.succeeded(me.username, address(), None)


@blueprint.post("/password-reset")
@endpoint(
    access="open",
    answers={204: "Every log-in has ended; log in with the new one."},
    errors=("too-many-attempts", *DATABASE),
    audited=False,
)
def reset_password(body: PasswordReset) -> None:
    """Set a password by a reset link's token.

    An admin makes one; it is good for an hour and for one use.
    """
    owner = door().reset_links.owner(db.engine, body.reset_token)
    g.act.username, g.act.by = owner.username, "reset link"
    acts.begin(g.act)
    door().throttle.begin(owner.username, address(), None, lambda: True)
    accounts.reset_password(db.engine, owner, body.password)
    door().throttle.succeeded(owner.username, address(), None)


@blueprint.get("/provider")
@endpoint(
    access="open",
    answers={
        302: ("To the identity provider.", {"Location": "Where to go.", "Set-Cookie": "Belongs to it."})
    },
    errors=("not-found", "identity-provider-away"),
)
def begin_sign_in() -> Reply[None]:
    """Sign in at the identity provider: open this in a browser.

    It comes back to `/api/auth/provider/callback`, whose answer holds the tokens. 404 where no provider is set.
    """
    if not door().provider.signs_in:
        raise NotFound("No identity provider is set up for signing in; see OIDC_CLIENT_ID.")
    begun = door().provider.begin()
    headers = {"Location": begun.address, "Set-Cookie": _cookie(begun.cookie, provider.SIGN_IN_WITHIN)}
    return Reply(None, headers=headers)


@blueprint.get("/provider/callback")
@endpoint(
    access="open",
    answers={200: "The tokens."},
    errors=("not-found", "login-refused", "identity-provider-away", "conflict", *DATABASE),
    any_query=True,
)
def end_sign_in() -> Reply[Tokens]:
    """Where the identity provider sends a browser back to."""
    if not door().provider.signs_in:
        raise NotFound("No identity provider is set up for signing in; see OIDC_CLIENT_ID.")
    who = door().provider.finish(request.cookies.get(_COOKIE), request.args.to_dict())
    g.act.by = BY_PROVIDER
    row = accounts.foreign(db.engine, who, address(), signs_in=True)
    acts.begin(g.act)
    g.act.username = row.username
    if not row.active:
        raise LoginRefused("The account is disabled.")
    log_in = log_ins.begun(db.engine, row, _origin())
    return Reply(Tokens(**tokens.pair(log_in)), headers={"Set-Cookie": _cookie("", 0)})


def _cookie(value: str, seconds: int) -> str:
    secure = "; Secure" if settings().public_url.startswith("https:") else ""
    return f"{_COOKIE}={value}; Path=/api/auth/provider; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _only_people() -> None:
    """Raises Forbidden for who has shown a key, or a token that is not ours: what is a person's own is not theirs."""
    if asker().log_in is None:
        raise Forbidden("This needs a log-in; a key, or a token of the identity provider, is not enough.")
