"""Adds up what ended, some seconds later and in batches so small that the queue is not held up.

Trends then read sums of slices instead of every task. Nothing is written with a task for it. A
fortieth of the scheduler's time at most goes into it, a tenth when it is a minute behind: when more
ends than that can add up, trends read the rest task by task until this has caught up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import Protocol, TypeVar

from task_queue.clock import Clock
from task_queue.store.ended_sum import LEVELS, EndedSum, EndedTask, sum_of_ended
from task_queue.store.protocol import Store

T = TypeVar("T")

#: An ending is in the store this long after its `finished_at`: a commit takes far less.
SETTLE_SECONDS = 5.0
_WANTED_SECONDS = 0.004  #: of one batch
_SMALLEST_BATCH, _LARGEST_BATCH = 100, 5_000  #: tasks
#: Between two batches, of what the last one took; and when this is far behind.
_PAUSE, _PAUSE_BEHIND = 40.0, 9.0
_BEHIND_SECONDS = 60.0
_SHORTEST_PAUSE_SECONDS = 0.01


class BetweenTurns(Protocol):
    """The part of the scheduler that is needed."""

    async def between_turns(self, question: Callable[[Store], T]) -> T: ...


class TrendRoller:
    """Where the adding up stands."""

    def __init__(
        self,
        scheduler: BetweenTurns,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Nothing is added up yet."""
        self._scheduler = scheduler
        self._clock = clock
        self._sleep = sleep
        self._batch = _SMALLEST_BATCH
        self._behind = 0.0  #: seconds
        self._slices: _OpenSlices | None = None

    async def roll(self) -> int:
        """Add up all that ended until some seconds ago. Returns how many tasks.

        Raises:
            SchedulerUnavailable: the store does not answer; what was added up stays so.
        """
        tasks = 0
        while True:
            began = self._clock.monotonic()
            added = await self._scheduler.between_turns(self._step)
            tasks += added
            if added < self._batch:
                return tasks
            took = self._clock.monotonic() - began
            self._fit_batch(took)
            pause = _PAUSE_BEHIND if self._behind > _BEHIND_SECONDS else _PAUSE
            await self._sleep(max(_SHORTEST_PAUSE_SECONDS, pause * took))

    def _step(self, store: Store) -> int:
        """Add up one batch. If it fails, what is not saved yet is begun anew."""
        slices, self._slices = self._slices, None
        until = (self._clock.now() - SETTLE_SECONDS) // LEVELS[0].seconds * LEVELS[0].seconds
        if slices is None:
            slices = _OpenSlices(store, until)
        ended = store.ended(slices.cursor, until, self._batch)
        slices.add(ended)
        if len(ended) < self._batch:
            slices.close(until)
        slices.save(store)
        self._slices, self._behind = slices, until - slices.until
        return len(ended)

    def _fit_batch(self, took: float) -> None:
        if took > _WANTED_SECONDS:
            self._batch = max(_SMALLEST_BATCH, self._batch // 2)
        elif took < _WANTED_SECONDS / 2:
            self._batch = min(_LARGEST_BATCH, self._batch * 2)


class _OpenSlices:
    """The slice of each level that is being added up, and those that are over but not saved."""

    def __init__(self, store: Store, now: float) -> None:
        """Go on where the store's sums end, or with the oldest task that trends can show."""
        saved_until = store.summed_until()
        self.until = max(saved_until, float(LEVELS[-1].first_kept(now) * LEVELS[-1].seconds))
        self.cursor = (self.until, -1)
        self._open = [EndedSum() for _ in LEVELS]
        self._numbers = [int(self.until // level.seconds) for level in LEVELS]
        self._closed: dict[tuple[int, int], EndedSum] = {}
        for index in range(1, len(LEVELS)):
            below = LEVELS[index - 1].seconds
            first = self._numbers[index] * LEVELS[index].seconds // below
            for part in store.sums(below, first, self._numbers[index - 1]).values():
                self._open[index].add(part)

    def add(self, ended: list[EndedTask]) -> None:
        """Add up tasks, in the order of their endings and after all others."""
        seconds = LEVELS[0].seconds
        for number, tasks in groupby(ended, key=lambda task: int(task.finished_at // seconds)):
            self.close(number * seconds)
            self._open[0].add(sum_of_ended(tasks))
        if ended:
            self.cursor = ended[-1].finished_at, ended[-1].seq

    def close(self, until: float) -> None:
        """All that ended before `until` was added."""
        if until <= self.until:
            return
        self.until = until
        for index, level in enumerate(LEVELS):
            number = int(until // level.seconds)
            if number == self._numbers[index]:
                break
            over = self._open[index]
            if over != EndedSum():
                over.merge_failures()
                self._closed[level.seconds, self._numbers[index]] = over
                if index + 1 < len(LEVELS):
                    self._open[index + 1].add(over)
            self._open[index], self._numbers[index] = EndedSum(), number

    def save(self, store: Store) -> None:
        """Save what is over, if there is any."""
        if self._closed:
            store.keep_sums(self._closed, self.until)
            self._closed = {}
