"""The actions of OCPP 1.6, by who sends them. Names are case-sensitive (OCPP-J section 4.2.1)."""

from __future__ import annotations

from typing import Final

#: What a charge point initiates: section 4 of the specification, and three notices of the security extension.
FROM_CHARGER: Final = frozenset(
    {
        "Authorize",
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
)

#: Section 5 of the specification: operations that the central system initiates.
FROM_CENTRAL_SYSTEM: Final = frozenset(
    {
        "CancelReservation",
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "ClearChargingProfile",
        "DataTransfer",
        "GetCompositeSchedule",
        "GetConfiguration",
        "GetDiagnostics",
        "GetLocalListVersion",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "ReserveNow",
        "Reset",
        "SendLocalList",
        "SetChargingProfile",
        "TriggerMessage",
        "UnlockConnector",
        "UpdateFirmware",
    }
)

#: The rest of the security extension (whitepaper): known names that this system does not support yet.
SECURITY_EXTENSION: Final = frozenset(
    {
        "CertificateSigned",
        "DeleteCertificate",
        "ExtendedTriggerMessage",
        "GetInstalledCertificateIds",
        "GetLog",
        "InstallCertificate",
        "SignCertificate",
        "SignedUpdateFirmware",
    }
)

#: Every name that OCPP 1.6 defines: one of these from a charger that we do not serve is NotSupported,
#: anything else is NotImplemented.
KNOWN: Final = FROM_CHARGER | FROM_CENTRAL_SYSTEM | SECURITY_EXTENSION

#: Messages that carry money: never refused for their form.
NEVER_REFUSED: Final = frozenset({"MeterValues", "StartTransaction", "StopTransaction"})
