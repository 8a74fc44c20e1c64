"""Waiting for tasks to be over."""

import asyncio

import pytest

from task_queue.core.effects import Effects
from task_queue.core.events import CancelRequested
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.over_waiters import OverWaiters
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import Ended, SchedulerUnavailable
from task_queue.testing import task_spec
from tests.scheduler.hall import Hall, background, quiet, succeeded

pytestmark = pytest.mark.anyio


async def _soon(call: "asyncio.Task[None]") -> None:
    await asyncio.wait_for(call, 30)


async def test_a_task_that_is_over_is_not_waited_for(hall: Hall, scheduler: Scheduler) -> None:
    lease = await hall.running(scheduler)
    await hall.end(scheduler, succeeded(lease))
    await _soon(background(scheduler.wait_over([lease.task_id], 60)))


async def test_a_task_that_nobody_knows_is_not_waited_for(hall: Hall, scheduler: Scheduler) -> None:
    live = await hall.submit(scheduler)
    await _soon(background(scheduler.wait_over([live, "nobody"], 60)))


async def test_waiting_ends_when_the_task_does(hall: Hall, scheduler: Scheduler) -> None:
    lease = await hall.running(scheduler)
    waiting = [background(scheduler.wait_over([lease.task_id], 60)) for _ in range(3)]
    await quiet()
    assert not any(call.done() for call in waiting)
    await hall.end(scheduler, succeeded(lease))
    for call in waiting:
        await _soon(call)


async def test_waiting_ends_after_the_commit_not_before(hall: Hall, scheduler: Scheduler) -> None:
    task_id = await hall.submit(scheduler)
    waiting = background(scheduler.wait_over([task_id], 60))
    await quiet()
    done: list[bool] = []
    hall.watch = lambda: done.append(waiting.done())
    await scheduler.request(CancelRequested(task_id))
    await _soon(waiting)
    assert done == [False]


async def test_waiting_for_many_ends_with_the_first(hall: Hall, scheduler: Scheduler) -> None:
    ids = [await hall.submit(scheduler) for _ in range(20)]
    waiting = background(scheduler.wait_over([*ids, ids[7]], 60))
    await quiet()
    await scheduler.request(CancelRequested(ids[7]))
    await _soon(waiting)


async def test_waiting_ends_when_the_time_is_up(hall: Hall, scheduler: Scheduler) -> None:
    task_id = await hall.submit(scheduler)
    await _soon(background(scheduler.wait_over([task_id], 0.01)))
    await _soon(background(scheduler.wait_over([task_id], 0.0)))


async def test_the_end_of_a_task_is_told_with_its_result(hall: Hall, scheduler: Scheduler) -> None:
    lease = await hall.running(scheduler)
    ends = [background(scheduler.end_of(lease.task_id, 60)) for _ in range(2)]
    await quiet()
    await hall.end(scheduler, succeeded(lease))
    for call in ends:
        end = await asyncio.wait_for(call, 30)
        assert end == Ended(Status.COMPLETED, hall.clock.now(), None, b"1")


async def test_the_end_is_told_of_a_task_whose_submit_came_just_before(
    hall: Hall, scheduler: Scheduler
) -> None:
    spec = task_spec(idempotency_key="k")
    submitting = background(scheduler.submit([spec]))
    ending = background(scheduler.end_of(spec.id, 60))
    await submitting
    await quiet()
    assert not ending.done()
    await scheduler.request(CancelRequested(spec.id))
    end = await asyncio.wait_for(ending, 30)
    assert end is not None and end.status is Status.CANCELLED and end.result is None


async def test_no_end_is_told_of_what_is_over_or_unknown_or_takes_longer(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    assert await scheduler.end_of(lease.task_id, 0.01) is None
    await hall.end(scheduler, succeeded(lease))
    assert await scheduler.end_of(lease.task_id, 60) is None
    assert await scheduler.end_of("nobody", 60) is None
    waiting = background(scheduler.end_of(await hall.submit(scheduler), 60))
    await quiet()
    scheduler.stop()
    assert await asyncio.wait_for(waiting, 30) is None


async def test_a_stopped_scheduler_lets_everybody_go(hall: Hall, scheduler: Scheduler) -> None:
    task_id = await hall.submit(scheduler)
    waiting = background(scheduler.wait_over([task_id], 60))
    await quiet()
    scheduler.stop()
    await _soon(waiting)
    with pytest.raises(SchedulerUnavailable):
        await scheduler.wait_over([task_id], 60)


async def test_nothing_is_kept_of_those_who_waited(hall: Hall, scheduler: Scheduler) -> None:
    ids = [await hall.submit(scheduler) for _ in range(3)]
    await scheduler.wait_over(ids, 0.01)
    gone = background(scheduler.wait_over(ids, 60))
    stays = background(scheduler.wait_over(ids[:1], 60))
    await quiet()
    gone.cancel()
    await quiet()
    assert list(scheduler._waiters._by_task) == ids[:1]
    await scheduler.request(CancelRequested(ids[0]))
    await _soon(stays)
    assert scheduler._waiters._by_task == {}


def _over(task_id: str) -> Effects:
    """A turn in which a task ended."""
    ended = Task(task_spec(id=task_id), 1, 0.0, Status.CANCELLED, finished_at=1.0)
    return Effects(over=[ended])


async def test_who_waits_for_the_next_end_is_not_forgotten_with_those_of_the_last() -> None:
    # The task ends, is run again by hand, and is waited for anew, before the first waiter runs.
    waiters = OverWaiters()
    first = background(waiters.wait(["t"], 60))
    await quiet()
    waiters.wake(_over("t"))
    second = background(waiters.wait(["t"], 60))
    third = background(waiters.wait(["t"], 60))
    await _soon(first)
    await quiet()
    assert not second.done()
    waiters.wake(_over("t"))
    await _soon(second)
    await _soon(third)


async def test_a_second_waiter_alone_is_not_forgotten_either() -> None:
    waiters = OverWaiters()
    first = background(waiters.wait(["t"], 60))
    await quiet()
    waiters.wake(_over("t"))
    second = background(waiters.wait(["t"], 60))
    await _soon(first)
    await quiet()
    waiters.wake(_over("t"))
    await _soon(second)
