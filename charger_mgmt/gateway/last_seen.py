"""When each charger last spoke, kept in memory and written to the database every second or two."""

from ..clock import monotonic


class LastSeen:
    """Charger row id → when it last sent a message; a Heartbeat costs a dictionary write, no more.

    An OCPP or flat message counts; a WebSocket pong does not (a library answers pings by itself).
    """

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._unwritten: set[int] = set()

    def touch(self, charger_id: int) -> None:
        """The charger has just sent a message."""
        self._seen[charger_id] = monotonic()
        self._unwritten.add(charger_id)

    def forget(self, charger_id: int) -> None:
        """The charger has no socket here any more; what is not yet written still will be."""
        self._seen.pop(charger_id, None)

    def when(self, charger_id: int) -> float | None:
        """Monotonic seconds of the last message on a socket of this process."""
        return self._seen.get(charger_id)

    def take(self) -> set[int]:
        """The chargers that spoke since the last take."""
        taken, self._unwritten = self._unwritten, set()
        return taken

    def put_back(self, charger_ids: set[int]) -> None:
        """They could not be written; take them again next time."""
        self._unwritten |= charger_ids
