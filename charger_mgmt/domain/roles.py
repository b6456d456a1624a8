"""Who may do what: three roles, each of which may do all that the one before it may, and the sites that somebody sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

#: Reads; commands, tags and sessions; users, sites, keys and what chargers are.
VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ADMIN: Final = "admin"
ROLES: Final = (VIEWER, OPERATOR, ADMIN)

#: The ids of the sites whose chargers somebody sees; None: all chargers, also those without a site.
Sites: TypeAlias = frozenset[int] | None

#: What somebody has shown: a log-in's token, a key of ours, a token of an outside identity provider.
BY_LOG_IN: Final = "log-in"
BY_KEY: Final = "key"
BY_PROVIDER: Final = "provider"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as one request knows it: an account, and what it may do by what it has shown.

    `log_in` names the log-in that the token belongs to, `key_id` the key.
    """

    user_id: int
    username: str
    role: str
    sites: Sites
    by: str
    log_in: str | None = None
    key_id: int | None = None

    def sees(self, site_id: int | None) -> bool:
        """Whether a charger at this site (None: at none) is theirs to see."""
        return self.sites is None or site_id in self.sites


def may(role: str, needed: str) -> bool:
    """Whether a role may do what asks for the `needed` one."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


def lesser(one: str, other: str) -> str:
    """The role of the two that may do less."""
    return min(one, other, key=ROLES.index)


def common(one: Sites, other: Sites) -> Sites:
    """The sites that both see."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def sites_of(stored: Iterable[int] | None) -> Sites:
    """What a list of ids, or null, in the database stands for."""
    return None if stored is None else frozenset(stored)
