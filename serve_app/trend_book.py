"""Trends slice by slice: what ended in a slice of time that is over is read from the store once.

Must not know HTTP. A slice is kept as it was when it was read: a failure that is replayed or
deleted later still counts where it happened, for as long as this process lives.
"""

from collections.abc import Awaitable, Callable

from task_queue.clock import Clock
from task_queue.store.query import Trends
from task_queue.store.trends import most_frequent

#: An ending is in the store this long after its `finished_at`: a commit takes far less.
_SETTLE_SECONDS = 60.0
_MOST_PATTERNS = 50

#: Reads one slice: since, until.
ReadSlice = Callable[[float, float], Awaitable[Trends]]


class TrendBook:
    """The last `slices` slices of `step_seconds` each. Not for two readings at the same time."""

    def __init__(self, step_seconds: float, slices: int, clock: Clock) -> None:
        self._step_seconds = step_seconds
        self._slices = slices
        self._clock = clock
        self._kept: dict[int, Trends] = {}  #: by the number of the slice since the epoch
        self._latest = 0.0

    async def read(self, read_slice: ReadSlice) -> Trends:
        """Up to the end of the slice that is now; what is not kept is asked of `read_slice`."""
        now = self._clock.now()
        if now < self._latest:  # the clock was set back: slices that are over begin anew
            self._kept.clear()
        self._latest = now
        last = int(now // self._step_seconds)
        numbers = range(last + 1 - self._slices, last + 1)
        for old in self._kept.keys() - set(numbers):
            del self._kept[old]
        parts = [await self._slice(number, now, read_slice) for number in numbers]
        buckets = [bucket for part in parts for bucket in part.buckets]
        patterns = most_frequent(pattern for part in parts for pattern in part.failures)
        return Trends(buckets, patterns[:_MOST_PATTERNS])

    async def _slice(self, number: int, now: float, read_slice: ReadSlice) -> Trends:
        if number in self._kept:
            return self._kept[number]
        until = (number + 1) * self._step_seconds
        part = await read_slice(number * self._step_seconds, until)
        if until + _SETTLE_SECONDS <= now:
            self._kept[number] = part
        return part
