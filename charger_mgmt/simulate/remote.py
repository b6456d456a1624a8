"""How a fake charger answers the central system's calls (section 5), and what it does about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..ocppj.frames import Call, CallError, CallResult
from .holdings import Holdings
from .transport import ChargerSideError, stamp

if TYPE_CHECKING:
    from .charger import FakeCharger
    from .ledger import ChargingSession

Payload = dict[str, Any]
#: Puts off what follows from a call until its answer is out.
Follow = Callable[[Callable[[], Any]], None]


class CentralSystemCalls:
    """One method for each call that the charger supports; anything else is NotSupported.

    A method returns the answer; what follows from it is put off until the answer is out.
    """

    def __init__(self, charger: FakeCharger) -> None:
        self._charger = charger
        #: Every call that came in.
        self.received: list[Call] = []
        self._overrides: dict[str, Callable[[Call], CallResult | CallError | None]] = {}
        self._late: dict[str, float] = {}
        holds = self.holds = Holdings(charger)
        self._supported: dict[str, Callable[[Payload, Follow], Payload]] = {
            "CancelReservation": holds.cancel,
            "CertificateSigned": holds.signed,
            "ChangeAvailability": self._change_availability,
            "ChangeConfiguration": self._change_configuration,
            "ClearCache": lambda payload, follow: {"status": "Accepted"},
            "ClearChargingProfile": holds.clear_profiles,
            "DataTransfer": lambda payload, follow: {"status": "UnknownVendorId"},
            "DeleteCertificate": holds.delete,
            "ExtendedTriggerMessage": self._trigger,
            "GetCompositeSchedule": holds.composite,
            "GetConfiguration": lambda payload, follow: charger.configuration.shown(payload.get("key")),
            "GetDiagnostics": self._get_diagnostics,
            "GetInstalledCertificateIds": holds.installed,
            "GetLocalListVersion": holds.tell_version,
            "GetLog": self._get_log,
            "InstallCertificate": holds.install,
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "ReserveNow": holds.reserve,
            "Reset": self._reset,
            "SendLocalList": holds.send_list,
            "SetChargingProfile": holds.set_profile,
            "SignedUpdateFirmware": self._update_signed_firmware,
            "TriggerMessage": self._trigger,
            "UnlockConnector": self._unlock,
            "UpdateFirmware": self._update_firmware,
        }

    # What a test decides

    def answers(self, action: str, payload: Payload) -> None:
        self._overrides[action] = lambda call: CallResult(call.id, payload)

    def errs(self, action: str, code: str, description: str) -> None:
        self._overrides[action] = lambda call: CallError(call.id, code, description, {})

    def ignores(self, action: str) -> None:
        self._overrides[action] = lambda call: None

    def answers_late(self, action: str, after: float) -> None:
        self._late[action] = after

    def obeys(self, action: str) -> None:
        self._overrides.pop(action, None)
        self._late.pop(action, None)

    # What comes in

    def receives(self, call: Call) -> None:
        self.received.append(call)
        after = self._late.get(call.action)
        if after is None:
            self._answer(call)
        else:
            self._charger.transport.later(partial(self._answer, call), after)

    def _answer(self, call: Call) -> None:
        put_off: list[Callable[[], Any]] = []
        answer = self._answered(call, put_off.append)
        if answer is None:
            return
        try:
            self._charger.replies(answer)
        except ChargerSideError:
            return  # The answer did not get out; the charger does what it was asked all the same.
        finally:
            for chore in put_off:
                self._charger.follows(chore)

    def _answered(self, call: Call, follow: Follow) -> CallResult | CallError | None:
        if call.action in self._overrides:
            return self._overrides[call.action](call)
        method = self._supported.get(call.action)
        if method is None:
            return CallError(call.id, "NotSupported", f"{call.action} is not supported", {})
        try:
            return CallResult(call.id, method(call.payload or {}, follow))
        except (KeyError, TypeError, AttributeError) as error:
            return CallError(call.id, "FormationViolation", repr(error), {})

    # The calls

    def _remote_start(self, payload: Payload, follow: Follow) -> Payload:
        charger = self._charger
        wanted = payload.get("connectorId")
        candidates = [wanted] if wanted is not None else range(1, charger.connectors + 1)
        for connector in candidates:
            if self._is_free(connector, payload["idTag"]):
                follow(partial(self._start, connector, payload["idTag"]))
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    def _is_free(self, connector: int, tag: str) -> bool:
        charger = self._charger
        status, _ = charger.statuses.get(connector, ("Unavailable", ""))
        whole, _ = charger.statuses[0]
        return (
            connector not in charger.sessions
            and (
                status in ("Available", "Preparing", "Finishing")
                or (status == "Reserved" and self.holds.reservation_for(connector, tag) is not None)
            )
            and whole == "Available"
        )

    def _start(self, connector: int, tag: str) -> None:
        charger = self._charger
        if charger.configuration["AuthorizeRemoteTxRequests"].lower() == "true":
            authorization = charger.authorizes(tag)
            if authorization.status != "Accepted":
                return
        charger.reports(connector, "Preparing")
        session = charger.starts(connector, tag, reservation=self.holds.reservation_for(connector, tag))
        charger.reports(connector, "Charging")
        if session.status not in (None, "Accepted"):
            self._stop(session, "DeAuthorized")

    def _remote_stop(self, payload: Payload, follow: Follow) -> Payload:
        session = self._session(payload.get("transactionId"))
        if session is None:
            return {"status": "Rejected"}
        follow(partial(self._stop, session, "Remote"))
        return {"status": "Accepted"}

    def _session(self, transaction_id: Any) -> ChargingSession | None:
        running = self._charger.sessions.values()
        return next((one for one in running if one.transaction_id == transaction_id), None)

    def _stop(self, session: ChargingSession, reason: str) -> None:
        charger = self._charger
        if session.ended:
            return
        charger.stops(session, reason=reason)
        charger.reports(session.connector, "Finishing")
        charger.reports(session.connector, "Available")

    def _reset(self, payload: Payload, follow: Follow) -> Payload:
        follow(partial(self._restart, payload["type"]))
        return {"status": "Accepted"}

    def _restart(self, kind: str) -> None:
        """Soft: the stops are sent before the restart; hard: after it (section 5.14)."""
        charger = self._charger
        running = list(charger.sessions.values())
        if kind == "Soft":
            for session in running:
                charger.stops(session, reason="SoftReset")
        charger.goes_offline(politely=kind == "Soft")
        charger.registration = None
        for connector, (status, _) in charger.statuses.items():
            if status != "Unavailable":  # out of service outlives a restart
                charger.statuses[connector] = ("Available", "NoError")
        charger.dials_in()
        charger.starts_up()
        if kind == "Hard":
            for session in running:
                charger.stops(session, reason="HardReset")
        charger.delivers()

    def _change_availability(self, payload: Payload, follow: Follow) -> Payload:
        charger = self._charger
        connector = payload["connectorId"]
        if connector not in charger.statuses:
            return {"status": "Rejected"}
        status = "Available" if payload["type"] == "Operative" else "Unavailable"
        affected = list(charger.statuses) if connector == 0 else [connector]
        occupied = [number for number in affected if number in charger.sessions]
        charger.out_of_service_next.difference_update(affected)
        if status == "Unavailable":
            charger.out_of_service_next.update(occupied)
        for number in affected:
            if number not in occupied and charger.statuses[number][0] != status:
                follow(partial(charger.reports, number, status))
        return {"status": "Scheduled" if occupied and status == "Unavailable" else "Accepted"}

    def _change_configuration(self, payload: Payload, follow: Follow) -> Payload:
        return {"status": self._charger.configuration.change(payload["key"], payload["value"])}

    def _unlock(self, payload: Payload, follow: Follow) -> Payload:
        charger = self._charger
        connector = payload["connectorId"]
        if not 1 <= connector <= charger.connectors:
            return {"status": "NotSupported"}
        session = charger.sessions.get(connector)
        if session is not None:
            follow(partial(self._stop, session, "UnlockCommand"))
        return {"status": "Unlocked"}

    # Files

    def _get_diagnostics(self, payload: Payload, follow: Follow) -> Payload:
        for status in ("Uploading", "Uploaded"):
            follow(partial(self._charger.sends, "DiagnosticsStatusNotification", {"status": status}))
        return {"fileName": f"diagnostics-{self._charger.identity}.log"[:255]}

    def _get_log(self, payload: Payload, follow: Follow) -> Payload:
        for status in ("Uploading", "Uploaded"):
            said = {"status": status, "requestId": payload["requestId"]}
            follow(partial(self._charger.sends, "LogStatusNotification", said))
        return {"status": "Accepted", "filename": f"{payload['logType']}-{self._charger.identity}.log"[:255]}

    def _update_firmware(self, payload: Payload, follow: Follow) -> Payload:
        def tells(status: str) -> None:
            self._charger.sends("FirmwareStatusNotification", {"status": status})

        for status in ("Downloading", "Downloaded", "Installing"):
            follow(partial(tells, status))
        follow(partial(self._installs, payload["location"]))
        follow(partial(tells, "Installed"))
        return {}

    def _update_signed_firmware(self, payload: Payload, follow: Follow) -> Payload:
        def tells(status: str) -> None:
            said = {"status": status, "requestId": payload["requestId"]}
            self._charger.sends("SignedFirmwareStatusNotification", said)

        for status in ("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"):
            follow(partial(tells, status))
        follow(partial(self._installs, payload["firmware"]["location"]))
        event = {"type": "FirmwareUpdated", "timestamp": stamp(self._charger.clock.now())}
        follow(partial(self._charger.sends, "SecurityEventNotification", event))
        follow(partial(tells, "Installed"))
        return {"status": "Accepted"}

    def _installs(self, location: str) -> None:
        """The charger restarts with what the address ends in."""
        self._charger.boot_payload["firmwareVersion"] = location.rpartition("/")[2][:50] or "new"
        self._restart("Soft")

    def _trigger(self, payload: Payload, follow: Follow) -> Payload:
        charger = self._charger
        connector = payload.get("connectorId")
        if connector is not None and not 1 <= connector <= charger.connectors:
            return {"status": "Rejected"}
        chosen = [connector] if connector is not None else list(charger.statuses)
        sending: dict[str, Callable[[], Any]] = {
            "BootNotification": charger.starts_up,
            "Heartbeat": charger.heartbeats,
            "StatusNotification": lambda: [charger.reports(one, *charger.statuses[one]) for one in chosen],
            "MeterValues": lambda: [charger.meters(one) for one in chosen if one],
            "DiagnosticsStatusNotification": lambda: charger.sends(
                "DiagnosticsStatusNotification", {"status": "Idle"}
            ),
            "FirmwareStatusNotification": lambda: charger.sends(
                "FirmwareStatusNotification", {"status": "Idle"}
            ),
            "LogStatusNotification": lambda: charger.sends("LogStatusNotification", {"status": "Idle"}),
        }
        send = sending.get(payload["requestedMessage"])
        if send is None:
            return {"status": "NotImplemented"}
        follow(send)
        return {"status": "Accepted"}
