"""A scheduler's life: start, figures, pruning, the catalogue, a rival, the end."""

import asyncio

import pytest

from task_queue.core.events import QueuePaused, WorkerStatusWanted
from task_queue.core.status import Status, WorkerStatus
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.store.protocol import Pruned, StaleEpoch
from task_queue.store.query import Pool
from task_queue.tasks import TaskOptions, TaskType
from task_queue.testing import task_spec
from tests.scheduler.hall import Hall, background, failed, leased, quiet, succeeded

pytestmark = pytest.mark.anyio


async def test_before_it_has_loaded_it_says_so(hall: Hall) -> None:
    scheduler = hall.make()
    for call in (
        scheduler.submit([task_spec()]),
        scheduler.submit([task_spec(idempotency_key="k")]),
        scheduler.pull(hall.pull_event()),
        scheduler.wait_over(["t"], 1),
        scheduler.read(),
        scheduler.retry("t", "r"),
        scheduler.declare([], []),
    ):
        with pytest.raises(SchedulerUnavailable):
            await call
    scheduler.tick()  # no news is no trouble
    await scheduler.started()
    await scheduler.started()
    await hall.submit(scheduler)
    assert (await scheduler.read()).epoch == 1


async def test_a_stopped_scheduler_answers_everybody_who_waits_and_saves_no_more(
    hall: Hall, scheduler: Scheduler
) -> None:
    submit = background(hall.submit(scheduler))
    await asyncio.sleep(0)
    scheduler.stop()
    with pytest.raises(SchedulerUnavailable):
        await submit
    scheduler.stop()
    scheduler.tick()
    assert hall.data.load().tasks == []
    assert hall.troubles == []


async def test_a_scheduler_that_was_replaced_stops_and_saves_nothing(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    newer = await hall.started()
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    with pytest.raises(SchedulerUnavailable):
        await pull
    assert hall.dethroned == 1
    assert isinstance(hall.troubles[-1][1], StaleEpoch)
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    scheduler.tick()
    await quiet()
    assert hall.dethroned == 1
    task_id = await hall.submit(newer)
    assert [task.spec.id for task in hall.data.load().tasks] == [task_id]
    assert (await newer.read()).epoch == 2


async def test_a_scheduler_replaced_while_it_prunes_deletes_nothing(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.dead_letters(scheduler, 1)
    await hall.started()
    with pytest.raises(SchedulerUnavailable):
        await scheduler.prune(hall.clock.now() + 1, 99, 10)


async def test_the_next_scheduler_goes_on_where_the_last_one_stopped(
    hall: Hall, scheduler: Scheduler
) -> None:
    waiting = await hall.submit(scheduler, priority=9)
    delayed = await hall.submit(scheduler, run_at=hall.clock.now() + 5)
    await scheduler.request(QueuePaused("q", paused=True))
    scheduler.stop()
    following = await hall.started()
    (default, paused) = (await following.read()).queues
    assert (default.queue, default.waiting[9], default.delayed) == ("default", 1, 1)
    assert (paused.queue, paused.paused) == ("q", True)
    hall.clock.advance(5)
    following.tick()
    assert [hall.status(i) for i in (waiting, delayed)] == [Status.QUEUED] * 2


# ---- figures -------------------------------------------------------------------------------


async def test_the_reading_tells_where_everything_is(hall: Hall, scheduler: Scheduler) -> None:
    started = hall.clock.now()
    lease = await hall.running(scheduler)
    hall.clock.advance(2)
    await hall.submit(scheduler, priority=3)
    await hall.submit(scheduler, run_at=started + 60, queue="later")
    await scheduler.request(QueuePaused("quiet", paused=True))
    await scheduler.request(WorkerStatusWanted("w1", WorkerStatus.PAUSED))
    reading = await scheduler.read()
    assert (reading.at, reading.started_at, reading.refused_reports) == (started + 2, started, 0)
    default, later, quiet_queue = reading.queues
    assert (default.running, default.delayed, default.paused) == (1, 0, False)
    assert default.waiting == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert default.oldest_submitted_at == started + 2
    assert (later.queue, later.delayed, later.oldest_submitted_at) == ("later", 1, None)
    assert (quiet_queue.queue, quiet_queue.paused, sum(quiet_queue.waiting)) == ("quiet", True, 0)
    (worker,) = reading.workers
    assert (worker.info.worker_id, worker.info.status) == ("w1", WorkerStatus.PAUSED)
    assert (worker.holds, worker.last_seen) == ([lease.task_id], started)


async def test_the_reading_counts_what_workers_did(hall: Hall, scheduler: Scheduler) -> None:
    lease = await hall.running(scheduler)
    await hall.end(scheduler, failed(lease), succeeded(lease))
    reading = await scheduler.read()
    (worker,) = reading.workers
    assert (worker.ended, worker.failed, worker.busy_seconds) == (1, 1, 1.0)
    assert reading.refused_reports == 1


async def test_the_reading_tells_what_commits_cost(hall: Hall, scheduler: Scheduler) -> None:
    before = (await scheduler.read()).turns
    hall.watch = lambda: hall.clock.advance(0.25)
    await hall.submit(scheduler)
    await hall.submit(scheduler)
    reading = await scheduler.read()
    assert reading.turns == before + 2
    assert (reading.commit_seconds_total, reading.commit_seconds_last) == (0.5, 0.25)


# ---- the store's housekeeping --------------------------------------------------------------


async def test_pruning_deletes_what_is_old_but_not_what_runs_again(
    hall: Hall, scheduler: Scheduler
) -> None:
    ids = await hall.dead_letters(scheduler, 3)
    later = hall.clock.now() + 1
    retry = background(scheduler.retry(ids[1], "r"))
    await asyncio.sleep(0)  # it waits for its turn
    assert await scheduler.prune(later, 99, 100) == Pruned(tasks=2)
    await retry
    assert [hall.data.get(i) is not None for i in ids] == [False, True, False]
    assert hall.status(ids[1]) is Status.QUEUED


async def test_the_catalogue_is_declared(hall: Hall, scheduler: Scheduler) -> None:
    pool, kind = Pool("p", ("*",), ("n",)), TaskType("n", (), TaskOptions())
    await scheduler.declare([pool], [kind])
    assert (hall.data.pools(), hall.data.task_types()) == ([pool], [kind])


async def test_being_asked_to_start_again_changes_nothing(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    await scheduler.started()
    task_id = await hall.submit(scheduler)
    assert leased(await asyncio.wait_for(pull, 30)) == [task_id]
