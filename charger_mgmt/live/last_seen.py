"""When each charger last spoke, kept in memory and written to the database every second or two."""

from ..clock import monotonic


class LastSeen:
    """Charger row id → when it last sent a message; a Heartbeat costs a dictionary write, no more."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def touch(self, charger_id: int) -> None:
        """The charger has just sent an OCPP or flat message (a pong does not count)."""
        self._seen[charger_id] = monotonic()

    def take(self) -> dict[int, float]:
        """All that was seen since the last take: charger id → monotonic seconds."""
        seen, self._seen = self._seen, {}
        return seen

    def put_back(self, seen: dict[int, float]) -> None:
        """What could not be written; newer sightings win."""
        self._seen = {**seen, **self._seen}
