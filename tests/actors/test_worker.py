"""The worker's loop: real scheduler, fake executors."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from actors.worker import Worker, WorkerRefused
from task_queue.core.effects import Answer, Done, Grant, Registered
from task_queue.core.events import (
    CancelRequested,
    Event,
    WorkerLost,
    WorkerPulled,
    WorkerRegistered,
    WorkerResumed,
    WorkerStatusWanted,
)
from task_queue.core.status import Outcome, Status, WorkerStatus
from task_queue.core.task import Lease, Progress, ProgressNote, Task, leases_of
from task_queue.core.worker import WorkerInfo
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.store.memory import MemoryStore
from task_queue.testing import FakeClock, task_spec
from tests.actors.fake_executors import FakeExecutors, until
from tests.scheduler.hall import quiet

pytestmark = pytest.mark.anyio


class FlakyScheduler:
    """Passes calls on, and cuts as many answers as it is told to."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.cut_answers = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._scheduler, name)

    async def pull(self, event: WorkerPulled) -> Grant:
        grant = await self._scheduler.pull(event)
        if self.cut_answers and grant.leases:
            self.cut_answers -= 1
            raise SchedulerUnavailable("the connection was cut")
        return grant


@asynccontextmanager
async def working(
    scheduler: object, executors: FakeExecutors, clock: FakeClock, incarnation: str = "one"
) -> AsyncIterator[tuple[Worker, "asyncio.Task[str]"]]:
    info = WorkerInfo("w-1", incarnation, "pool", ("*",), executors.slots)
    worker = Worker(info, scheduler, executors, clock)  # type: ignore[arg-type]  # a stand-in
    executors.on_change = worker.on_change
    task = asyncio.ensure_future(worker.run())
    try:
        yield worker, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def submit(scheduler: Scheduler, count: int = 1) -> list[str]:
    specs = [task_spec() for _ in range(count)]
    await scheduler.submit(specs)
    return [spec.id for spec in specs]


def statuses(store: MemoryStore, task_ids: Sequence[str]) -> list[Status]:
    return [task.status for task in store.find(task_ids).values()]


async def test_runs_what_it_is_given_and_reports_it(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=2)
    async with working(scheduler, executors, clock):
        ids = await submit(scheduler, 3)
        await until(lambda: len(executors.running) == 2)
        executors.finish(ids[0])
        await until(lambda: ids[2] in executors.running)
        executors.finish(ids[1])
        executors.finish(ids[2])
        await until(lambda: statuses(store, ids) == [Status.COMPLETED] * 3)


async def test_a_worker_with_work_in_hand_tells_ends_together(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=3)
    async with working(scheduler, executors, clock):
        ids = await submit(scheduler, 3)
        await until(lambda: len(executors.running) == 3)
        executors.backlog = 5
        turns = (await scheduler.read()).turns
        for task_id in ids:
            executors.finish(task_id)
            await quiet()
        assert statuses(store, ids) == [Status.RUNNING] * 3
        clock.advance(0.005)
        await until(lambda: statuses(store, ids) == [Status.COMPLETED] * 3)
        assert (await scheduler.read()).turns <= turns + 2
        (urgent,) = await submit(scheduler)
        await until(lambda: urgent in executors.running)
        executors.backlog = 0  # nothing to do but this: its end is told at once
        executors.finish(urgent)
        await until(lambda: statuses(store, [urgent]) == [Status.COMPLETED])


