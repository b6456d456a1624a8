"""What a charger says is kept without its AuthorizationKey, wherever in an answer it repeats it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from ..chargers import passwords
from ..database.bulk import storable
from ..trees import mapped

HIDDEN: Final = "***"
_NAME: Final = "authorizationkey"
#: How deep an answer is kept, and how many of its texts are held against the charger's stored keys.
_DEEPEST: Final = 10
_MOST_LOOKED_AT: Final = 500


def is_secret(key: Any) -> bool:
    """Whether this is the name of the configuration key that is a password."""
    return isinstance(key, str) and key.strip().lower() == _NAME


class Masking:
    """Hides a charger's keys: `sent`, one that we have just sent, and those whose `hashes` are stored."""

    def __init__(self, sent: str | None, hashes: Iterable[str]) -> None:
        self._spellings = () if sent is None else _spellings(sent)
        self._hashes = tuple(hashes)
        self._left = _MOST_LOOKED_AT

    def text(self, text: str) -> str:
        """The text, as any database takes it."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        if _NAME in text.lower() and not is_secret(text):  # "AuthorizationKey=…"
            return HIDDEN
        if self._hashes and passwords.SHORTEST <= len(text) <= 4 * passwords.LONGEST and self._left:
            self._left -= 1
            if any(passwords.matches(known, text.strip().encode()) for known in self._hashes):
                return HIDDEN
        return storable(text)

    def tree(self, value: Any) -> Any:
        """A JSON value, as any database takes it."""
        too_deep = "(nested too deeply)"
        return mapped(value, self._leaf, self._members, deepest=_DEEPEST, beyond=lambda _: too_deep)

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        return (
            str(value) if isinstance(value, Decimal) else value
        )  # below the depth to which answers are checked

    def _members(self, value: dict[Any, Any]) -> Iterable[tuple[str, Any]]:
        names_it = any(is_secret(item) for item in value.values())
        for name, item in value.items():
            told = names_it and not isinstance(item, bool) and not is_secret(item) and item != ""
            yield self.text(name), HIDDEN if is_secret(name) or told else item


def _spellings(key: str) -> tuple[str, ...]:
    """How a charger may write a key that it was sent: as it came, in the other case, as text, as hex."""
    raw = passwords.canonical(key)
    found = {key, key.lower(), key.upper(), raw.hex(), raw.hex().upper()}
    if raw.isascii() and raw.decode("ascii").isprintable():
        found.add(raw.decode("ascii"))
    return tuple(sorted((spelling for spelling in found if spelling), key=len, reverse=True))
