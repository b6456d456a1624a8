"""The errors of the domain: expected faults, each with a name.

    ChargerManagementError
    ├── NotFound                    nothing by that name is known
    ├── InvalidInput                a value is not acceptable; names the field
    ├── Conflict                    the request contradicts what is
    │   ├── ChargerOffline          no socket of this charger is open
    │   ├── ChargerBusy             the charger cannot do this now (faulted, unavailable, occupied)
    │   ├── CommandRefused          the charger said no
    │   ├── TagRefused              the idTag may not charge; names the tag's status
    │   └── AmbiguousSession        a sessionId that fits several open transactions
    ├── CallFailed                  a call to a charger ended without a result
    │   ├── CallErrored             the charger answered CALLERROR
    │   ├── CallTimedOut            no answer in time: the outcome is unknown, not failed
    │   └── ChargerGone             the socket died before the answer: unknown if it had been sent
    ├── DatabaseAway                the database did not take the write; nothing was acknowledged
    ├── BusAway                     the process that holds the charger's socket cannot be told; nothing was sent
    ├── Forbidden                   whoever asks may not do this
    ├── LoginRefused                unknown username or wrong password
    ├── LogInEnded                  its tokens are worth nothing any more
    ├── ProviderAway                the identity provider does not answer, or not as it should
    ├── TooManyAttempts             of log-ins; says when the next one is looked at
    ├── ConfigurationError          the system refuses to start; says what to set
    └── AnotherProcess              one that lives serves on this database

`web/problems.py` maps them to HTTP in one table; the gateway maps them to the wire.
"""

from __future__ import annotations

from typing import Any


class ChargerManagementError(Exception):
    """Base of everything that this system raises on purpose.

    `command` names the call to a charger that this is about: (identity, command id).
    """

    command: tuple[str, int] | None = None

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])


class NotFound(ChargerManagementError):
    """Nothing by that name is known."""


class InvalidInput(ChargerManagementError):
    """A value is not acceptable.

    `errors` maps the JSON pointer or parameter name of each bad field to what is wrong with it.
    """

    def __init__(self, message: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or {}


class Conflict(ChargerManagementError):
    """The request contradicts what is."""


class ChargerOffline(Conflict):
    """The charger is not connected."""


class ChargerBusy(Conflict):
    """The charger cannot do this now."""


class CommandRefused(Conflict):
    """The charger refused."""


class TagRefused(Conflict):
    """The idTag may not charge here and now; `status` is what a charger would be told of it."""

    def __init__(self, message: str, status: str) -> None:
        super().__init__(message)
        self.status = status


class AmbiguousSession(Conflict):
    """The sessionId fits several open transactions; use the transactionId."""


class CallFailed(ChargerManagementError):
    """A call to a charger ended without a result."""


class CallErrored(CallFailed):
    """The charger answered with a CALLERROR (`code`, `description`, `details`)."""

    def __init__(self, code: str, description: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.details = details or {}


class CallTimedOut(CallFailed):
    """The charger did not answer in time; the outcome is unknown."""


class ChargerGone(CallFailed):
    """The charger's socket died before the answer.

    `sent` tells whether the call had been written to the socket: then the outcome is unknown.
    """

    def __init__(self, message: str = "", *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class DatabaseAway(ChargerManagementError):
    """The database is not taking writes at the moment."""


class BusAway(ChargerManagementError):
    """The charger is connected to another process, which cannot be reached at the moment; nothing was sent."""


class ConfigurationError(ChargerManagementError):
    """The configuration cannot work; the message says what to set."""


class AnotherProcess(ChargerManagementError):
    """Another process serves on this database; the message says how to go on."""


class Forbidden(ChargerManagementError):
    """This is not yours to do."""


class ProviderAway(ChargerManagementError):
    """The identity provider does not answer; try again soon."""


class LoginRefused(ChargerManagementError):
    """Unknown username or wrong password."""


class LogInEnded(ChargerManagementError):
    """The log-in has ended; log in again."""


class TooManyAttempts(ChargerManagementError):
    """Too many attempts; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
