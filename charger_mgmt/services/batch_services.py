"""What happens to each message of a charger: its handler, by action."""

from __future__ import annotations

from . import (
    authorize,
    boot,
    connections,
    inbox,
    meter_values,
    notices,
    start_transaction,
    status_notification,
    stop_transaction,
)
from .inbound import BatchService

#: In the order in which one batch runs them. A charger's messages come one at a time, so the order
#: matters only between chargers, where any is right.
BATCH_SERVICES: dict[str, BatchService] = {
    "Connect": connections.connect,
    "BootNotification": boot.boot,
    "Authorize": authorize.authorize,
    "StartTransaction": start_transaction.start,
    "MeterValues": meter_values.record,
    "StopTransaction": stop_transaction.stop,
    "StatusNotification": status_notification.report,
    "DataTransfer": notices.data_transfer,
    "FirmwareStatusNotification": notices.firmware_status,
    "DiagnosticsStatusNotification": notices.diagnostics_status,
    "Heartbeat": notices.nothing,
    "LogStatusNotification": notices.event,
    "QuotaExceeded": notices.event,
    "SecurityEventNotification": notices.event,
    "SignedFirmwareStatusNotification": notices.event,
    "Refused": inbox.keep_refused,
    "Disconnect": connections.disconnect,
}
