"""Running again by hand, and deleting, what failed for good."""

import pytest

from task_queue.core.effects import Counted, Moved, Refused
from task_queue.core.events import CancelRequested
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import DeadLetter
from tests.scheduler.hall import Hall, background, failed, leased, succeeded

pytestmark = pytest.mark.anyio


def _found(*ids: str, attempt: int = 1) -> list[DeadLetter]:
    """As they are after their first attempt."""
    return [DeadLetter(task_id, attempt) for task_id in ids]


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


async def test_a_retry_for_which_there_is_no_room_is_refused_and_may_be_repeated(
    hall: Hall,
) -> None:
    scheduler = await hall.started(Rules(max_retrying=1))
    ids = await hall.dead_letters(scheduler, 2)
    assert isinstance(await scheduler.retry(ids[0], "r1"), Moved)
    refused = await scheduler.retry(ids[1], "r2")
    assert isinstance(refused, Refused) and refused.reason == "queue_full"
    assert hall.status(ids[1]) is Status.FAILED
    (lease,) = (await scheduler.pull(hall.pull_event())).leases
    await hall.end(scheduler, succeeded(lease))
    assert isinstance(await scheduler.retry(ids[1], "r2"), Moved)


async def test_a_repeated_replay_is_answered_with_the_same_count(
    hall: Hall, scheduler: Scheduler
) -> None:
    letters = _found(*await hall.dead_letters(scheduler, 3))
    calls = [background(scheduler.replay(letters[:2], "r")) for _ in range(2)]
    assert [await call for call in calls] == [Counted(2), Counted(2)]
    assert await scheduler.replay(letters[:2], "r") == Counted(2)
    assert await scheduler.replay(letters, "another") == Counted(1)


async def test_a_replay_takes_the_oldest_first_and_nothing_else(
    hall: Hall, scheduler: Scheduler
) -> None:
    ids = await hall.dead_letters(scheduler, 4)
    letters = _found(ids[3], ids[1], "nobody", ids[2])
    assert await scheduler.replay(letters, "r") == Counted(3)
    assert [hall.status(i) for i in ids] == [Status.FAILED, *[Status.QUEUED] * 3]
    assert leased(await scheduler.pull(hall.pull_event(want=4))) == ids[1:]


async def test_a_letter_that_ran_again_since_it_was_found_is_another_one(
    hall: Hall, scheduler: Scheduler
) -> None:
    """It may have failed otherwise: whoever found it did not mean it."""
    (task_id,) = await hall.dead_letters(scheduler, 1)
    await scheduler.retry(task_id, "r")
    (lease,) = (await scheduler.pull(hall.pull_event())).leases
    await hall.end(scheduler, failed(lease))
    assert await scheduler.replay(_found(task_id), "late") == Counted(0)
    assert await scheduler.purge_dlq(_found(task_id)) == 0
    assert hall.task(task_id).in_dlq
    assert await scheduler.purge_dlq(_found(task_id, attempt=2)) == 1


async def test_a_replay_never_takes_what_is_not_a_dead_letter(
    hall: Hall, scheduler: Scheduler
) -> None:
    task_id = await hall.submit(scheduler)
    await scheduler.request(CancelRequested(task_id))
    assert await scheduler.replay(_found(task_id, attempt=0), "r12") == Counted(0)
    assert await scheduler.purge_dlq(_found(task_id, attempt=0)) == 0
    assert hall.status(task_id) is Status.CANCELLED


async def test_arguments_too_large_for_one_turn_are_refused_but_of_one_task_alone(
    hall: Hall, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("task_queue.dead_letters._MOST_BYTES", 50)
    (large,) = await hall.dead_letters(scheduler, 1, arguments=b" " * 51)
    ids = await hall.dead_letters(scheduler, 20, arguments=b"[1,2]")
    refused = await scheduler.replay(_found(*ids), "r")
    assert isinstance(refused, Refused) and refused.reason == "too_large"
    assert await scheduler.replay(_found(*ids[:10]), "r") == Counted(10)
    assert await scheduler.replay(_found(large), "r1") == Counted(1)


async def test_purging_deletes_these_dead_letters_and_nothing_else(
    hall: Hall, scheduler: Scheduler
) -> None:
    ids = await hall.dead_letters(scheduler, 3)
    live = await hall.submit(scheduler)
    letters = _found(*ids[:2], live, "nobody")
    assert await scheduler.purge_dlq(letters) == 2
    assert [hall.data.get(i) for i in ids[:2]] == [None] * 2
    assert hall.status(ids[2]) is Status.FAILED
    assert hall.status(live) is Status.QUEUED
    assert await scheduler.purge_dlq(letters) == 0


async def test_a_retry_that_came_before_the_purge_saves_its_task(
    hall: Hall, scheduler: Scheduler
) -> None:
    ids = await hall.dead_letters(scheduler, 2)
    retry = background(scheduler.retry(ids[0], "r7"))
    purge = background(scheduler.purge_dlq(_found(*ids)))
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
