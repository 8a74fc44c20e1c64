"""How the last starts of a pool's workers went, and when the next may be tried."""

from msgspec import Struct

BACKOFF_CAP_SECONDS = 30.0


class PoolHealth(Struct):
    """One pool."""

    failures: int = 0
    wait_until: float = 0.0  #: monotonic; no start before

    def failed(self, now: float) -> None:
        """A worker was not started, or ended at its start: wait longer each time."""
        self.failures += 1
        self.wait_until = now + min(BACKOFF_CAP_SECONDS, 0.5 * 2.0 ** min(self.failures, 10))

    def worked(self) -> None:
        """A worker did well."""
        self.failures = 0
