"""Every error as RFC 9457 `application/problem+json`, from one table.

`type` is always "about:blank" (so `title` is the HTTP status's own phrase); `code` is the stable word
that a program tells the cases of one status by, `detail` the sentence for a person. InvalidInput adds
`errors: [{"field", "message"}]`; what concerns a command adds `command: {"commandId", "href"}` and a
Link header.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from flask import Flask, Response, g, request
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from .. import errors
from ..database.faults import Fault, classify, first_line
from .fields import about
from .replies import command_href, command_link

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

#: domain error → (HTTP status, code). The nearest class in the error's ancestry wins.
STATUS: dict[type[Exception], tuple[int, str]] = {
    errors.NotFound: (404, "not-found"),
    errors.InvalidInput: (400, "invalid-input"),
    errors.Conflict: (409, "conflict"),
    errors.ChargerOffline: (409, "charger-offline"),
    errors.ChargerBusy: (409, "charger-busy"),
    errors.CommandRefused: (409, "command-refused"),
    errors.TagRefused: (409, "tag-refused"),
    errors.AmbiguousSession: (409, "ambiguous-session"),
    errors.CallErrored: (502, "charger-error"),
    errors.CallTimedOut: (504, "outcome-unknown"),
    errors.ChargerGone: (504, "outcome-unknown"),
    errors.DatabaseAway: (503, "database-away"),
    errors.BusAway: (503, "bus-away"),
    OperationalError: (503, "database-away"),
    PoolTimeout: (503, "database-busy"),
    errors.ProviderAway: (503, "identity-provider-away"),
    errors.Forbidden: (403, "forbidden"),
    errors.LoginRefused: (401, "login-refused"),
    errors.LogInEnded: (401, "not-authenticated"),
    errors.TooManyAttempts: (429, "too-many-attempts"),
}
#: code → HTTP status, of every problem that a view can name.
CODES = {code: status for status, code in STATUS.values()} | {"unsupported-media-type": 415}
#: HTTP status → the name of its answer in the document, and what it says.
DOCUMENTED = {
    400: ("BadInput", "Something in the request is not acceptable; `errors` names each field."),
    401: (
        "NotAuthenticated",
        "The token is missing, bad, expired, or its account disabled; or the login was refused.",
    ),
    403: ("Forbidden", "Who asks may not do this: it needs another role, or no limit to sites."),
    404: ("NotFound", "Nothing by that name is known, or it is not for who asks to see."),
    409: ("Conflict", "The request contradicts what is; `code` says how."),
    415: ("NotJson", "The body is not application/json."),
    429: ("TooMany", "Too many attempts; see Retry-After."),
    502: ("ChargerError", "The charger answered with a CALLERROR."),
    503: (
        "DatabaseAway",
        "The database does not answer, or another process, or the identity provider; see Retry-After.",
    ),
    504: (
        "OutcomeUnknown",
        "The charger did not answer in time, or its socket died meanwhile: it may or may not have acted. `command` and"
        " the Link header name the command, whose record will tell if an answer still comes.",
    ),
}
#: Seconds after which a client may ask again when the database is away.
RETRY_AFTER = 5


class BadField(msgspec.Struct):
    field: str
    message: str


class NamedCommand(msgspec.Struct, rename="camel"):
    command_id: int
    href: str


class Problem(msgspec.Struct, rename="camel"):
    type: Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]
    title: str
    status: int
    code: Annotated[
        str,
        about(
            "A stable word for programs.",
            examples=sorted({code for _, code in STATUS.values()}),
        ),
    ]
    detail: Annotated[str, about("A sentence for people.")]
    errors: Annotated[list[BadField] | UnsetType, about("With invalid-input: each bad field.")] = UNSET
    command: Annotated[NamedCommand | UnsetType, about("The call to the charger that this is about.")] = UNSET
    id_tag_status: Annotated[
        str | UnsetType, about("With tag-refused: what a charger would be told of the idTag.")
    ] = UNSET


def register(app: Flask) -> None:
    app.register_error_handler(errors.ChargerManagementError, _domain_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(DBAPIError, _database_error)
    app.register_error_handler(PoolTimeout, _domain_error)
    app.register_error_handler(Exception, _unexpected)


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """One problem document; `members` are fields of Problem."""
    g.problem = code
    return Response(
        document(status, code, detail, **members), status, headers=headers, content_type=CONTENT_TYPE
    )


def document(status: int, code: str, detail: str, **members: Any) -> bytes:
    """The document itself."""
    return msgspec.json.encode(
        Problem("about:blank", HTTPStatus(status).phrase, status, code, detail, **members)
    )


def code_of(status: int) -> str:
    """The code of what has no other one than its status."""
    return HTTPStatus(status).phrase.lower().replace(" ", "-")


def code_for(error: Exception) -> str:
    """The code of the problem that an error of the domain is."""
    return next((STATUS[kind][1] for kind in type(error).__mro__ if kind in STATUS), "internal-error")


def _domain_error(error: Exception) -> Response:
    status, code = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    members: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, errors.InvalidInput):
        members["errors"] = [BadField(field, message) for field, message in error.errors.items()]
    if isinstance(error, errors.TagRefused):
        members["id_tag_status"] = error.status
    if isinstance(error, errors.ChargerManagementError) and error.command is not None:
        members["command"] = NamedCommand(error.command[1], command_href(*error.command))
        headers |= command_link(*error.command)
    if isinstance(error, errors.TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER)
    if status == 503 and not isinstance(error, errors.BusAway | errors.ProviderAway):
        cause = error.__cause__ or error
        if classify(cause) is Fault.CROWDED:
            log.warning("no database connection was free for a request: %s", type(cause).__name__)
            detail = "Every database connection is in use; try again soon."
            return problem(status, "database-busy", detail, headers=headers)
        log.warning("The database is away: %s", first_line(cause))
        return problem(status, code, "The database is away; try again soon.", headers=headers)
    if isinstance(error, errors.ChargerGone) and not error.sent:
        status, code = STATUS[errors.ChargerOffline]
    return problem(status, code, str(error), headers=headers, **members)


def _database_error(error: DBAPIError) -> Response:
    if isinstance(error, OperationalError) or error.connection_invalidated:
        away = errors.DatabaseAway()
        away.__cause__ = error
        return _domain_error(away)
    return _unexpected(error)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # a redirect is an exception to werkzeug, not to us
        return error.get_response()  # type: ignore[return-value]
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    phrase = HTTPStatus(status).phrase
    return problem(status, code_of(status), error.description or phrase, headers=headers)


def _unexpected(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(500, "internal-error", "Something went wrong here; it has been logged.")
