"""What can be set, each setting declared once: its environment variable, default, values and meaning.

config.py reads them from the environment, and README.md's table is made of them (`make readme`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, NamedTuple, get_type_hints
from urllib.parse import urlsplit

from . import database_url, proxies
from .database_url import DatabaseUrl
from .errors import ConfigurationError

#: Of this software.
VERSION = "0.6"
PRODUCTION = "production"
#: Connections that the chargers' side needs besides those of the committers.
LEAST_BESIDES_COMMITTERS = 2
SHORTEST_SECRET = 32
#: Names of this machine itself.
_HERE = ("127.0.0.1", "::1", "localhost")
MAKE_A_SECRET = "Make one with `python3 -c 'import secrets; print(secrets.token_hex(32))'`."


class Depends(NamedTuple):
    """A default or a limit that the settings before it decide (without `on`: config.py); README.md's words for it."""

    said: str
    on: Callable[[Any], Any] = lambda known: None


def resolved(value: Any, known: Any) -> Any:
    """A default or a limit, `known` the settings before it."""
    return value.on(known) if isinstance(value, Depends) else value


def _said(value: Any) -> str:
    if isinstance(value, Depends):
        return value.said
    if isinstance(value, bool):
        value = "on" if value else "off"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value not in ("", ()) else ""


@dataclass(frozen=True, slots=True)
class Variable:
    """Any text. `also`: other variables that may hold it, of which the first that is set wins.

    Blanks around a value do not count, unless it is taken `verbatim`.
    """

    default: Any
    meaning: str
    also: tuple[str, ...] = field(default=(), kw_only=True)
    verbatim: bool = field(default=False, kw_only=True)

    def read(self, name: str, text: str, known: Any) -> Any:
        """What the text says; `known`: the settings before this one. Raises ConfigurationError."""
        return text

    @property
    def default_said(self) -> str:
        return _said(self.default)

    @property
    def values(self) -> str:
        """What it may hold, in README.md's words; "": its meaning says that."""
        return ""


@dataclass(frozen=True, slots=True)
class Choice(Variable):
    allowed: tuple[str, ...] = field(kw_only=True)

    def read(self, name: str, text: str, known: Any) -> str:
        if text not in self.allowed:
            raise ConfigurationError(f"{name}={text!r}: set it to one of {', '.join(self.allowed)}.")
        return text

    @property
    def values(self) -> str:
        return ", ".join(f"`{value}`" for value in self.allowed)


@dataclass(frozen=True, slots=True)
class Flag(Variable):
    def read(self, name: str, text: str, known: Any) -> bool:
        if text.lower() in ("1", "on", "true", "yes"):
            return True
        if text.lower() in ("0", "off", "false", "no"):
            return False
        raise ConfigurationError(f"{name}={text.lower()!r}: set it to on or off.")

    @property
    def values(self) -> str:
        return "`on`, `off`"


@dataclass(frozen=True, slots=True)
class Whole(Variable):
    least: Any = field(kw_only=True)
    most: int | None = field(default=None, kw_only=True)

    def read(self, name: str, text: str, known: Any) -> Any:
        try:
            number = self._number(text)
        except ValueError:
            example = f"Example: {name}={resolved(self.default, known)}"
            raise ConfigurationError(f"{name}={text!r} is not a number. {example}") from None
        least = resolved(self.least, known)
        if not number >= least or (self.most is not None and number > self.most) or number == float("inf"):
            limits = f"at least {least}" + (f" and at most {self.most}" if self.most is not None else "")
            raise ConfigurationError(f"{name}={text}: it must be {limits}.")
        return number

    def _number(self, text: str) -> float:
        return int(text)

    @property
    def values(self) -> str:
        least = _said(self.least)
        return f"at least {least}" if self.most is None else f"{least} to `{self.most}`"


@dataclass(frozen=True, slots=True)
class Number(Whole):
    def _number(self, text: str) -> float:
        return float(text)


