"""WebSocket frames, the server's side (RFC 6455 section 5): bytes in, messages out; text in, bytes out.

Pure: no socket, no clock. Strict in framing, with one tolerance: text that is not valid UTF-8 is read
with replacement characters, because a charger's Latin-1 vendor field must not cost its StopTransaction.
Binary frames are read as text. No extensions are negotiated, so a compressed frame is a violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
#: A reason in a close frame: a control frame's 125 bytes less the code.
_LONGEST_REASON = 123
#: Empty fragments of one message: no charger needs them, a flood of them would never end.
_MOST_FRAGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Ping:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer closes; `code` is None when it gave none."""

    code: int | None
    reason: str = ""


Event: TypeAlias = str | Ping | Pong | Close


class ProtocolViolation(Exception):
    """The peer broke the protocol; the socket must be closed with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FrameReader:
    """Takes bytes as they arrive and gives whole messages.

    Holds at most one message of `max_message_bytes` and what one `feed` brought beyond it.
    """

    __slots__ = ("_buffer", "_fragments", "_joined", "_max", "_pieces", "count")

    def __init__(self, max_message_bytes: int) -> None:
        self._max = max_message_bytes
        self._buffer: bytes | bytearray = b""
        #: The fragments of a message that has begun; None between messages.
        self._fragments: list[bytes] | None = None
        self._joined = 0
        self._pieces = 0
        #: Frames read so far, whatever became of them.
        self.count = 0

    @property
    def held(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._buffer) + self._joined

    def feed(self, data: bytes) -> None:
        """Take bytes; call `next` until it gives None before feeding more."""
        if not self._buffer:
            self._buffer = data
        elif isinstance(self._buffer, bytearray):
            self._buffer += data
        else:  # a second piece of one frame: from here on appending must not copy
            self._buffer = bytearray(self._buffer)
            self._buffer += data

    def next(self) -> Event | None:
        """The next message or control frame; None: more bytes are needed. Raises ProtocolViolation."""
        while True:
            frame = self._frame()
            if frame is None:
                return None
            self.count += 1
            first, payload = frame
            opcode = first & 0x0F
            if opcode >= 0x8:
                return _control(opcode, payload)
            whole = self._message(first, opcode, payload)
            if whole is not None:
                return whole.decode("utf-8", "replace")

    def _frame(self) -> tuple[int, bytes] | None:
        """The next whole frame: its first byte and its unmasked payload."""
        buffer = self._buffer
        available = len(buffer)
        if available < 2:
            return None
        first, second = buffer[0], buffer[1]
        if first & 0x70:
            raise ProtocolViolation(PROTOCOL_ERROR, "compressed frame or reserved bit without negotiation")
        if not second & 0x80:
            raise ProtocolViolation(PROTOCOL_ERROR, "frame of a client is not masked")
        length = second & 0x7F
        start = 6
        if first & 0x08:
            if length > 125 or not first & 0x80:
                raise ProtocolViolation(PROTOCOL_ERROR, "control frame is fragmented or too long")
        elif length > 125:
            start = 8 if length == 126 else 14
            if available < start - 4:
                return None
            length = int.from_bytes(buffer[2 : start - 4], "big")
        if length > self._max - self._joined and not first & 0x08:
            raise ProtocolViolation(TOO_BIG, f"message is longer than {self._max} bytes")
        end = start + length
        if available < end:
            return None
        payload = _unmask(buffer[start:end], buffer[start - 4 : start], length) if length else b""
        self._buffer = buffer[end:] if available > end else b""
        return first, payload

    def _message(self, first: int, opcode: int, payload: bytes) -> bytes | None:
        """A data frame joined with what came before; None while the message goes on."""
        final = first & 0x80
        if opcode == _CONTINUATION:
            if self._fragments is None:
                raise ProtocolViolation(PROTOCOL_ERROR, "continuation of nothing")
        elif opcode not in (_TEXT, _BINARY):
            raise ProtocolViolation(PROTOCOL_ERROR, f"reserved opcode {opcode:#x}")
        elif self._fragments is not None:
            raise ProtocolViolation(PROTOCOL_ERROR, "new message inside a fragmented one")
        elif final:
            return payload
        else:
            self._fragments = []
            self._pieces = 0
        self._pieces += 1
        if self._pieces > _MOST_FRAGMENTS:
            raise ProtocolViolation(TOO_BIG, "message has too many fragments")
        if payload:
            self._fragments.append(payload)
            self._joined += len(payload)
        if not final:
            return None
        whole = b"".join(self._fragments)
        self._fragments, self._joined = None, 0
        return whole


def _unmask(data: bytes | bytearray, mask: bytes | bytearray, length: int) -> bytes:
    # One exclusive-or over a big integer: fifty times faster than a loop over bytes.
    repeated = bytes(mask) * (length // 4 + 1)
    pattern = int.from_bytes(repeated[:length], "big")
    return (int.from_bytes(data, "big") ^ pattern).to_bytes(length, "big")


def _control(opcode: int, payload: bytes) -> Ping | Pong | Close:
    if opcode == _PING:
        return Ping(payload)
    if opcode == _PONG:
        return Pong(payload)
    if opcode != _CLOSE:
        raise ProtocolViolation(PROTOCOL_ERROR, f"reserved opcode {opcode:#x}")
    if not payload:
        return Close(None)
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not _may_be_sent(code):
        raise ProtocolViolation(PROTOCOL_ERROR, "close frame with an impossible code")
    return Close(code, payload[2:].decode("utf-8", "replace"))


def _may_be_sent(code: int) -> bool:
    """Section 7.4: 1004 to 1006 and 1015 never stand in a frame; 3000 and above are the peers' own."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


def text_frame(text: str) -> bytes:
    """One whole, unmasked text frame."""
    # A lone surrogate (possible after JSON's \ud800) cannot be UTF-8; it leaves as a question mark.
    return _frame(_TEXT, text.encode("utf-8", "replace"))


def ping_frame(payload: bytes = b"") -> bytes:
    return _frame(_PING, payload)


def pong_frame(payload: bytes) -> bytes:
    return _frame(_PONG, payload)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame; a reason that is too long is cut between characters."""
    if code is None:
        return _frame(_CLOSE, b"")
    cut = reason.encode("utf-8", "replace")[:_LONGEST_REASON].decode("utf-8", "ignore")
    return _frame(_CLOSE, code.to_bytes(2, "big") + cut.encode())


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65536:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big") + payload
