"""Running again by hand, and deleting, what failed for good."""

import pytest

from task_queue.core.effects import Moved, Refused
from task_queue.core.events import CancelRequested
from task_queue.core.status import Status
from task_queue.scheduler import Scheduler
from task_queue.store.query import TaskQuery
from tests.scheduler.hall import Hall, background, failed, leased, succeeded

pytestmark = pytest.mark.anyio

_ANY = TaskQuery()


async def test_a_failed_task_runs_again_with_its_arguments(
    hall: Hall, scheduler: Scheduler
) -> None:
    (task_id,) = await hall.dead_letters(scheduler, 1, arguments=b'{"args":[7]}')
    answer = await scheduler.retry(task_id, "r1")
    assert answer == Moved(task_id, Status.QUEUED, cancel_requested=False)
    assert hall.status(task_id) is Status.QUEUED
    (lease,) = (await scheduler.pull(hall.pull_event())).leases
    assert (lease.task_id, lease.attempt, lease.arguments) == (task_id, 2, b'{"args":[7]}')


async def test_a_cancelled_task_runs_again(hall: Hall, scheduler: Scheduler) -> None:
    task_id = await hall.submit(scheduler)
    await scheduler.request(CancelRequested(task_id))
    assert isinstance(await scheduler.retry(task_id, "r2"), Moved)
    assert hall.status(task_id) is Status.QUEUED


async def test_what_is_unknown_live_or_completed_is_not_run_again(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    live = await scheduler.retry(lease.task_id, "r3")
    await hall.end(scheduler, succeeded(lease))
    completed = await scheduler.retry(lease.task_id, "r4")
    unknown = await scheduler.retry("nobody", "r5")
    reasons = [
        answer.reason for answer in (live, completed, unknown) if isinstance(answer, Refused)
    ]
    assert reasons == ["conflict", "conflict", "not_live"]


async def test_two_persons_who_retry_at_once_run_it_once(hall: Hall, scheduler: Scheduler) -> None:
    (task_id,) = await hall.dead_letters(scheduler, 1)
    calls = [background(scheduler.retry(task_id, "r6")) for _ in range(2)]
    answers = [await call for call in calls]
    assert all(isinstance(answer, Moved) for answer in answers)
    await hall.register(scheduler, "w2", slots=5)
    assert leased(await scheduler.pull(hall.pull_event("w2", want=5))) == [task_id]


async def test_a_repeated_retry_is_not_carried_out_twice(hall: Hall, scheduler: Scheduler) -> None:
    (task_id,) = await hall.dead_letters(scheduler, 1)
    first = await scheduler.retry(task_id, "r")
    (lease,) = (await scheduler.pull(hall.pull_event())).leases
    await hall.end(scheduler, failed(lease))
    assert hall.status(task_id) is Status.FAILED
    assert await scheduler.retry(task_id, "r") == first
    assert hall.status(task_id) is Status.FAILED
    assert await scheduler.retry(task_id, "another") == first
    assert hall.status(task_id) is Status.QUEUED


async def test_a_repeated_replay_is_answered_with_the_same_count(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.dead_letters(scheduler, 5)
    calls = [background(scheduler.replay(_ANY, 2, dry_run=False, request_id="r")) for _ in range(2)]
    assert [await call for call in calls] == [2, 2]
    assert await scheduler.replay(_ANY, 2, dry_run=False, request_id="r") == 2
    assert await scheduler.replay(_ANY, 10, dry_run=True, request_id="look") == 3


async def test_a_replay_takes_the_newest_that_match(hall: Hall, scheduler: Scheduler) -> None:
    ids = await hall.dead_letters(scheduler, 4, queue="a")
    other = await hall.dead_letters(scheduler, 1, queue="b")
    assert await scheduler.replay(TaskQuery(queue="a"), 3, dry_run=False, request_id="r9") == 3
    assert [hall.status(i) for i in ids] == [Status.FAILED, *[Status.QUEUED] * 3]
    assert hall.status(other[0]) is Status.FAILED


async def test_a_dry_run_changes_nothing(hall: Hall, scheduler: Scheduler) -> None:
    ids = await hall.dead_letters(scheduler, 3)
    before = hall.commits
    assert await scheduler.replay(_ANY, 10, dry_run=True, request_id="r10") == 3
    assert hall.commits == before
    assert (
        await scheduler.replay(TaskQuery(name="no such"), 10, dry_run=False, request_id="r11") == 0
    )
    assert all(hall.status(i) is Status.FAILED for i in ids)


async def test_a_replay_never_takes_what_is_not_a_dead_letter(
    hall: Hall, scheduler: Scheduler
) -> None:
    task_id = await hall.submit(scheduler)
    await scheduler.request(CancelRequested(task_id))
    assert (
        await scheduler.replay(
            TaskQuery(statuses=(Status.CANCELLED,)), 10, dry_run=False, request_id="r12"
        )
        == 0
    )
    assert hall.status(task_id) is Status.CANCELLED


async def test_purging_deletes_the_dead_letters_that_match_and_nothing_else(
    hall: Hall, scheduler: Scheduler
) -> None:
    ids = await hall.dead_letters(scheduler, 3, queue="a")
    other = await hall.dead_letters(scheduler, 1, queue="b")
    live = await hall.submit(scheduler, queue="a")
    assert await scheduler.purge_dlq(TaskQuery(queue="a")) == 3
    assert [hall.data.get(i) for i in ids] == [None] * 3
    assert hall.status(other[0]) is Status.FAILED
    assert hall.status(live) is Status.QUEUED
    assert await scheduler.purge_dlq(TaskQuery(queue="a")) == 0


async def test_purging_goes_on_until_all_batches_are_gone(hall: Hall, scheduler: Scheduler) -> None:
    await hall.dead_letters(scheduler, 2_100)
    assert await scheduler.purge_dlq(_ANY) == 2_100
    assert hall.data.search(_ANY, 9) == []


async def test_a_retry_that_came_before_the_purge_saves_its_task(
    hall: Hall, scheduler: Scheduler
) -> None:
    ids = await hall.dead_letters(scheduler, 2)
    retry, purge = background(scheduler.retry(ids[0], "r7")), background(scheduler.purge_dlq(_ANY))
    assert isinstance(await retry, Moved)
    assert await purge == 1
    assert hall.status(ids[0]) is Status.QUEUED
    assert hall.data.get(ids[1]) is None


async def test_a_replayed_task_that_fails_is_a_dead_letter_again(
    hall: Hall, scheduler: Scheduler
) -> None:
    (task_id,) = await hall.dead_letters(scheduler, 1)
    await scheduler.retry(task_id, "r8")
    (lease,) = (await scheduler.pull(hall.pull_event())).leases
    await hall.end(scheduler, failed(lease))
    assert hall.task(task_id).in_dlq