async def test_the_end_of_a_short_task_is_told_by_the_pull_that_asks_for_more(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors()
    async with working(scheduler, executors, clock) as (worker, _):
        executors.ends_soon = True
        (short,) = await submit(scheduler)
        await until(lambda: short in executors.running)
        await quiet()
        assert not worker._open
        executors.finish(short)
        await until(lambda: statuses(store, [short]) == [Status.COMPLETED])
        assert worker._seq == 2
        (longer,) = await submit(scheduler)  # than it was expected to take
        await until(lambda: longer in executors.running)
        clock.advance(0.001)
        await until(lambda: bool(worker._open))
        assert longer in executors.running


async def test_a_grant_whose_answer_was_cut_arrives_all_the_same(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors, flaky = FakeExecutors(), FlakyScheduler(scheduler)
    flaky.cut_answers = 2
    async with working(flaky, executors, clock):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        assert flaky.cut_answers == 0
        assert store.find([task_id])[task_id].attempt == 1
        executors.finish(task_id)
        await until(lambda: statuses(store, [task_id]) == [Status.COMPLETED])


async def test_cancel_reaches_a_worker_that_is_full(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        await scheduler.request(CancelRequested(task_id))
        await until(lambda: statuses(store, [task_id]) == [Status.CANCELLED])
        assert executors.cancelled == [(task_id, 1)]


async def test_drain_finishes_what_runs_then_ends(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock) as (_, task):
        running, waiting = await submit(scheduler, 2)
        await until(lambda: running in executors.running)
        await scheduler.request(WorkerStatusWanted("w-1", WorkerStatus.DRAINING))
        executors.finish(running)
        assert await asyncio.wait_for(task, 30) == "drained"
        assert statuses(store, [running, waiting]) == [Status.COMPLETED, Status.QUEUED]
        assert (await scheduler.read()).workers == []


def leave(within_seconds: float) -> WorkerStatusWanted:
    return WorkerStatusWanted("w-1", WorkerStatus.DRAINING, within_seconds)


async def test_who_has_to_leave_hands_back_what_runs_without_using_up_an_attempt(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock) as (_, task):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        await scheduler.request(leave(7.0))
        assert await asyncio.wait_for(task, 30) == "drained"
        assert executors.graces == [7.0, 0.0]
        kept = store.find([task_id])[task_id]
        assert (kept.status, kept.failures, kept.deaths) == (Status.QUEUED, 0, 0)


async def test_who_has_to_leave_hands_back_at_once_what_has_not_started(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=2)
    async with working(scheduler, executors, clock) as (_, task):
        ids = await submit(scheduler, 3)
        await until(lambda: len(executors.running) == 2)
        executors.unstarted.append(ids[1])
        executors.may_stop.clear()
        await scheduler.request(leave(7.0))
        await until(lambda: statuses(store, ids)[1] is Status.QUEUED)
        assert not task.done()
        assert statuses(store, ids) == [Status.RUNNING, Status.QUEUED, Status.QUEUED]
        executors.finish(ids[0])  # it had the time, and its end is told at once
        await until(lambda: statuses(store, ids)[0] is Status.COMPLETED)
        executors.may_stop.set()
        assert await asyncio.wait_for(task, 5) == "drained"


async def test_an_order_to_leave_that_is_said_again_counts_once_unless_it_is_sooner(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock) as (_, task):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        executors.may_stop.clear()
        for within in (60.0, 59.8, 90.0, 10.0):
            await scheduler.request(leave(within))
            await quiet()
        assert executors.graces == [60.0, 10.0]
        executors.may_stop.set()
        assert await asyncio.wait_for(task, 5) == "drained"


async def test_a_worker_that_was_declared_lost_stops_everything(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock) as (_, task):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        await scheduler.request(WorkerLost("w-1", "one", "somebody thought so"))
        assert await asyncio.wait_for(task, 30) == "dismissed"
        assert executors.graces == [0.0]
        assert store.find([task_id])[task_id].status is Status.RETRYING


async def test_a_second_worker_with_the_same_id_is_refused(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    async with working(scheduler, FakeExecutors(), clock):
        await until_registered(scheduler)
        async with working(scheduler, FakeExecutors(), clock, incarnation="two") as (_, second):
            with pytest.raises(WorkerRefused, match="'w-1' belongs to a living worker"):
                await asyncio.wait_for(second, 30)


async def test_a_new_scheduler_learns_what_the_worker_holds(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        restart(scheduler)
        await until_registered(scheduler)
        executors.finish(task_id)
        await until(lambda: statuses(store, [task_id]) == [Status.COMPLETED])
        assert store.find([task_id])[task_id].attempt == 1


async def test_progress_is_told_while_the_task_runs(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        executors.tell_progress(ProgressNote(task_id, 1, Progress(0.5, "half")))
        await until(lambda: store.find([task_id])[task_id].progress is not None)
        assert store.find([task_id])[task_id].progress == Progress(0.5, "half")


async def test_a_failed_attempt_is_counted(
    scheduler: Scheduler, store: MemoryStore, clock: FakeClock
) -> None:
    executors = FakeExecutors(slots=1)
    async with working(scheduler, executors, clock):
        (task_id,) = await submit(scheduler)
        await until(lambda: task_id in executors.running)
        executors.finish(task_id, Outcome.FAILED)
        await until(lambda: statuses(store, [task_id]) == [Status.FAILED])
        assert (await scheduler.read()).workers[0].failed == 1


def restart(scheduler: Scheduler) -> None:
    """What happens when a commit fails: the machine is built anew from the store."""
    scheduler._turns.start_over([], RuntimeError("a commit failed"))


async def until_registered(scheduler: Scheduler) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                reading = await scheduler.read()
            except SchedulerUnavailable:
                reading = None
            if reading is not None and reading.workers:
                return
            await asyncio.sleep(0.001)


async def test_a_lease_that_comes_after_a_new_scheduler_was_told_of_none_is_given_back() -> None:
    lease = leases_of([Task(task_spec(), seq=1, submitted_at=0.0, attempt=1)], 0.0)[0]
    scheduler, executors = Successor(lease), FakeExecutors()
    async with working(scheduler, executors, FakeClock()) as (worker, _):
        await quiet()
        worker.on_change()
        await until(lambda: scheduler.released == [(lease.task_id, Outcome.RELEASED)])
    assert executors.running == {}


async def test_the_executors_are_told_until_when_a_task_may_start(
    scheduler: Scheduler, clock: FakeClock
) -> None:
    """Counted from when the pull was sent: the answer may take any time."""
    executors = FakeExecutors()
    async with working(scheduler, executors, clock):
        await quiet()
        clock.advance(2.0)  # the pull has waited for so long
        spec = task_spec(now=clock.now(), expires_at=clock.now() + 10.0)
        await scheduler.submit([spec])
        await until(lambda: spec.id in executors.running)
        assert executors.start_moments == {spec.id: pytest.approx(clock.monotonic() + 10.0)}


class Successor:
    """Asks what the worker holds while a grant of the scheduler before it is still on its way."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._resumed = asyncio.Event()
        self.released: list[tuple[str, Outcome]] = []

    async def request(self, event: Event) -> Answer:
        if isinstance(event, WorkerResumed):
            assert event.holding == []
            self._resumed.set()
        return Registered(15.0, 5.0) if isinstance(event, WorkerRegistered) else Done()

    async def pull(self, event: WorkerPulled) -> Grant:
        self.released += [(report.task_id, report.outcome) for report in event.reports]
        if event.seq == 1:
            await self._resumed.wait()
            return Grant(event.worker_id, event.incarnation, 1, [self._lease])
        if event.seq == 2:
            return Grant(event.worker_id, event.incarnation, 2, order="resync")
        never: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        return await never
