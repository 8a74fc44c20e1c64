"""A scheduler whose lines are longer than what it keeps in memory."""

import asyncio

import pytest

from task_queue.core.effects import Accepted, Moved
from task_queue.core.events import CancelRequested, QueuePaused, WorkerResumed
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.core.task import Report, Task
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import StoreError
from task_queue.testing import task_spec
from tests.scheduler.hall import Hall, background, leased, quiet, store_failure, succeeded, until

pytestmark = pytest.mark.anyio

_RULES = Rules(window=4)


async def _filled(hall: Hall, count: int) -> tuple[Scheduler, list[str]]:
    """A scheduler in whose queue so many wait, and their ids."""
    scheduler = await hall.started(_RULES)
    answer = await scheduler.submit([task_spec() for _ in range(count)])
    assert isinstance(answer, Accepted)
    return scheduler, answer.task_ids


async def _work(hall: Hall, scheduler: Scheduler, count: int) -> list[str]:
    """Worker w1 does so many, three at a time; their ids in the order of their leases."""
    await hall.register(scheduler, slots=100)
    done: list[str] = []
    reports: tuple[Report, ...] = ()
    while len(done) < count:
        grant = await scheduler.pull(hall.pull_event(want=3, reports=reports))
        if grant.order == "resync":
            await scheduler.request(WorkerResumed("w1", "a", []))
        done += leased(grant)
        reports = tuple(succeeded(lease) for lease in grant.leases)
    await hall.end(scheduler, *reports)
    return done


async def test_all_of_a_long_line_is_done_in_order(hall: Hall) -> None:
    scheduler, ids = await _filled(hall, 30)
    assert len(hall.data.load().tasks) == 4
    assert await _work(hall, scheduler, 30) == ids
    assert {hall.status(task_id) for task_id in ids} == {Status.COMPLETED}


async def test_a_scheduler_that_starts_goes_on_with_it(hall: Hall) -> None:
    first, ids = await _filled(hall, 30)
    first.stop()
    scheduler = await hall.started(_RULES)
    reading = await scheduler.read()
    assert sum(reading.queues[0].waiting) == 30
    assert await _work(hall, scheduler, 30) == ids


async def test_a_turn_that_is_not_saved_pages_in_nothing(hall: Hall) -> None:
    scheduler, ids = await _filled(hall, 10)
    await hall.register(scheduler, slots=100)
    hall.failures = [store_failure()]
    with pytest.raises(SchedulerUnavailable):
        await scheduler.pull(hall.pull_event(want=3))
    await scheduler.started()
    assert await _work(hall, scheduler, 10) == ids


async def test_a_page_that_cannot_be_read_is_a_turn_that_failed(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, ids = await _filled(hall, 10)
    await hall.register(scheduler, slots=100)

    def away(_store: MemoryStore, *_line: object) -> list[Task]:
        raise StoreError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "page", away)
        pull = background(scheduler.pull(hall.pull_event(want=10)))
        await until(lambda: bool(hall.troubles))
    await pull  # what was in memory was leased before the page was wanted
    await scheduler.started()
    assert {str(error) for _, error in hall.troubles} == {"no answer"}
    assert {hall.status(i) for i in ids} == {Status.QUEUED, Status.RUNNING}
    assert sum((await scheduler.read()).queues[0].waiting) == 6


async def test_a_store_that_lost_what_was_counted_is_an_error_not_a_wait(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, _ = await _filled(hall, 10)
    await hall.register(scheduler, slots=100)
    monkeypatch.setattr(MemoryStore, "page", lambda *_: [])
    pull = background(scheduler.pull(hall.pull_event(want=10)))
    await until(lambda: bool(hall.troubles))
    assert "queue 'default', priority 5: no task is paged out" in str(hall.troubles[0][1])
    pull.cancel()


async def test_one_that_is_paged_out_is_cancelled(hall: Hall) -> None:
    scheduler, ids = await _filled(hall, 10)
    assert await scheduler.request(CancelRequested(ids[8])) == Moved(
        ids[8], Status.CANCELLED, cancel_requested=False
    )
    assert hall.status(ids[8]) is Status.CANCELLED
    assert await _work(hall, scheduler, 9) == [*ids[:8], ids[9]]


async def test_many_are_cancelled_at_once(hall: Hall) -> None:
    scheduler, ids = await _filled(hall, 30)
    calls = [background(scheduler.request(CancelRequested(i))) for i in [*ids[2:], *ids[2:]]]
    answers = await asyncio.gather(*calls)
    assert sum(isinstance(answer, Moved) for answer in answers) == 28
    assert await _work(hall, scheduler, 2) == ids[:2]


async def test_a_purge_takes_all_that_waits_now(hall: Hall) -> None:
    scheduler, ids = await _filled(hall, 50)
    late = background(hall.submit(scheduler, run_at=hall.clock.now() + 9))
    purge = background(scheduler.purge_queue("default"))
    await quiet()
    newer = await hall.submit(scheduler)
    assert await purge == 51
    assert {hall.status(i) for i in [*ids, await late]} == {Status.CANCELLED}
    assert await _work(hall, scheduler, 1) == [newer]


async def test_a_purge_waits_for_its_pages_while_other_lines_get_theirs(hall: Hall) -> None:
    scheduler = await hall.started(_RULES)
    await scheduler.request(QueuePaused("doomed", paused=True))
    others = [f"busy-{number}" for number in range(9)]
    for _ in range(10):
        await scheduler.submit([task_spec(queue=queue) for queue in [*others, "doomed"]])
    await hall.register(scheduler, slots=100)
    pull = background(scheduler.pull(hall.pull_event(want=100)))
    purge = background(scheduler.purge_queue("doomed"))
    await pull  # after it all busy lines would have a page
    assert await purge == 10


async def test_who_waits_for_one_that_is_paged_out_is_told_when_it_is_over(hall: Hall) -> None:
    scheduler, ids = await _filled(hall, 10)
    waits = background(scheduler.wait_over([ids[0], ids[9]], 60.0))
    await quiet()
    assert not waits.done()
    await scheduler.request(CancelRequested(ids[9]))
    await asyncio.wait_for(waits, 30)


async def test_the_end_of_one_that_is_paged_out_is_told(hall: Hall) -> None:
    scheduler, ids = await _filled(hall, 10)
    ending = background(scheduler.end_of(ids[9], 60.0))
    await quiet()
    assert not ending.done()
    await scheduler.request(CancelRequested(ids[9]))
    end = await asyncio.wait_for(ending, 30)
    assert end is not None and end.status is Status.CANCELLED


@pytest.mark.parametrize("other", ["over", "unknown"])
async def test_who_waits_for_one_that_is_over_is_told_at_once(hall: Hall, other: str) -> None:
    scheduler, ids = await _filled(hall, 10)
    await scheduler.request(CancelRequested(ids[8]))
    asked = [ids[9], ids[8] if other == "over" else "t-unknown"]
    await asyncio.wait_for(scheduler.wait_over(asked, 60.0), 30)


async def test_a_key_that_is_paged_out_is_known(hall: Hall) -> None:
    scheduler, _ = await _filled(hall, 10)
    task_id = await hall.submit(scheduler, idempotency_key="k")
    assert await hall.submit(scheduler, idempotency_key="k") == task_id
