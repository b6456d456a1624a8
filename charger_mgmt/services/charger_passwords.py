"""Chargers' HTTP Basic passwords as they are stored: salted SHA-256.

Not argon2: a charger's password is long and random, and five thousand chargers may redial at once
(docs/adr). What is hashed are bytes, as the specification has them (OCPP-J section 6.2.2).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

#: In bytes. The security whitepaper's A00.FR.205 asks for 16 at least; the upper bound is ours.
SHORTEST = 16
LONGEST = 64
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){16,64}")


def hashed(password: bytes) -> str:
    """`sha256$<salt>$<digest>`, both in hex."""
    salt = secrets.token_bytes(16)
    return f"sha256${salt.hex()}${hashlib.sha256(salt + password).hexdigest()}"


def matches(stored: str, password: bytes) -> bool:
    """Whether this password made the stored hash; compares in constant time."""
    scheme, _, rest = stored.partition("$")
    salt, _, digest = rest.partition("$")
    if scheme != "sha256":
        return False
    return hmac.compare_digest(hashlib.sha256(bytes.fromhex(salt) + password).hexdigest(), digest)


def of_authorization_key(value: str) -> bytes:
    """The password that an AuthorizationKey stands for: hex on the wire, bytes in the Basic header.

    A value that is no hex of 16 bytes or more is taken as the text that it is (older firmware).
    """
    return bytes.fromhex(value) if _HEX.fullmatch(value) else value.encode()
