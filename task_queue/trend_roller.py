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
_WANTED_SECONDS = 0.002  #: of one batch; saving takes about as much again, after a turn
_SMALLEST_BATCH, _LARGEST_BATCH = 50, 5_000  #: tasks
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
            batch = self._batch
            added, took = await self._scheduler.between_turns(self._timed(self._add))
            self._fit_batch(took)
            tasks += added
            if self._slices is not None and self._slices.are_to_be_saved:
                # A turn may come before it: each of the two holds up others, and so not both.
                _, more = await self._scheduler.between_turns(self._timed(self._save))
                took += more
            if added < batch:
                return tasks
            pause = _PAUSE_BEHIND if self._behind > _BEHIND_SECONDS else _PAUSE
            await self._sleep(max(_SHORTEST_PAUSE_SECONDS, pause * took))

    def _timed(self, step: Callable[[Store], int]) -> Callable[[Store], tuple[int, float]]:
        """A step, and how many seconds it takes: without the wait for its turn."""

        def timed(store: Store) -> tuple[int, float]:
            began = self._clock.monotonic()
            return step(store), self._clock.monotonic() - began

        return timed

    def _add(self, store: Store) -> int:
        """Add up one batch. If it fails, what is not saved yet is begun anew."""
        slices, self._slices = self._slices, None
        until = (self._clock.now() - SETTLE_SECONDS) // LEVELS[0].seconds * LEVELS[0].seconds
        if slices is None:
            slices = _OpenSlices(store, until)
        ended = store.ended(slices.cursor, until, self._batch)
        slices.add(ended)
        if len(ended) < self._batch:
            slices.close(until)
        self._slices, self._behind = slices, until - slices.until
        return len(ended)

    def _save(self, store: Store) -> int:
        """Save what is over. If it fails, all that is not saved is begun anew."""
        slices, self._slices = self._slices, None
        assert slices is not None
        slices.save(store)
        self._slices = slices
        return 0

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

    @property
    def are_to_be_saved(self) -> bool:
        """Whether one is over that is not saved."""
        return bool(self._closed)

    def save(self, store: Store) -> None:
        """Save those that are over."""
        store.keep_sums(self._closed, self.until)
        self._closed = {}
