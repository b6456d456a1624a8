"""What happens with what chargers say: one function for each kind of fact (domain/facts.py).

They are called with the messages of one batch, in one transaction, and work in sets.
"""

from __future__ import annotations

from typing import Final

from ..domain import facts
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
from .inbound import Handlers

#: In the order in which one batch runs them. A charger's messages come one at a time, so the order matters only
#: between chargers, where any is right.
HANDLERS: Final[Handlers] = {
    facts.Comes: connections.connect,
    facts.Boots: boot.boot,
    facts.TagShown: authorize.authorize,
    facts.SessionBegins: start_transaction.start,
    facts.Metered: meter_values.record,
    facts.SessionEnds: stop_transaction.stop,
    facts.ConnectorReports: status_notification.report,
    facts.DataSent: notices.data_transfer,
    facts.FirmwareReports: notices.firmware_status,
    facts.DiagnosticsReport: notices.diagnostics_status,
    facts.Lives: notices.nothing,
    facts.Noted: notices.event,
    facts.TurnedAway: inbox.keep_refused,
    facts.Goes: connections.disconnect,
}
