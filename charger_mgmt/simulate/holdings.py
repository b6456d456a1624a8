"""What a fake charger holds for the central system: reservations, a local list, charging profiles, certificates.

It answers as the specification has it (OCPP 1.6 sections 5.1, 5.5, 5.7, 5.10, 5.13, 5.15, 5.16; whitepaper sections 5 and 6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from .transport import stamp

if TYPE_CHECKING:
    from .charger import FakeCharger

Payload = dict[str, Any]
Follow = Callable[[Callable[[], Any]], None]


class Holdings:
    """One method for each call that puts something there, or asks for it."""

    def __init__(self, charger: FakeCharger) -> None:
        self._charger = charger
        #: reservationId → the call that made it.
        self.reservations: dict[int, Payload] = {}
        #: idTag → idTagInfo; the version of it all.
        self.local_list: dict[str, Payload] = {}
        self.list_version = 0
        #: chargingProfileId → (connector, profile).
        self.profiles: dict[int, tuple[int, Payload]] = {}
        #: serialNumber → (type, hash data).
        self.certificates: dict[str, tuple[str, Payload]] = {}
        #: The chain that the charger was given last.
        self.certificate_chain: str | None = None

    # Reservations

    def reserve(self, payload: Payload, follow: Follow) -> Payload:
        charger, connector, number = self._charger, payload["connectorId"], payload["reservationId"]
        if connector not in charger.statuses:
            return {"status": "Rejected"}
        status, _ = charger.statuses[connector]
        if status in ("Faulted", "Unavailable"):
            return {"status": status}
        others = [held for held in self.reservations if held != number]
        taken = connector in charger.sessions or status not in ("Available", "Reserved")
        if taken or any(self.reservations[held]["connectorId"] == connector for held in others):
            return {"status": "Occupied"}
        self.reservations[number] = payload
        left = (datetime.fromisoformat(payload["expiryDate"]) - charger.clock.now()).total_seconds()
        charger.transport.later(partial(self._expires, number, payload), max(0.0, left))
        if connector:
            follow(partial(charger.reports, connector, "Reserved"))
        return {"status": "Accepted"}

    def cancel(self, payload: Payload, follow: Follow) -> Payload:
        held = self.reservations.pop(payload["reservationId"], None)
        if held is None:
            return {"status": "Rejected"}
        follow(partial(self._frees, held))
        return {"status": "Accepted"}

    def reservation_for(self, connector: int, tag: str) -> int | None:
        """The reservation that a session of this tag on this connector uses up."""
        for number, held in self.reservations.items():
            if held["connectorId"] in (0, connector) and held["idTag"].lower() == tag.lower():
                return number
        return None

    def uses(self, number: int) -> None:
        self.reservations.pop(number, None)

    def _expires(self, number: int, payload: Payload) -> None:
        if self.reservations.get(number) is payload:
            del self.reservations[number]
            self._frees(payload)

    def _frees(self, held: Payload) -> None:
        connector = held["connectorId"]
        if connector and self._charger.statuses[connector][0] == "Reserved":
            self._charger.reports(connector, "Available")

    # The local list

    def send_list(self, payload: Payload, follow: Follow) -> Payload:
        entries = payload.get("localAuthorizationList") or []
        most = int(self._charger.configuration["SendLocalListMaxLength"])
        tags = [entry["idTag"].lower() for entry in entries]
        if payload["listVersion"] < 1 or len(entries) > most or len(set(tags)) < len(tags):
            return {"status": "Failed"}
        held = {} if payload["updateType"] == "Full" else dict(self.local_list)
        if payload["updateType"] == "Differential" and payload["listVersion"] <= self.list_version:
            return {"status": "VersionMismatch"}
        for entry in entries:
            if "idTagInfo" in entry:
                held[entry["idTag"].lower()] = entry["idTagInfo"]
            elif payload["updateType"] == "Full":
                return {"status": "Failed"}
            else:
                held.pop(entry["idTag"].lower(), None)
        if len(held) > int(self._charger.configuration["LocalAuthListMaxLength"]):
            return {"status": "Failed"}
        self.local_list, self.list_version = held, payload["listVersion"]
        return {"status": "Accepted"}

    def tell_version(self, payload: Payload, follow: Follow) -> Payload:
        return {"listVersion": self.list_version}

    # Charging profiles

    def set_profile(self, payload: Payload, follow: Follow) -> Payload:
        connector, profile = payload["connectorId"], payload["csChargingProfiles"]
        purpose = profile["chargingProfilePurpose"]
        if connector not in self._charger.statuses:
            return {"status": "Rejected"}
        if (purpose == "ChargePointMaxProfile" and connector) or (purpose == "TxProfile" and not connector):
            return {"status": "Rejected"}
        session = self._charger.sessions.get(connector)
        running = session.transaction_id if session is not None else None
        if purpose == "TxProfile" and (running is None or profile.get("transactionId", running) != running):
            return {"status": "Rejected"}
        same = [
            number
            for number, (where, held) in self.profiles.items()
            if where == connector
            and held["chargingProfilePurpose"] == purpose
            and held["stackLevel"] == profile["stackLevel"]
        ]
        for number in same:
            del self.profiles[number]
        if len(self.profiles) >= int(self._charger.configuration["MaxChargingProfilesInstalled"]):
            return {"status": "Rejected"}
        self.profiles[profile["chargingProfileId"]] = (connector, profile)
        return {"status": "Accepted"}

    def clear_profiles(self, payload: Payload, follow: Follow) -> Payload:
        if "id" in payload:
            found = [payload["id"]] if payload["id"] in self.profiles else []
        else:
            found = [
                number
                for number, (connector, held) in self.profiles.items()
                if payload.get("connectorId", connector) == connector
                and payload.get("chargingProfilePurpose", held["chargingProfilePurpose"])
                == held["chargingProfilePurpose"]
                and payload.get("stackLevel", held["stackLevel"]) == held["stackLevel"]
            ]
        for number in found:
            del self.profiles[number]
        return {"status": "Accepted" if found else "Unknown"}

    def session_ends(self, connector: int) -> None:
        """A TxProfile dies with its transaction."""
        for number, (where, held) in list(self.profiles.items()):
            if where == connector and held["chargingProfilePurpose"] == "TxProfile":
                del self.profiles[number]

    def composite(self, payload: Payload, follow: Follow) -> Payload:
        """The limits of the next seconds, looked at one minute after the other."""
        charger, connector = self._charger, payload["connectorId"]
        if connector not in charger.statuses:
            return {"status": "Rejected"}
        now = charger.clock.now()
        unit = payload.get("chargingRateUnit", "W")
        periods: list[Payload] = []
        for second in range(0, max(1, payload["duration"]), 60):
            limit = self._limit(connector, now + timedelta(seconds=second), unit)
            if limit is not None and (not periods or periods[-1]["limit"] != limit):
                periods.append({"startPeriod": second, "limit": limit})
        answer: Payload = {"status": "Accepted", "connectorId": connector, "scheduleStart": stamp(now)}
        if periods:
            answer["chargingSchedule"] = {
                "duration": payload["duration"],
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": periods,
            }
        return answer

    def _limit(self, connector: int, at: datetime, unit: str) -> float | None:
        whole = self._prevailing(at, unit, lambda where, purpose: purpose == "ChargePointMaxProfile")
        own = self._prevailing(at, unit, lambda where, purpose: purpose == "TxProfile" and where == connector)
        if own is None:
            own = self._prevailing(
                at, unit, lambda where, purpose: purpose == "TxDefaultProfile" and where == connector
            )
        if own is None:
            own = self._prevailing(
                at, unit, lambda where, purpose: purpose == "TxDefaultProfile" and not where
            )
        limits = [limit for limit in (whole, own) if limit is not None]
        return min(limits) if limits else None

    def _prevailing(self, at: datetime, unit: str, wanted: Callable[[int, str], bool]) -> float | None:
        found = [
            (held["stackLevel"], limit)
            for where, held in self.profiles.values()
            if wanted(where, held["chargingProfilePurpose"])
            and (limit := _limit_of(held, at, unit)) is not None
        ]
        return max(found)[1] if found else None

    # Certificates

    def install(self, payload: Payload, follow: Follow) -> Payload:
        digest = hashlib.sha256(payload["certificate"].encode()).hexdigest()
        if "BEGIN CERTIFICATE" not in payload["certificate"]:
            return {"status": "Rejected"}
        data = {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": digest[:32],
            "issuerKeyHash": digest[32:],
            "serialNumber": digest[:16],
        }
        self.certificates[data["serialNumber"]] = (payload["certificateType"], data)
        return {"status": "Accepted"}

    def installed(self, payload: Payload, follow: Follow) -> Payload:
        found = [data for kind, data in self.certificates.values() if kind == payload["certificateType"]]
        return {"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"}

    def delete(self, payload: Payload, follow: Follow) -> Payload:
        data = payload["certificateHashData"]
        held = self.certificates.get(data["serialNumber"])
        if held is None or held[1] != data:
            return {"status": "NotFound"}
        del self.certificates[data["serialNumber"]]
        return {"status": "Accepted"}

    def signed(self, payload: Payload, follow: Follow) -> Payload:
        self.certificate_chain = payload["certificateChain"]
        return {"status": "Accepted"}


def _limit_of(profile: Payload, at: datetime, unit: str) -> float | None:
    """What a profile allows at a moment; None: it says nothing then, or in another unit."""
    schedule = profile["chargingSchedule"]
    valid = [profile.get("validFrom"), profile.get("validTo")]
    since, until = (None if text is None else datetime.fromisoformat(text) for text in valid)
    if schedule["chargingRateUnit"] != unit or (since and at < since) or (until and at >= until):
        return None
    begins = schedule.get("startSchedule")
    start = datetime.fromisoformat(begins) if begins else since or at
    if profile["chargingProfileKind"] == "Recurring":
        span = timedelta(days=1 if profile.get("recurrencyKind") == "Daily" else 7)
        start += (at - start) // span * span
    elapsed = (at - start).total_seconds()
    if elapsed < 0 or ("duration" in schedule and elapsed >= schedule["duration"]):
        return None
    reached = [each for each in schedule["chargingSchedulePeriod"] if each["startPeriod"] <= elapsed]
    return float(reached[-1]["limit"]) if reached else None
