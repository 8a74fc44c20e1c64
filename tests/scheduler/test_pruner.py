"""How much is deleted at a time."""

import asyncio

import pytest

from task_queue.core.events import WorkerDeregistered
from task_queue.core.status import Status
from task_queue.pruner import Pruner
from task_queue.scheduler import Scheduler
from task_queue.store.protocol import Pruned
from task_queue.testing import FakeClock
from tests.scheduler.hall import Hall, succeeded

pytestmark = pytest.mark.anyio


class _SlowScheduler:
    """One that has so many tasks to delete, at so many seconds each."""

    def __init__(self, clock: FakeClock, tasks: int, seconds: float) -> None:
        self.clock = clock
        self.tasks = tasks
        self.seconds = seconds
        self.batches: list[int] = []
        self.slept: list[float] = []

    async def prune(self, ended_before: float, most_ended: int, limit: int) -> Pruned:
        count = min(limit, self.tasks)
        self.tasks -= count
        self.clock.advance(count * self.seconds)
        self.batches.append(count)
        return Pruned(tasks=count)

    async def prune_workers(self, ended_before: float) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def _batches(tasks: int, seconds: float) -> _SlowScheduler:
    clock = FakeClock()
    scheduler = _SlowScheduler(clock, tasks, seconds)
    pruner = Pruner(scheduler, clock, 60.0, 10, scheduler.sleep)
    assert await pruner.prune() == Pruned(tasks=tasks)
    return scheduler


async def test_batches_get_as_large_as_is_quick() -> None:
    quick = await _batches(100_000, 1e-6)
    assert quick.batches[0] == 100
    assert max(quick.batches) * 1e-6 <= 0.004
    assert max(quick.batches) >= 1_600


async def test_batches_get_as_small_as_is_needed() -> None:
    slow = await _batches(2_000, 1e-4)
    assert max(count * 1e-4 for count in slow.batches[3:]) <= 0.004


async def test_most_of_the_time_is_left_to_the_queue() -> None:
    slow = await _batches(2_000, 1e-4)
    assert sum(slow.slept) >= 4 * sum(slow.batches) * 1e-4


async def test_tasks_go_by_age_and_by_count(hall: Hall, scheduler: Scheduler) -> None:
    ids = await hall.dead_letters(scheduler, 5)
    waiting = await hall.submit(scheduler)
    by_count = Pruner(scheduler, hall.clock, 60.0, 3, asyncio.sleep)
    assert await by_count.prune() == Pruned(tasks=2)
    assert await by_count.prune() == Pruned()
    assert [hall.data.get(i) is not None for i in ids] == [False, False, True, True, True]
    await scheduler.retry(ids[4], "r")  # it is not over any more, so one more may be kept
    ids += await hall.dead_letters(scheduler, 1, queue="b", priority=9)
    assert await by_count.prune() == Pruned()
    hall.clock.advance(61)
    assert await by_count.prune() == Pruned(tasks=3)
    assert hall.status(waiting) is Status.QUEUED


async def test_the_count_survives_a_restart(hall: Hall, scheduler: Scheduler) -> None:
    await hall.dead_letters(scheduler, 5)
    scheduler.stop()
    following = await hall.started()
    assert await Pruner(following, hall.clock, 60.0, 2).prune() == Pruned(tasks=3)


async def test_results_go_in_time_though_nothing_else_happens(
    hall: Hall, scheduler: Scheduler
) -> None:
    """Without a worker no turn comes that would look at the clock."""
    await hall.register(scheduler)
    await hall.submit(scheduler, result_ttl_seconds=60.0)
    (lease,) = (await scheduler.pull(hall.pull_event())).leases
    await hall.end(scheduler, succeeded(lease))
    await scheduler.request(WorkerDeregistered("w1", "a"))
    assert (await scheduler.prune(0.0, 100, 100)).results == 0
    hall.clock.advance(61)
    assert (await scheduler.prune(0.0, 100, 100)).results == 1