@dataclass(frozen=True, slots=True)
class Words(Variable):
    """Separated by commas or blanks."""

    def read(self, name: str, text: str, known: Any) -> tuple[str, ...]:
        return tuple(text.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class Names(Variable):
    """Separated by commas: they may have blanks in them."""

    def read(self, name: str, text: str, known: Any) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Networks(Variable):
    def read(self, name: str, text: str, known: Any) -> tuple[str, ...]:
        try:
            return proxies.networks(text)
        except ValueError as error:
            raise ConfigurationError(
                f"{name}: {str(error)!r} is neither an address nor a network."
                f" Example: {name}=10.0.0.0/8,192.0.2.7"
            ) from None


@dataclass(frozen=True, slots=True)
class Secret(Variable):
    def read(self, name: str, text: str, known: Any) -> str:
        if len(text) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"{name} is too short: it needs at least {SHORTEST_SECRET} characters. {MAKE_A_SECRET}"
            )
        return text


@dataclass(frozen=True, slots=True)
class Secrets(Secret):
    def read(self, name: str, text: str, known: Any) -> Any:
        return tuple(Secret.read(self, name, each, known) for each in text.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class PublicUrl(Variable):
    """`https`, or `http` to this machine itself."""

    def read(self, name: str, text: str, known: Any) -> str:
        try:
            parts = urlsplit(text)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        if not (parts.scheme == "https" and host) and not (parts.scheme == "http" and host in _HERE):
            raise ConfigurationError(
                f"{name}={text!r}: set it to an address like https://chargers.example.com."
            )
        return text


@dataclass(frozen=True, slots=True)
class Origin(PublicUrl):
    """Without a path: what is ours begins at the root."""

    def read(self, name: str, text: str, known: Any) -> str:
        parts = urlsplit(PublicUrl.read(self, name, text, known))
        if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise ConfigurationError(
                f"{name}={text!r}: name scheme and host only, as in https://chargers.example.com."
            )
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Database(Variable):
    def read(self, name: str, text: str, known: Any) -> DatabaseUrl:
        return database_url.normalised(text, name)


@dataclass(frozen=True, slots=True)
class Redis(Variable):
    def read(self, name: str, text: str, known: Any) -> str:
        scheme, _, rest = text.partition("://")
        try:  # what it holds may be a password, so it is not said
            urlsplit(text).port  # noqa: B018
            readable = scheme in ("redis", "rediss", "unix") and bool(rest)
        except ValueError:
            readable = False
        if not readable:
            raise ConfigurationError(
                f"{name} cannot be read: set it to redis://:password@host:6379/0 (rediss:// with TLS; / and # in a"
                " password as %2F and %23)."
            ) from None
        return text


def _in_production(there: str | int, elsewhere: str | int) -> Depends:
    return Depends(
        f"`{elsewhere}`; production: `{there}`",
        lambda known: there if known.app_env == PRODUCTION else elsewhere,
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FirstAccount:
    """For `flask user create-first` alone: a server must not hold the password."""

    admin_username: Annotated[str, Variable("admin", "the first account, made when there is none")]
    admin_password: Annotated[
        str | None, Variable(Depends("random, printed once"), "its password", verbatim=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """The settings of one process, in the order in which they are read.

    A field's variable is its name in capitals. They hold secrets, so they are not shown as a whole.
    """

    app_env: Annotated[
        str,
        Choice(
            "development",
            "`production` refuses to start without `DATABASE_URL` and `JWT_SECRET_KEY`",
            allowed=("development", PRODUCTION),
        ),
    ]
    database_url: Annotated[
        DatabaseUrl,
        Database(
            Depends("SQLite under `instance/`"),
            "`mysql://user:password@host/database`; also read from `JAWSDB_URL`, `CLEARDB_DATABASE_URL`",
            also=("JAWSDB_URL", "CLEARDB_DATABASE_URL"),
        ),
    ]
    jwt_secret_key: Annotated[
        str,
        Secret(
            Depends("random, kept in `instance/`"),
            f"signs the tokens; production needs one of at least {SHORTEST_SECRET} characters",
        ),
    ]
    jwt_previous_secret_keys: Annotated[
        tuple[str, ...],
        Secrets(
            (),
            "secrets that signed tokens before, and are still believed: how `JWT_SECRET_KEY` is changed without ending"
            " anybody's log-in; one with a blank or a comma in it cannot stand here; see [Who may do what](#who-may-do-what)",
        ),
    ]
    host: Annotated[str, Variable("127.0.0.1", "the address to listen on")]
    port: Annotated[int, Whole(8080, "the port to listen on", least=0, most=65535)]
    web_concurrency: Annotated[
        int, Whole(1, "worker processes of this server; more than one need `REDIS_URL`", least=1, most=64)
    ]
    redis_url: Annotated[
        str,
        Redis(
            "",
            "`redis://host:6379/0` (`rediss://…` with TLS): several processes, on one host or many, serve on one"
            " database; see [Several processes](#several-processes)",
        ),
    ]
    lease_seconds: Annotated[
        int,
        Whole(
            15,
            "with `REDIS_URL`: seconds without a sign of life after which a process counts as dead, and what it held"
            " is put right",
            least=6,
        ),
    ]
    drain_seconds: Annotated[
        int,
        Whole(
            10,
            "with `REDIS_URL`, when this server ends and others serve: seconds over which it lets its chargers go, to"
            " them; platforms that kill after 30 seconds want less than 20",
            least=0,
            most=600,
        ),
    ]
    access_token_seconds: Annotated[
        int, Whole(900, "how long an access token lasts; a refresh token gives the next one", least=60)
    ]
    log_in_idle_seconds: Annotated[
        int,
        Whole(
            Depends(
                "`1800`, at least twice `ACCESS_TOKEN_SECONDS`",
                lambda known: max(1800, 2 * known.access_token_seconds),
            ),
            "a log-in that was not refreshed for so long has ended",
            least=Depends("`ACCESS_TOKEN_SECONDS`", lambda known: known.access_token_seconds),
        ),
    ]
    log_in_seconds: Annotated[
        int,
        Whole(
            Depends(
                "`43200`, at least `LOG_IN_IDLE_SECONDS`",
                lambda known: max(43_200, known.log_in_idle_seconds),
            ),
            "how long a log-in lasts in all; then a password is asked for again",
            least=Depends("`LOG_IN_IDLE_SECONDS`", lambda known: known.log_in_idle_seconds),
        ),
    ]
    public_url: Annotated[
        str,
        Origin(
            "",
            "where people find this server (`https://chargers.example.com`): stands in reset links, and sign-in by an"
            " identity provider needs it",
        ),
    ]
    oidc_issuer: Annotated[
        str,
        PublicUrl(
            "",
            "an OpenID Connect provider whose people and programs may come in; see"
            " [An identity provider](#an-identity-provider)",
        ),
    ]
    oidc_client_id: Annotated[
        str, Variable("", "what this server is called there; empty: nobody signs in there")
    ]
    oidc_client_secret: Annotated[str, Variable("", "its secret there; empty: it has none", verbatim=True)]
    oidc_audience: Annotated[
        str,
        Variable("", "the `aud` of the provider's access tokens for this API; empty: none of them is taken"),
    ]
    oidc_role_claim: Annotated[
        str, Variable("roles", "the claim that holds somebody's roles or groups there (`realm_access.roles`)")
    ]
    oidc_roles: Annotated[
        tuple[str, ...],
        Names(
            (),
            "which of them is which role here: `charger-admins=admin,staff=viewer`; the others may not come in",
        ),
    ]
    oidc_sites_claim: Annotated[
        str,
        Variable(
            "",
            "the claim that holds the names or numbers of the sites that somebody is limited to (`*`: of none); empty:"
            " nobody is limited",
        ),
    ]
    oidc_name_claim: Annotated[
        str, Variable("preferred_username", "the claim that says what somebody is called")
    ]
    oidc_leeway_seconds: Annotated[
        int, Whole(30, "how far the provider's clock may be off", least=0, most=300)
    ]
    charger_onboarding: Annotated[
        str,
        Choice(
            _in_production("approve", "open"),
            "unknown chargers: `open` lets them in, `approve` keeps them Pending until an operator approves,"
            " `closed` answers 404",
            allowed=("open", "approve", "closed"),
        ),
    ]
    charger_auth: Annotated[
        str,
        Choice(
            _in_production("password", "optional"),
            "whether a charger must have a password (HTTP Basic);"
            " see [Chargers without a password](#chargers-without-a-password)",
            allowed=("optional", "password"),
        ),
    ]
    charger_origins: Annotated[
        tuple[str, ...],
        Words(
            (),
            "web pages that may open chargers' sockets (`https://tool.example.com`);"
            " a browser's `Origin` of any other is refused",
        ),
    ]
    anonymous_sockets_per_source: Annotated[
        int,
        Whole(
            _in_production(500, 0),
            "sockets without a password from one address (IPv6: one /64); `0`: no limit",
            least=0,
        ),
    ]
    new_chargers_per_source: Annotated[
        int,
        Whole(
            _in_production(50, 5000),
            "chargers that nobody knows from one address in an hour; `0`: no limit",
            least=0,
        ),
    ]
    unapproved_bytes_per_hour: Annotated[
        int,
        Whole(
            1 << 20,
            "what a charger may store that waits for approval; beyond it its socket is closed, and its events"
            " say so; `0`: no limit",
            least=0,
        ),
    ]
    first_message_seconds: Annotated[
        float,
        Number(30.0, "how long a socket of a charger that was never accepted may say nothing", least=0.1),
    ]
    unknown_tags: Annotated[
        str,
        Choice(
            Depends(
                "`accept` when `open`, else `invalid`",
                lambda known: "accept" if known.charger_onboarding == "open" else "invalid",
            ),
            "what a card that nobody entered is answered",
            allowed=("accept", "invalid"),
        ),
    ]
    heartbeat_interval: Annotated[int, Whole(300, "seconds between heartbeats, as told to chargers", least=1)]
    heartbeat_timeout: Annotated[
        int,
        Whole(
            330,
            "seconds of silence after which a charger is Unavailable; longer than `HEARTBEAT_INTERVAL`",
            least=2,
        ),
    ]
    liveness_probe_seconds: Annotated[
        int, Whole(20, "how long before that limit it is asked for a heartbeat; `0`: never", least=0)
    ]
    believe_clocks_years: Annotated[
        int, Whole(5, "how far back a charger's clock is believed", least=1, most=20)
    ]
    retire_connectors_after: Annotated[
        int,
        Whole(
            600,
            "seconds after a boot in which a charger must have reported a connector that it may not have any"
            " more (see `…/connectors/{connectorId}`)",
            least=1,
        ),
    ]
    sweep_interval: Annotated[float, Number(2.0, "seconds between looks for silent chargers", least=0.05)]
    websocket_ping_interval: Annotated[
        int, Whole(25, "seconds between our pings; `0`: none", least=0, most=54)
    ]
    call_timeout: Annotated[float, Number(30.0, "seconds a charger has to answer a call", least=0.1)]
    call_timeouts_before_drop: Annotated[
        int, Whole(3, "unanswered calls in a row after which its socket is dropped", least=1)
    ]
    operator_wait: Annotated[
        float, Number(10.0, "seconds that a start or end waits for the charger, in all", least=0.1)
    ]
    automatic_calls: Annotated[bool, Flag(True, "configuration and triggers that the system sends by itself")]
    follow_up_delay: Annotated[
        float, Number(1.0, "seconds from the boot's answer to the first of them", least=0.0)
    ]
    max_message_bytes: Annotated[int, Whole(1 << 20, "the largest WebSocket message", least=1024)]
    max_request_bytes: Annotated[int, Whole(1 << 20, "the largest REST body", least=1024)]
    admissions_at_once: Annotated[
        int,
        Whole(
            200,
            "chargers that may be on their way in at once (after an outage); five times as many wait up to 3 s, the"
            " others get 503 with Retry-After; `0`: no limit",
            least=0,
        ),
    ]
    committers: Annotated[int, Whole(2, "parallel commits to MySQL", least=1, most=16)]
    batch_size: Annotated[int, Whole(256, "messages in one commit", least=1, most=5000)]
    charger_connections: Annotated[
        int,
        Whole(
            Depends("`COMMITTERS` + 6", lambda known: known.committers + 6),
            "database connections for what chargers say, held from the start; with `REST_CONNECTIONS` and 2"
            " more, checked at the start against what the database allows",
            least=Depends(
                f"`COMMITTERS` + {LEAST_BESIDES_COMMITTERS}",
                lambda known: known.committers + LEAST_BESIDES_COMMITTERS,
            ),
            most=200,
        ),
    ]
    rest_connections: Annotated[
        int, Whole(10, "database connections for operators' requests, opened when needed", least=1, most=200)
    ]
    commit_timeout: Annotated[
        float,
        Number(
            20.0, "seconds a charger's message waits for its commit before its socket is dropped", least=0.1
        ),
    ]
    database_timeout: Annotated[int, Whole(10, "seconds a statement waits for the database", least=1)]
    retain_meter_values_days: Annotated[
        int,
        Whole(
            730, "days after which meter values are dropped; `0`: never. Sessions are kept for good", least=0
        ),
    ]
    retain_status_history_days: Annotated[int, Whole(365, "the same for the status history", least=0)]
    retain_events_days: Annotated[int, Whole(90, "the same for events", least=0)]
    message_journal_percent: Annotated[
        int,
        Whole(
            0,
            "of how many in a hundred chargers every message is kept (`…/messages`), whole conversations at a time; single ones"
            ' with `PATCH /api/chargers/{chargerId} {"journal": true}`',
            least=0,
            most=100,
        ),
    ]
    retain_messages_days: Annotated[int, Whole(7, "days after which such messages are dropped", least=1)]
    most_messages: Annotated[
        int, Whole(2_000_000, "how many such messages are kept at most; the oldest go first", least=1000)
    ]
    retain_audit_days: Annotated[int, Whole(1096, "the same for the audit trail", least=0)]
    retain_commands_days: Annotated[int, Whole(365, "the same for commands", least=0)]
    trusted_proxies: Annotated[
        tuple[str, ...],
        Networks(
            (),
            "addresses or networks of your reverse proxies (`10.0.0.0/8,192.0.2.7`): only from these"
            " `X-Forwarded-For`, `X-Forwarded-Proto` and the PROXY protocol are believed",
        ),
    ]
    log_level: Annotated[
        str, Choice("INFO", "the log goes to standard error", allowed=("DEBUG", "INFO", "WARNING", "ERROR"))
    ]
    access_log: Annotated[
        bool, Flag(False, "one line for each REST request, on standard output; health checks never")
    ]

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """What tokens may be signed with: new ones are with the last."""
        return (*self.jwt_previous_secret_keys, self.jwt_secret_key)

    @property
    def clocks_believed_for(self) -> timedelta:
        """How old a time of a charger's may be and still be believed."""
        return timedelta(days=round(365.25 * self.believe_clocks_years))


def variables(of: type) -> Iterator[tuple[str, Variable]]:
    """The names of the fields of Settings or FirstAccount and what their variables hold, in order."""
    for name, hint in get_type_hints(of, include_extras=True).items():
        yield name, hint.__metadata__[0]
