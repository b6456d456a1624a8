"""A charger's configuration keys (section 9), a small real set."""

from __future__ import annotations

from typing import Any

READ_ONLY = {
    "ChargeProfileMaxStackLevel": "10",
    "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    "ChargingScheduleMaxPeriods": "24",
    "GetConfigurationMaxKeys": "50",
    "LocalAuthListMaxLength": "1000",
    "MaxChargingProfilesInstalled": "20",
    "NumberOfConnectors": "2",
    "ReserveConnectorZeroSupported": "true",
    "SendLocalListMaxLength": "50",
    "SupportedFeatureProfiles": "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger",
}
DEFAULTS = {
    "AuthorizeRemoteTxRequests": "true",
    "ClockAlignedDataInterval": "0",
    "ConnectionTimeOut": "60",
    "HeartbeatInterval": "300",
    "LocalAuthListEnabled": "true",
    "LocalAuthorizeOffline": "true",
    "LocalPreAuthorize": "false",
    "MeterValuesAlignedData": "",
    "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,SoC",
    "MeterValueSampleInterval": "60",
    "ResetRetries": "1",
    "StopTransactionOnEVSideDisconnect": "true",
    "StopTransactionOnInvalidId": "true",
    "TransactionMessageAttempts": "3",
    "TransactionMessageRetryInterval": "60",
    "UnlockConnectorOnEVSideDisconnect": "true",
    "WebSocketPingInterval": "0",
}
#: Taken, and never shown again.
WRITE_ONLY = {"AuthorizationKey"}


class ConfigurationKeys:
    """Keys compare case-insensitively; values are strings (section 7.29)."""

    def __init__(self, connectors: int) -> None:
        self._read_only = READ_ONLY | {"NumberOfConnectors": str(connectors)}
        self._values = DEFAULTS | self._read_only

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __setitem__(self, key: str, value: str) -> None:
        self._values[key] = value

    def shown(self, wanted: list[str] | None) -> dict[str, Any]:
        """The payload of GetConfiguration.conf; no keys asked for means all of them."""
        known = {name.lower(): name for name in self._values if name not in WRITE_ONLY}
        names = (
            [known[key.lower()] for key in wanted if key.lower() in known] if wanted else list(known.values())
        )
        answer: dict[str, Any] = {
            "configurationKey": [
                {"key": name, "readonly": name in self._read_only, "value": self._values[name]}
                for name in names
            ]
        }
        unknown = [key for key in wanted or [] if key.lower() not in known]
        return answer | ({"unknownKey": unknown} if unknown else {})

    def change(self, key: str, value: str) -> str:
        """The status of ChangeConfiguration.conf: a bad value is Rejected, an unknown key NotSupported."""
        known = {name.lower(): name for name in (*self._values, *WRITE_ONLY)}
        name = known.get(key.lower())
        if name is None:
            return "NotSupported"
        if name in self._read_only or not self._fits(name, value):
            return "Rejected"
        self._values[name] = value
        return "Accepted"

    def _fits(self, name: str, value: str) -> bool:
        model = DEFAULTS.get(name, "")
        if model in ("true", "false"):
            return value.lower() in ("true", "false")
        if model.isdigit():
            return value.isdigit()
        return True
