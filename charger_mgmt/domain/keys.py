"""The hashes that make twice once: 16 bytes of canonical text, for the database's unique keys."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

_SEPARATOR = "\x1f"


def key(*parts: object) -> bytes:
    """A 16-byte hash of the parts' canonical text. None and "" differ; a datetime is its instant."""
    text = _SEPARATOR.join([part if type(part) is str else _canonical(part) for part in parts])
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()


def _canonical(part: object) -> str:
    if part is None:
        return "\x00"
    if isinstance(part, datetime):
        return _instant(part)
    return str(part)


@lru_cache(maxsize=1024)  # the samples of one message share their time
def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
