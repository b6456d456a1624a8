"""A fake charger that holds every frame of the central system against the published schemas."""

from __future__ import annotations

import json
import re
from typing import Any

from charger_mgmt.dialects.ocpp16.form import check_request, response_errors
from charger_mgmt.ocppj.frames import CallError, CallResult
from charger_mgmt.simulate.charger import FakeCharger
from charger_mgmt.simulate.ledger import Message

_CALL = re.compile(r'\[2,("[^"]*"|\d+)(?:,"([^"]*)")?')
#: OCPP-J table 7, with its two historic spellings (J errata 5.1 and 5.2).
ERROR_CODES = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}


class StrictCharger(FakeCharger):
    """`faults` are the rules that the central system has broken; `log` is what went over the line, in order.

    A log entry is (who, kind, action): ("central", "call", "Reset"), ("charger", "answer", "Reset").
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.faults: list[str] = []
        self.log: list[tuple[str, str, str]] = []
        self._open: dict[str, list[str]] = {}
        self._ids_heard: dict[str, str] = {}

    def actions(self) -> list[str]:
        """The central system's calls, oldest first."""
        return [call.action for call in self.calls]

    def receives(self, text: str) -> None:
        for fault in self._broken_rules(text):
            self.faults.append(f"{fault}: {text[:500]}")
        super().receives(text)

    def replies(self, frame: CallResult | CallError) -> None:
        self.log.append(("charger", "answer", self._ids_heard[str(frame.id)]))
        super().replies(frame)

    def sends_text(self, text: str, fenced: bool = True) -> Any:
        # The id of a call counts as soon as it can be read, even in a frame that breaks off.
        if (call := _CALL.match(text)) is not None:
            self._opens(json.loads(call[1]), call[2] or "")
        return super().sends_text(text, fenced)

    def _encoded(self, message: Message) -> tuple[str, str]:
        message_id, text = super()._encoded(message)
        self._opens(message_id, message.action)
        return message_id, text

    def _opens(self, message_id: Any, action: str) -> None:
        self._open.setdefault(json.dumps(message_id), []).append(action)
        self.log.append(("charger", "call", action))

    def _broken_rules(self, text: str) -> list[str]:
        """What is wrong with a frame of the central system (OCPP-J sections 4.1 and 4.2)."""
        try:
            frame = json.loads(text)
        except ValueError:
            return ["not JSON"]
        if not isinstance(frame, list) or not frame:
            return ["not an array"]
        match frame:
            case [2, str(message_id), str(action), payload]:
                return self._call(message_id, action, payload)
            case [3, message_id, payload]:
                answered = self._answered(message_id)
                if answered is None:
                    return ["an answer to nothing that was asked"]
                self.log.append(("central", "answer", answered))
                return [f"{pointer} {why}" for pointer, why in response_errors(answered, payload)]
            case [4, message_id, str(code), str(description), dict()]:
                answered = self._answered(message_id)
                if answered is None:
                    return ["an error to nothing that was asked"]
                self.log.append(("central", "error", answered))
                wrong = [] if code in ERROR_CODES else [f"{code} is no error code of OCPP 1.6"]
                return wrong + (["the description is too long"] if len(description) > 255 else [])
        return ["not the structure of a frame"]

    def _call(self, message_id: str, action: str, payload: Any) -> list[str]:
        self.log.append(("central", "call", action))
        wrong = [f"{pointer} {why}" for pointer, why in check_request(action, payload)]
        if len(message_id) > 36:
            wrong.append("the message id is too long")
        if message_id in self._ids_heard:
            wrong.append("the message id is not new")
        self._ids_heard[message_id] = action
        return wrong

    def _answered(self, message_id: Any) -> str | None:
        """The action of the call that this answers; each call has one answer."""
        waiting = self._open.get(json.dumps(message_id))
        return waiting.pop(0) if waiting else None
