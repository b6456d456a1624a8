"""A charger on a socket: what the conversation knows of it, in any dialect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from ..domain import dialect as dialects
from ..domain.dialect import Dialect
from ..domain.transactions import BEHIND

Note: TypeAlias = Callable[[bool, str], None]


class Speaker:
    """One charger that speaks on a socket (in some dialects several do on one).

    `registration` is what its last boot was answered (None: it never booted); `triggered` names the messages that we
    have asked for, which a Pending charger may therefore send. `admitted`: the operator, or the onboarding, lets it
    in: what it stores is not kept apart. `strict`: its messages are held to the letter of the specification. `proven`:
    the socket was opened with its password.
    """

    # With more than thirty attributes each would have a dictionary of its own.
    __slots__ = (
        "admitted",
        "automatic_calls",
        "behind",
        "boot_asked",
        "charger_id",
        "connectors_asked",
        "dialect",
        "generation",
        "has_spoken",
        "identity",
        "journal",
        "on_acceptance",
        "proven",
        "registration",
        "socket",
        "status_reported",
        "strict",
        "triggered",
    )

    def __init__(
        self,
        identity: str,
        *,
        socket: Any,
        charger_id: int,
        generation: int,
        registration: str | None,
        dialect: Dialect = dialects.OCPP16,
        automatic_calls: bool = True,
        strict: bool = False,
        admitted: bool = True,
        proven: bool = False,
        behind: timedelta = BEHIND,
        on_acceptance: Callable[[], None] = lambda: None,
        journal: Note | None = None,
    ) -> None:
        self.identity = identity
        self.socket = socket
        self.charger_id = charger_id
        self.generation = generation
        self.registration = registration
        self.dialect = dialect
        self.automatic_calls = automatic_calls
        self.strict = strict
        self.admitted = admitted
        self.proven = proven
        #: How old a time of its messages may be and still be believed.
        self.behind = behind
        #: Called when a boot is accepted.
        self.on_acceptance = on_acceptance
        #: Keeps what goes over its socket (outgoing, text); None: nobody does.
        self.journal = journal
        self.triggered: set[str] = set()
        #: A message of the charger's has been taken.
        self.has_spoken = False
        #: A charger that has never booted was asked to.
        self.boot_asked = False
        #: It was asked how many connectors it has, after some had stayed unreported.
        self.connectors_asked = False
        #: A connector's report has been stored since the last boot.
        self.status_reported = False
