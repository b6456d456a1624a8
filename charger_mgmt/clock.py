"""What time it is.

Everything inside the system is UTC, aware, and cut to milliseconds: that is what the database keeps
(DATETIME(3)), so a value read back equals the value written on every backend.
"""

import time
from datetime import UTC, datetime

#: Seconds for `gevent.sleep`: let everybody else have a turn. After `sleep(0)` gevent looks at sockets and timers
#: only when fifty greenlets have had theirs (or none is left).
A_TURN = 1e-6


def now() -> datetime:
    """The time of day: aware, UTC, whole milliseconds."""
    return cut_to_milliseconds(datetime.now(UTC))


def second() -> int:
    """The time of day in whole seconds since 1970; cheaper than `now`."""
    return int(time.time())


#: Seconds on a clock that never jumps; for deadlines, never for storage.
monotonic = time.monotonic


def cut_to_milliseconds(moment: datetime) -> datetime:
    """Drop what DATETIME(3) cannot hold (MySQL would round it, MariaDB would cut it)."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
