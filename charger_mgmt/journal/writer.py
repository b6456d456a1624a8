"""The journal of messages: what goes over chargers' sockets is kept, beside the hot path.

A frame costs the conversation one entry in a list; a greenlet of its own reads, masks and stores what has gathered, once a
second, on the operators' connections. What does not fit is counted and left out: a crash loses the last second, and an answer is
never slowed down.
"""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import gevent
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .. import clock
from ..commands.calls import CALLS
from ..commands.masking import HIDDEN, Masking
from ..database import bulk
from ..database.models import Message
from ..errors import DatabaseAway

log = logging.getLogger(__name__)

#: Between two writings, in seconds.
EVERY: Final = 1.0
#: Frames, and characters of them, that may wait to be written.
MOST_FRAMES: Final = 20_000
MOST_CHARACTERS: Final = 16 << 20
#: Characters that are kept of a frame.
LONGEST: Final = 8_000
_AT_A_TIME: Final = 200
#: Calls whose answer is waited for, to know how long it took and what it answers.
_MOST_OPEN: Final = 50_000
_KINDS: Final = {"2": "call", "3": "result", "4": "error"}
#: The beginning of a frame: its type, its id, and the action or the error's code.
_HEAD = re.compile(r'\s*\[\s*([234])\s*,\s*"((?:[^"\\]|\\.){0,64})"\s*(?:,\s*"((?:[^"\\]|\\.){0,64})")?')
_STATUS = re.compile(r'"status"\s*:\s*"([^"\\]{1,64})"')
_FLAT_ACTION = re.compile(r'"messageType"\s*:\s*"([^"\\]{1,64})"')

Note: TypeAlias = Callable[[bool, str], None]


class _Noted(NamedTuple):
    charger_id: int
    outgoing: bool
    at: datetime
    text: str


class _Open(NamedTuple):
    action: str
    at: datetime
    #: It carries an AuthorizationKey: its answer may repeat it.
    is_secret: bool


class Journal:
    """Of one process. `percent`: of how many in a hundred chargers messages are kept, of whom nothing else is said."""

    def __init__(self, engine: Engine, percent: int) -> None:
        self._engine = engine
        self._percent = percent
        self._noted: list[_Noted] = []
        self._characters = 0
        self._left_out = 0
        #: (charger, id, whether it is ours) → the call.
        self._open: OrderedDict[tuple[int, str, bool], _Open] = OrderedDict()

    def of(self, identity: str, charger_id: int, wanted: bool | None) -> Note | None:
        """What keeps a charger's frames (outgoing, text); None: they are not kept. `wanted`: its own setting."""
        if wanted is None:
            wanted = zlib.crc32(identity.encode(errors="replace")) % 100 < self._percent
        return partial(self._note, charger_id) if wanted else None

    def _note(self, charger_id: int, outgoing: bool, text: str) -> None:
        """Never waits, never raises."""
        if len(self._noted) >= MOST_FRAMES or self._characters >= MOST_CHARACTERS:
            self._left_out += 1
            return
        self._noted.append(_Noted(charger_id, outgoing, clock.now(), text))
        self._characters += len(text)

    def start(self) -> None:
        gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            gevent.sleep(EVERY)
            try:
                self.write()
            except (SQLAlchemyError, DatabaseAway) as error:
                log.info("messages are left out of the journal: %s", type(error).__name__)
            except Exception:
                log.exception("messages could not be written into the journal")

    def write(self) -> None:
        """Store what has gathered."""
        noted, self._noted, self._characters = self._noted, [], 0
        left_out, self._left_out = self._left_out, 0
        if left_out:
            log.warning("%d messages are left out of the journal: they came too fast", left_out)
        for start in range(0, len(noted), _AT_A_TIME):
            rows = [self._row(each) for each in noted[start : start + _AT_A_TIME]]
            with self._engine.begin() as conn:
                bulk.insert(conn, Message.__table__, rows)
            gevent.sleep(clock.A_TURN)

    def _row(self, noted: _Noted) -> dict[str, Any]:
        head = _HEAD.match(noted.text)
        kind, message_id, word = head.groups() if head is not None else (None, None, None)
        action, outcome, round_trip, secret = None, None, None, False
        if kind == "2":
            action = word
            secret = _carries_key(action, noted)
            self._remember(noted, message_id or "", action or "", secret)
        elif kind is not None:
            call = self._open.pop((noted.charger_id, message_id or "", not noted.outgoing), None)
            if call is not None:
                action, secret = call.action, call.is_secret
                round_trip = max(0, round((noted.at - call.at).total_seconds() * 1000))
            status = _STATUS.search(noted.text, 0, LONGEST) if kind == "3" else None
            outcome = word if kind == "4" else status[1] if status is not None else None
        elif (named := _FLAT_ACTION.search(noted.text, 0, LONGEST)) is not None:
            action = named[1]
        return {
            "charger_id": noted.charger_id,
            "at": noted.at,
            "outgoing": noted.outgoing,
            "kind": _KINDS.get(kind or "", "other"),
            "action": None if action is None else bulk.storable(action)[:64],
            "message_id": None if message_id is None else bulk.storable(message_id)[:64],
            "text": _shown(noted.text, action, kind, secret)[:LONGEST],
            "size": len(noted.text),
            "round_trip_ms": None if round_trip is None else min(round_trip, 2**31 - 1),
            "outcome": None if outcome is None else bulk.storable(outcome)[:64],
        }

    def _remember(self, noted: _Noted, message_id: str, action: str, secret: bool) -> None:
        self._open[noted.charger_id, message_id, noted.outgoing] = _Open(action, noted.at, secret)
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)


def _carries_key(action: str | None, noted: _Noted) -> bool:
    return noted.outgoing and action == "ChangeConfiguration" and "authorizationkey" in noted.text.lower()


def _shown(text: str, action: str | None, kind: str | None, secret: bool) -> str:
    """A frame as it may be kept: without keys, and without passwords in addresses."""
    names_key = "authorizationkey" in text.lower()
    call = CALLS.get(action or "") if kind == "2" else None
    if not (secret or names_key or (call is not None and call.address)):
        return bulk.storable(text[: 2 * LONGEST])
    if len(text) > 20 * LONGEST:
        return HIDDEN
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return HIDDEN
    if not isinstance(frame, list) or len(frame) < 3:
        return HIDDEN
    if secret and kind != "2":  # it may repeat the key, in any spelling
        return json.dumps([*frame[:2], HIDDEN])
    if call is not None and len(frame) > 3 and isinstance(frame[3], dict):
        frame[3] = call.redacted(frame[3])
    return str(json.dumps(Masking(None, ()).tree(frame)))
