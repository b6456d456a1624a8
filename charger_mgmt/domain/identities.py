"""A charger's identity: one name in both dialects, in paths and in JSON.

An identity is a text. One that is a canonical decimal number (`1`, not `007`; up to 2^53 - 1, which every
JSON reader keeps exact) is written as a JSON integer, so that flat charger 1, `/ocpp/1` and
`GET /api/chargers/1` are one charger.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

LONGEST: Final = 128
LARGEST_NUMBER: Final = 2**53 - 1
_CANONICAL = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
#: Categories of Unicode that no name needs: control characters, invisible format characters (direction
#: marks), lone surrogates, line and paragraph separators.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def problem(identity: str) -> str | None:
    """Why this text cannot be an identity, as a sentence without a subject; None when it can.

    A slash would end the path's segment, a colon the user name of Basic authentication; blanks at the
    ends are equal to none in some databases.
    """
    if not identity:
        return "must not be empty"
    if len(identity) > LONGEST:
        return f"must have at most {LONGEST} characters"
    if identity.isalnum() and identity.isascii():
        return None
    if identity != identity.strip():
        return "must not begin or end with a blank"
    if any(unicodedata.category(character) in _UNPRINTABLE for character in identity):
        return "must not contain control characters"
    if "/" in identity:
        return "must not contain a slash"
    if ":" in identity:
        return "must not contain a colon"
    if identity in (".", ".."):
        return "must not be a relative path"
    return None


def from_text(text: str) -> str:
    """The identity that a text names; raises ValueError, with a sentence, when it cannot be one."""
    if (wrong := problem(text)) is not None:
        raise ValueError(wrong)
    return text


def from_json(value: Any) -> str:
    """The identity that a JSON value names: a text, or a whole number from 0 to 2^53 - 1.

    Raises ValueError, with a sentence, for anything else.
    """
    if isinstance(value, str):
        return from_text(value)
    if type(value) is not int:
        raise ValueError("must be a whole number or a text")
    if not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"must be from 0 to {LARGEST_NUMBER} when it is a number")
    return str(value)


def to_json(identity: str) -> int | str:
    """The identity as it stands in JSON: an integer when it is a canonical decimal, else the text."""
    if _CANONICAL.fullmatch(identity) and (number := int(identity)) <= LARGEST_NUMBER:
        return number
    return identity
