"""What happens with what chargers say: one function for each kind of fact (domain/facts.py), and for each call of ours
whose answer does something.

Handlers are called with the messages of one batch, in one transaction, and work in sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..chargers import boot, connections, notices
from ..charging import meter_values, start, stop
from ..commands.calls import Effect
from ..configuration import answers as configuration_answers
from ..domain import facts
from ..intake import inbox
from ..intake.messages import Handlers
from ..local_list import answers as local_list_answers
from ..reservations import answers as reservation_answers
from ..smart_charging import answers as smart_charging_answers
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

#: What the answers to our calls do: action (commands/calls.py) → function, which runs in the commit that stores the answer.
EFFECTS: Final[Mapping[str, Effect]] = {
    "CancelReservation": reservation_answers.cancelled,
    "ChangeConfiguration": configuration_answers.changed,
    "ClearChargingProfile": smart_charging_answers.cleared,
    "GetConfiguration": configuration_answers.told,
    "GetLocalListVersion": local_list_answers.told,
    "ReserveNow": reservation_answers.reserved,
    "SendLocalList": local_list_answers.sent,
    "SetChargingProfile": smart_charging_answers.installed,
}
