"""The ten error codes of OCPP-J 1.6 (section 4.2.3, table 7), spelled as they go on the wire.

Two keep their historic spelling on purpose: `FormationViolation` and `OccurenceConstraintViolation`
(OCPP 2 spells both differently).
"""

from __future__ import annotations

from typing import Final

#: The action's name is unknown to the receiver.
NOT_IMPLEMENTED: Final = "NotImplemented"
#: The action is known, but this receiver does not support it.
NOT_SUPPORTED: Final = "NotSupported"
#: The receiver failed while it processed the message.
INTERNAL_ERROR: Final = "InternalError"
#: The frame is incomplete: an array that ends before its payload.
PROTOCOL_ERROR: Final = "ProtocolError"
#: A security problem prevented processing, such as a message before the charger was accepted.
SECURITY_ERROR: Final = "SecurityError"
#: Syntactically wrong, or not the structure of this message: no JSON, no object, a field too many.
FORMATION_VIOLATION: Final = "FormationViolation"
#: The syntax is fine, but a value is not allowed: unknown enum value, too long, out of range, no date.
PROPERTY_CONSTRAINT_VIOLATION: Final = "PropertyConstraintViolation"
#: A required field is missing, or a list has too few entries.
OCCURENCE_CONSTRAINT_VIOLATION: Final = "OccurenceConstraintViolation"
#: A field has the wrong data type.
TYPE_CONSTRAINT_VIOLATION: Final = "TypeConstraintViolation"
#: Anything else.
GENERIC_ERROR: Final = "GenericError"

ALL: Final = frozenset(
    {
        NOT_IMPLEMENTED,
        NOT_SUPPORTED,
        INTERNAL_ERROR,
        PROTOCOL_ERROR,
        SECURITY_ERROR,
        FORMATION_VIOLATION,
        PROPERTY_CONSTRAINT_VIOLATION,
        OCCURENCE_CONSTRAINT_VIOLATION,
        TYPE_CONSTRAINT_VIOLATION,
        GENERIC_ERROR,
    }
)
