"""What stands at a view: who may ask, what is read, what is answered. The head of a view is its documentation.

    @blueprint.post("/<transaction_id>/end")
    @endpoint(
        access=OPERATOR,
        answers={200: ("Ended, now or before.", RELATED), 202: "The charger accepted."},
        errors=("not-found", "charger-offline"),
    )
    def end_transaction(transaction_id: TransactionName, body: EndRequest) -> Reply[Progress]:
        \"\"\"End a session.\"\"\"

The arguments are the path's segments, `query` and `body`; they are read and checked by their types before the view runs.
A view returns the answer's value, or a Reply with a status and headers. The docstring's first line is the summary, the
rest the description. openapi.py makes the document of all this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from flask import Response, request

from ..database import acts
from ..domain.roles import ROLES, VIEWER
from . import problems, reading
from .replies import Reply, respond

#: Who may ask: whoever has (at least) this role, or any; whoever has a refresh token; anybody. access/door.py sees to it.
Access: TypeAlias = Literal["viewer", "operator", "admin", "anyone", "refresh token", "open"]
#: Status → what it means, and the headers that may come with it.
Answers: TypeAlias = Mapping[int, str | tuple[str, Mapping[str, str]]]

#: What any request can meet that asks the database, as every token does.
DATABASE = ("database-away", "database-busy")


class Endpoint:
    """A view and what was declared of it; see `endpoint`."""

    __name__: str

    def __init__(
        self,
        view: Callable[..., Any],
        answers: Answers,
        errors: tuple[str, ...],
        access: Access,
        optional_body: bool,
        any_query: bool,
        whole_fleet: bool,
        audited: bool,
    ) -> None:
        update_wrapper(self, view)
        types = get_type_hints(view, include_extras=True)
        returned = types.pop("return")
        self.answer = get_args(returned)[0] if get_origin(returned) is Reply else returned
        self.query = types.pop("query", None)
        self.body = types.pop("body", None)
        self.path: dict[str, Any] = types
        self.answers = answers
        self.access = access
        self.optional_body = optional_body or self.body is None
        self.any_query = any_query
        self.whole_fleet = whole_fleet
        self.audited = audited
        self._errors = errors
        self._view = view
        self._segments = {name: reading.segment(kind) for name, kind in types.items()}
        self._read_query = reading.struct(self.query or reading.Nothing, spelled=True)
        self._read_body = reading.struct(self.body or reading.Nothing, spelled=False)
        unknown = [code for code in errors if code not in problems.CODES]
        if unknown:
            raise TypeError(f"{view.__name__}: there are no problems {unknown}")

    def __call__(self, **path: str) -> Response:
        query = body = None
        with_body = reads_body(request.method)
        if not with_body and not self.any_query:
            query = self._read_query(reading.parameters())
        arguments = {name: read(path[name]) for name, read in self._segments.items()}
        if with_body:
            body = self._read_body(reading.json_object(optional=self.optional_body))
            if isinstance(body, reading.Sent):
                acts.describe(**body.shown())
        if self.query is not None:
            arguments["query"] = query
        if self.body is not None:
            arguments["body"] = body
        given = self._view(**arguments)
        reply = given if isinstance(given, Reply) else Reply(given)
        return respond(reply.value, reply.status or next(iter(self.answers)), reply.headers)

    def errors(self, method: str) -> list[str]:
        """The codes of the problems that this method's answer may be."""
        codes = [] if self.any_query else ["invalid-input"]
        if reads_body(method):
            codes.append("unsupported-media-type")
        if self.access != "open":
            codes += ["not-authenticated", *DATABASE]
        if self.access in ROLES and (self.access != VIEWER or self.whole_fleet):
            codes.append("forbidden")
        return codes + [code for code in self._errors if code not in codes]


def endpoint(
    *,
    access: Access,
    answers: Answers,
    errors: tuple[str, ...] = (),
    optional_body: bool = False,
    any_query: bool = False,
    whole_fleet: bool = False,
    audited: bool = True,
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Declare a view.

    `access`: who may ask; `whole_fleet`: nobody who is limited to sites. `answers` begins with the usual one. `errors` are the codes of problems beyond those that the rest implies (a bad field,
    a bad token, a database that is away). `optional_body`: none at all is `{}`. `any_query`: the query is not
    looked at; else parameters that nobody asks for are refused. What changes something has an entry in the audit trail;
    not `audited`: only when it fails. Raises TypeError, at import, for what cannot be.
    """
    return lambda view: Endpoint(
        view, answers, errors, access, optional_body, any_query, whole_fleet, audited
    )


def reads_body(method: str) -> bool:
    return method in ("POST", "PATCH")
