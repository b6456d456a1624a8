"""The charger's side of the wire for a load process: ready-made masked frames, and the least reading."""

from __future__ import annotations

#: Any key is as good as another for the server's work; a fixed one lets frames be made ahead.
_KEY = b"\x37\xfa\x21\x3d"
_TEXT, _PONG = 0x81, 0x8A
_patterns: dict[int, int] = {}


def text(payload: bytes) -> bytes:
    """A masked text frame of at most 65,535 bytes."""
    return _frame(_TEXT, payload)


def pong(payload: bytes) -> bytes:
    return _frame(_PONG, payload)


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length)) + _KEY
    else:
        head = bytes((first, 0x80 | 126)) + length.to_bytes(2, "big") + _KEY
    pattern = _patterns.get(length)
    if pattern is None:
        pattern = _patterns[length] = int.from_bytes((_KEY * (length // 4 + 1))[:length], "big")
    return head + (int.from_bytes(payload, "big") ^ pattern).to_bytes(length, "big")


def split(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The first frame of a server's bytes as (opcode, payload, rest); None: it is not whole yet."""
    if len(data) < 2:
        return None
    length, start = data[1], 2
    if length > 126:
        raise ValueError("a server's frame of 64 KB or more")
    if length == 126:
        if len(data) < 4:
            return None
        length, start = int.from_bytes(data[2:4], "big"), 4
    end = start + length
    if len(data) < end:
        return None
    return data[0] & 0x0F, data[start:end], data[end:]
