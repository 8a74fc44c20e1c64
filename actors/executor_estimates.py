"""How long tasks take, from those that ended, and how many to fetch ahead because of it.

Read-ahead hides the way to the scheduler and back. Its price is that what was fetched is out of the
reach of other workers, and that an urgent task may wait behind it. So the work fetched ahead is
held to about 50 ms: an urgent task waits no longer than that because of it. Names that were never
seen, tasks that take 50 ms and more, and slots that are stuck in a long task get none at all.
"""

from collections.abc import Iterable

AHEAD_SECONDS = 0.05
#: What a worker does of empty tasks in that time, with however many slots, at 50,000 a second.
_AHEAD_MAX = 2_500
#: What a task costs around its own code, so that an empty one does not seem to cost nothing.
_OVERHEAD_SECONDS = 20e-6
_WEIGHT = 0.2  #: of the newest duration in the average of its name
_MIX_WEIGHT = 0.05  #: of the newest duration in the average over all names
_NAMES_MAX = 10_000


class DurationEstimates:
    """Averages of how long tasks took."""

    def __init__(self) -> None:
        #: Seconds by task name, exponentially weighted.
        self.seconds: dict[str, float] = {}
        self._mix: float | None = None
        self._unknown: set[str] = set()

    def observe(self, name: str, duration_seconds: float) -> None:
        """A task of this name ended, or runs already for so long."""
        duration = duration_seconds + _OVERHEAD_SECONDS
        known = self.seconds.get(name)
        if known is None:
            if len(self.seconds) >= _NAMES_MAX:
                self.seconds.clear()
            self.seconds[name] = duration
            self._unknown.discard(name)
        else:
            self.seconds[name] = known + _WEIGHT * (duration - known)
        mix = self._mix
        self._mix = duration if mix is None else mix + _MIX_WEIGHT * (duration - mix)

    def raise_to(self, name: str, seconds: float) -> None:
        """A task of this name has been running for so long and goes on."""
        if self.seconds.get(name, 0.0) < seconds:
            self.seconds[name] = seconds
            self._unknown.discard(name)

    def expect(self, names: Iterable[str]) -> None:
        """Tasks of these names were fetched."""
        self._unknown.update(name for name in names if name not in self.seconds)

    def forget_expected(self) -> None:
        """Nothing that was fetched is waiting any more."""
        self._unknown.clear()

    def ahead(self, slots: int) -> int:
        """How many tasks to hold beyond those that run, for this many slots that make progress."""
        if self._mix is None or self._unknown or self._mix >= AHEAD_SECONDS:
            return 0
        return min(_AHEAD_MAX, int(AHEAD_SECONDS * slots / self._mix))
