"""What happens with what chargers say: one function for each kind of fact (domain/facts.py).

They are called with the messages of one batch, in one transaction, and work in sets.
"""

from __future__ import annotations

from typing import Final

from ..chargers import boot, connections, notices
from ..charging import meter_values, start, stop
from ..domain import facts
from ..intake import inbox
from ..intake.messages import Handlers
from ..status import notification
from ..tags import authorize

#: In the order in which one batch runs them. A charger's messages come one at a time, so the order matters only
#: between chargers, where any is right.
HANDLERS: Final[Handlers] = {
    facts.Comes: connections.connect,
    facts.Boots: boot.boot,
    facts.TagShown: authorize.authorize,
    facts.SessionBegins: start.start,
    facts.Metered: meter_values.record,
    facts.SessionEnds: stop.stop,
    facts.ConnectorReports: notification.report,
    facts.DataSent: notices.data_transfer,
    facts.FirmwareReports: notices.firmware_status,
    facts.DiagnosticsReport: notices.diagnostics_status,
    facts.Lives: notices.nothing,
    facts.Noted: notices.event,
    facts.TurnedAway: inbox.keep_refused,
    facts.Goes: connections.disconnect,
}
