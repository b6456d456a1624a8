"""The words for what a charger sent otherwise than the specification has it, and what was done.

They are stored and shown to operators; the quirk behind each is met in the field.
"""

from __future__ import annotations

from typing import Final

#: A field was null; it counts as absent.
NULL_DROPPED: Final = "null-dropped"
#: A number came where a text is due, or the other way round; it was converted.
NUMBER_AS_TEXT: Final = "number-as-text"
TEXT_AS_NUMBER: Final = "text-as-number"
#: A text is longer than the specification allows; it is kept whole.
OVERLONG_TEXT: Final = "overlong-text"
#: A required text is empty or only blanks; blanks around a text were cut off.
EMPTY_TEXT: Final = "empty-text"
PADDED_TEXT: Final = "padded-text"
#: A field that the message does not have; it was left out.
EXTRA_FIELD: Final = "extra-field"
#: A required field is missing.
MISSING_FIELD: Final = "missing-field"
#: A field could not be read at all and counts as absent.
UNREADABLE_FIELD: Final = "unreadable-field"
#: A timestamp that names no moment; its text is kept.
UNREADABLE_TIMESTAMP: Final = "unreadable-timestamp"
#: A meter reading with a fraction of a watt-hour.
FRACTIONAL_METER: Final = "fractional-meter"
#: A transaction id that is not a positive 32-bit number (0, -1, 64 bits).
ODD_TRANSACTION_ID: Final = "odd-transaction-id"
#: A stop reason that the specification does not know; it reads as Other.
UNKNOWN_REASON: Final = "unknown-reason"
#: A unit, measurand, context, phase, location or format that the specification does not know.
UNKNOWN_UNIT: Final = "unknown-unit"
UNKNOWN_MEASURAND: Final = "unknown-measurand"
UNKNOWN_CONTEXT: Final = "unknown-context"
UNKNOWN_PHASE: Final = "unknown-phase"
UNKNOWN_LOCATION: Final = "unknown-location"
UNKNOWN_FORMAT: Final = "unknown-format"
#: A known word in other spelling (`Celcius`, `Hz`, `wh`); it was put right.
RESPELLED: Final = "respelled"
#: An error code that the specification does not know; it reads as OtherError, the word is kept.
UNKNOWN_ERROR_CODE: Final = "unknown-error-code"
#: A word for a status that the specification does not know; it is kept as it is.
UNKNOWN_STATUS: Final = "unknown-status"
#: A status of OCPP 1.5 (`Occupied`); it reads as the nearest one of 1.6.
STATUS_OF_1_5: Final = "status-of-1.5"
#: An object or a list where a text is due; it is kept as its JSON text.
OBJECT_AS_TEXT: Final = "object-as-text"
#: A sample without a readable value; it was left out, its neighbours stay.
BAD_SAMPLE: Final = "bad-sample"
#: A meter value without any sample.
EMPTY_METER_VALUE: Final = "empty-meter-value"
#: The frame is not JSON; what still reads as a field was taken.
BROKEN_JSON: Final = "broken-json"

#: Something that the charger said is lost in what was read: the raw text must be kept.
LOSSY: Final = frozenset({UNREADABLE_FIELD, UNREADABLE_TIMESTAMP, BAD_SAMPLE, BROKEN_JSON})
#: Something is missing from what was read, lost or never said.
INCOMPLETE: Final = LOSSY | {MISSING_FIELD}
