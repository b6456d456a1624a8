"""Chargers' HTTP Basic passwords as they are stored: salted SHA-256.

Not argon2: a charger's password is long and random, and five thousand chargers may redial at once
(docs/adr). What is hashed are bytes, as the specification has them (OCPP-J section 6.2.2).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator

#: In bytes. The security whitepaper's A00.FR.205 asks for 16 at least; the upper bound is ours.
SHORTEST = 16
LONGEST = 64
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){16,64}")


def hashed(password: bytes) -> str:
    """`sha256$<salt>$<digest>`, both in hex."""
    salt = secrets.token_bytes(16)
    return f"sha256${salt.hex()}${hashlib.sha256(salt + password).hexdigest()}"


def matches(stored: str, given: bytes) -> bool:
    """Whether this password, in one of its spellings, made the stored hash; compares in constant time.

    A key is hex in the configuration and bytes in the header (section 6.2.2), but chargers send its digits as well.
    """
    return any(_made(stored, spelled) for spelled in _spellings(given))


def canonical(text: str) -> bytes:
    """The bytes that are hashed for a password or AuthorizationKey: hex of 16 bytes or more stands for its bytes.

    Anything else is taken as the text that it is.
    """
    return bytes.fromhex(text) if _HEX.fullmatch(text) else text.encode()


def _spellings(given: bytes) -> Iterator[bytes]:
    yield given
    text = given.decode("latin-1")
    if _HEX.fullmatch(text):
        yield bytes.fromhex(text)
    # Hashes from before keys were stored in one form.
    yield given.hex().encode()
    yield given.hex().upper().encode()


def _made(stored: str, password: bytes) -> bool:
    scheme, _, rest = stored.partition("$")
    salt, _, digest = rest.partition("$")
    if scheme != "sha256":
        return False
    return hmac.compare_digest(hashlib.sha256(bytes.fromhex(salt) + password).hexdigest(), digest)


# Keys whose answer is not known

#: Before the hash of a key that the charger uses after its next boot: until then it may use the old one.
_AFTER_REBOOT = "reboot:"
#: So many are kept, the newest: each change that is sent while the last is unsettled adds one.
_MOST_PENDING = 2


def with_pending(pending: str | None, key_hash: str) -> str:
    """A key is about to be sent: from now on it may be the charger's."""
    return " ".join([*(pending or "").split(), key_hash][-_MOST_PENDING:])


def after_reboot(pending: str | None, key_hash: str) -> str | None:
    """The charger has the key and uses it after its next boot."""
    return _changed(pending, key_hash, [_AFTER_REBOOT + key_hash])


def without_pending(pending: str | None, key_hash: str) -> str | None:
    """The charger has not taken the key."""
    return _changed(pending, key_hash, [])


def is_pending(pending: str | None, key_hash: str) -> bool:
    return key_hash in _hashes(pending)


def known(stored: str | None, pending: str | None) -> tuple[str, ...]:
    """The hashes of every password that the charger may use."""
    return tuple(entry for entry in (stored, *_hashes(pending)) if entry)


def proven(stored: str | None, pending: str | None, given: bytes) -> str | None:
    """Which of the hashes this password made; None: none."""
    return next((known for known in (stored, *_hashes(pending)) if known and matches(known, given)), None)


def settled(stored: str | None, pending: str | None, used: str) -> str | None:
    """What is left pending once the charger has used a password (its hash)."""
    if used != stored:
        return None
    return " ".join(p for p in (pending or "").split() if p.startswith(_AFTER_REBOOT)) or None


def _hashes(pending: str | None) -> list[str]:
    return [entry.removeprefix(_AFTER_REBOOT) for entry in (pending or "").split()]


def _changed(pending: str | None, key_hash: str, instead: list[str]) -> str | None:
    kept = [p for p in (pending or "").split() if p.removeprefix(_AFTER_REBOOT) != key_hash]
    return " ".join([*kept, *instead]) or None
