"""The life of a reservation (OCPP 1.6 section 5.13).

    requested   asked of the charger; its answer is not known (yet, or for good)
    active      it said Accepted
    refused     it said anything else, or was not asked after all
    used        a StartTransaction named it
    cancelled   it said Accepted to CancelReservation
    lost        it said that it has none by this id
    ended       its connector reported that it is Faulted or Unavailable, or Available after Reserved
    expired     its time is over

What a charger says of it afterwards counts: a session that names it has used it, whatever was thought.
"""

from __future__ import annotations

from typing import Final

REQUESTED: Final = "requested"
ACTIVE: Final = "active"
REFUSED: Final = "refused"
USED: Final = "used"
CANCELLED: Final = "cancelled"
LOST: Final = "lost"
ENDED: Final = "ended"
EXPIRED: Final = "expired"
STATES: Final = (REQUESTED, ACTIVE, REFUSED, USED, CANCELLED, LOST, ENDED, EXPIRED)
#: The connector may be kept.
OPEN: Final = (REQUESTED, ACTIVE)

#: From which states each may be reached.
BEFORE: Final = {
    ACTIVE: (REQUESTED,),
    REFUSED: (REQUESTED,),
    USED: (REQUESTED, ACTIVE, LOST, ENDED, EXPIRED, REFUSED),
    CANCELLED: (REQUESTED, ACTIVE, LOST, ENDED),
    LOST: (REQUESTED, ACTIVE),
    ENDED: (ACTIVE,),
    EXPIRED: (REQUESTED, ACTIVE),
}
#: What a connector reports whose reservation is over (section 5.13).
TERMINATING: Final = frozenset({"Faulted", "Unavailable"})
