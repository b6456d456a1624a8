"""Configuration keys: /api/chargers/{chargerId}/configuration, /api/configuration."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint

from ..commands.masking import is_secret
from ..domain.roles import OPERATOR, VIEWER
from ..errors import CallErrored
from ..extensions import db
from ..web.answers import Answer, Time
from ..web.endpoint import endpoint
from ..web.fields import ChargerIds, ChargerName, about, choice, meta
from ..web.process import central, operator, sites
from ..web.reading import Sent
from ..web.replies import RELATED, Reply, command_link
from . import keeping
from .keeping import Setting
from .value_rows import LONGEST_NAME

blueprint = Blueprint("configuration", __name__)

_OF_ONE = "/chargers/<charger_id>/configuration"
_MOST_KEYS = 100


def _desired(value: Any) -> dict[str, str | None]:
    if not isinstance(value, dict) or not 1 <= len(value) <= _MOST_KEYS:
        raise ValueError(f"must be an object with 1 to {_MOST_KEYS} keys")
    for name, text in value.items():
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
            raise ValueError(f"has a key that cannot be: {name[:50]!r}")
        if text is not None and (not isinstance(text, str) or len(text) > 500 or not text.isprintable()):
            raise ValueError(f"{name}: must be a text of at most 500 characters, or null")
    if any(is_secret(name) for name in value):  # said here: what is read would be in the audit trail
        raise ValueError(
            "names a password: set that with PATCH /api/chargers/{chargerId}, or by ChangeConfiguration"
        )
    if len({name.lower() for name in value}) < len(value):
        raise ValueError("names a key twice")
    return value


Desired = Annotated[
    dict[str, str | None],
    meta(
        _desired,
        instead={
            "type": "object",
            "maxProperties": _MOST_KEYS,
            "additionalProperties": {"type": ["string", "null"], "maxLength": 500},
        },
        description="Key → value, always a text; null: nobody cares any more.",
        examples=[{"MeterValueSampleInterval": "60"}],
    ),
]


class DesiredValues(Sent):
    desired: Desired


class DesiredOfMany(Sent):
    charger_ids: ChargerIds
    desired: Desired


class ConfigurationKey(Answer):
    key: str
    value: Annotated[str | None, about("As the charger told it last; null: never, or it shows none.")]
    readonly: bool | None
    told_at: Time | None
    desired: str | None
    desired_at: Time | None
    desired_by: str | None
    state: (
        Annotated[
            str,
            choice(
                keeping.STATES,
                description="How both stand to each other: pending until the charger is there and has answered; refused: by its"
                " own word, `answer`. Null: nothing is desired.",
            ),
        ]
        | None
    )
    answer: Annotated[str | None, about("Its word to the last ChangeConfiguration.")]
    answered_at: Time | None

    @classmethod
    def about(cls, setting: Setting) -> ConfigurationKey:
        return cls.of(setting.row, key=setting.row.name, state=setting.state)


class Refreshed(Answer):
    command_id: int
    state: Annotated[str, about("Of the call, as in the charger's commands.")]


@blueprint.get(_OF_ONE)
@endpoint(access=VIEWER, answers={200: "Its keys, by name."}, errors=("not-found",))
def list_configuration(charger_id: ChargerName) -> list[ConfigurationKey]:
    """A charger's configuration keys: what it told, when, and what it should be.

    Passwords are never shown.
    """
    return [ConfigurationKey.about(each) for each in keeping.listed(db.engine, charger_id)]


@blueprint.patch(_OF_ONE)
@endpoint(access=OPERATOR, answers={200: "Its keys as they are now."}, errors=("not-found",))
def change_configuration(charger_id: ChargerName, body: DesiredValues) -> list[ConfigurationKey]:
    """Say what a charger's keys should be.

    They are sent at once if it is there, else when it comes; `state` tells how far that is.
    """
    keeping.desire(central(), db.engine, [charger_id], body.desired, sites=sites(), requested_by=operator())
    return [ConfigurationKey.about(each) for each in keeping.listed(db.engine, charger_id)]


@blueprint.post(f"{_OF_ONE}/refresh")
@endpoint(
    access=OPERATOR,
    answers={200: ("It has told.", RELATED), 202: ("It has not answered yet.", RELATED)},
    errors=("not-found", "conflict", "charger-offline", "charger-busy", "outcome-unknown", "bus-away"),
)
def refresh_configuration(charger_id: ChargerName) -> Reply[Refreshed]:
    """Ask a charger for its configuration (GetConfiguration)."""
    wait = central().settings.operator_wait
    outcome = keeping.refresh(central(), charger_id, requested_by=operator(), wait=wait)
    if outcome.error is not None and not isinstance(outcome.error, CallErrored):
        raise outcome.error
    shown = Refreshed(outcome.command_id, outcome.state)
    return Reply(shown, 202 if outcome.waiting else 200, command_link(charger_id, outcome.command_id))


@blueprint.patch("/configuration")
@endpoint(access=OPERATOR, answers={204: "It is noted for each of them."}, errors=("not-found",))
def change_configuration_of_many(body: DesiredOfMany) -> None:
    """Say what the keys of many chargers should be."""
    keeping.desire(
        central(), db.engine, body.charger_ids, body.desired, sites=sites(), requested_by=operator()
    )
