"""Deletes what is past its time, in batches so small that the queue is not held up.

A batch is deleted between two turns, by the same thread: as long as it takes, everybody waits. So
its size follows what the last one took.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from task_queue.clock import Clock
from task_queue.store.protocol import Pruned

_WANTED_SECONDS = 0.004  #: of one batch
_FIRST_BATCH = 100  #: tasks; a cold store is slow
_SMALLEST_BATCH, _LARGEST_BATCH = 10, 2_000
#: Between two batches, of what the last one took: a fifth of the time at most is spent on them.
_PAUSE = 4.0
_SHORTEST_PAUSE_SECONDS = 0.005


class Prunes(Protocol):
    """The part of the scheduler that is needed."""

    async def prune(self, ended_before: float, most_ended: int, limit: int) -> Pruned: ...

    async def prune_workers(self, ended_before: float) -> int: ...


class Pruner:
    """Retention by age and by count."""

    def __init__(
        self,
        scheduler: Prunes,
        clock: Clock,
        keep_seconds: float,
        most_ended: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Nothing is deleted yet.

        Args:
            keep_seconds: how long a task or a worker is kept after its end.
            most_ended: of more tasks that are over the oldest go sooner.
        """
        self._scheduler = scheduler
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._most_ended = most_ended
        self._sleep = sleep
        self._batch = _FIRST_BATCH

    async def prune(self) -> Pruned:
        """Delete all that is past its time now.

        Raises:
            SchedulerUnavailable: the store does not answer; what was deleted stays so.
        """
        before = self._clock.now() - self._keep_seconds
        await self._scheduler.prune_workers(before)
        tasks = results = 0
        while True:
            began = self._clock.monotonic()
            pruned = await self._scheduler.prune(before, self._most_ended, self._batch)
            took = self._clock.monotonic() - began
            if not any(pruned):
                return Pruned(tasks, results)
            tasks, results = tasks + pruned.tasks, results + pruned.results
            self._fit_batch(took)
            await self._sleep(max(_SHORTEST_PAUSE_SECONDS, _PAUSE * took))

    def _fit_batch(self, took: float) -> None:
        if took > _WANTED_SECONDS:
            self._batch = max(_SMALLEST_BATCH, self._batch // 2)
        elif took < _WANTED_SECONDS / 2:
            self._batch = min(_LARGEST_BATCH, self._batch * 5 // 4)
