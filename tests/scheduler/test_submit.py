"""Submitting again: nothing is accepted twice, whatever happened in between."""

import pytest

from task_queue.core.effects import Accepted, Refused
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.scheduler import Scheduler
from task_queue.testing import task_spec
from tests.scheduler.hall import Hall, background, succeeded

pytestmark = pytest.mark.anyio


async def test_a_repeated_call_finds_its_tasks_while_they_live(
    hall: Hall, scheduler: Scheduler
) -> None:
    specs = [task_spec(), task_spec()]
    ids = [spec.id for spec in specs]
    assert await scheduler.submit(specs) == Accepted(ids)
    assert await scheduler.submit(specs, repeated=True) == Accepted(ids, [0, 1])
    assert len(hall.data.load().tasks) == 2


async def test_a_repeated_call_finds_its_tasks_after_they_ended(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    await hall.end(scheduler, succeeded(lease))
    spec = hall.task(lease.task_id).spec
    assert await scheduler.submit([spec], repeated=True) == Accepted([spec.id], [0])
    assert hall.status(spec.id) is Status.COMPLETED


async def test_a_repeated_call_finds_its_tasks_after_a_restart(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    await hall.end(scheduler, succeeded(lease))
    over, live = hall.task(lease.task_id).spec, task_spec()
    await scheduler.submit([live])
    scheduler.stop()
    following = await hall.started()
    answer = await following.submit([over, live], repeated=True)
    assert answer == Accepted([over.id, live.id], [0, 1])


async def test_what_of_a_repeated_call_was_not_accepted_is_accepted_now(
    hall: Hall, scheduler: Scheduler
) -> None:
    there, new = task_spec(), task_spec()
    await scheduler.submit([there])
    assert await scheduler.submit([there, new], repeated=True) == Accepted([there.id, new.id], [0])


async def test_the_same_call_twice_in_one_turn_counts_once(
    hall: Hall, scheduler: Scheduler
) -> None:
    spec = task_spec()
    first = background(scheduler.submit([spec]))
    second = background(scheduler.submit([spec], repeated=True))
    assert (await first, await second) == (Accepted([spec.id]), Accepted([spec.id], [0]))


async def test_a_key_finds_its_task_live_or_over_and_after_a_restart(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler, idempotency_key="k")
    again = task_spec(idempotency_key="k")
    assert await scheduler.submit([again]) == Accepted([lease.task_id], [0])
    await hall.end(scheduler, succeeded(lease))
    assert await scheduler.submit([again]) == Accepted([lease.task_id], [0])
    scheduler.stop()
    following = await hall.started()
    assert await following.submit([again]) == Accepted([lease.task_id], [0])
    assert hall.status(lease.task_id) is Status.COMPLETED


async def test_the_same_key_from_two_callers_at_once_is_one_task(
    hall: Hall, scheduler: Scheduler
) -> None:
    calls = [background(scheduler.submit([task_spec(idempotency_key="k")])) for _ in range(5)]
    answers = [await call for call in calls]
    assert len({a.task_ids[0] for a in answers if isinstance(a, Accepted)}) == 1
    assert len(hall.data.load().tasks) == 1


async def test_a_full_queue_refuses_a_batch_whole_but_not_its_repetition(hall: Hall) -> None:
    scheduler = await hall.started(Rules(max_queue_length=2))
    specs = [task_spec(), task_spec()]
    assert await scheduler.submit(specs) == Accepted([spec.id for spec in specs])
    refused = await scheduler.submit([task_spec(queue="other"), task_spec()])
    assert isinstance(refused, Refused)
    assert refused.reason == "queue_full"
    assert len(hall.data.load().tasks) == 2
    assert await scheduler.submit(specs, repeated=True) == Accepted(
        [spec.id for spec in specs], [0, 1]
    )
