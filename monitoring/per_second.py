"""So many of something in each second, and no more."""


class PerSecond:
    """What is left of this second; it begins anew with the next."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = 0
        self._left = limit

    def take(self, wanted: int, now: float) -> int:
        """How many of `wanted` are still within the limit; `now` in seconds since the epoch."""
        if int(now) != self._second:
            self._second, self._left = int(now), self._limit
        taken = min(wanted, self._left)
        self._left -= taken
        return taken
