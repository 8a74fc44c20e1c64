"""A turn that is saved while the event loop goes on: what waits for it, and what if it fails."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from task_queue.core.effects import Accepted, Counted, Moved
from task_queue.core.events import CancelRequested
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import DeadLetter, SchedulerUnavailable
from task_queue.store.protocol import Pruned, StaleEpoch
from task_queue.testing import task_spec
from tests.scheduler.hall import Hall, background, failed, leased, quiet, succeeded
from tests.scheduler.late_store import LateStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def late(hall: Hall) -> LateStore:
    return LateStore(hall)


@pytest.fixture
async def scheduler(hall: Hall, late: LateStore) -> Scheduler:
    return await hall.started()


async def test_nobody_is_answered_before_it_is_saved(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    late.holds = True
    submit = background(hall.submit(scheduler))
    await quiet()
    assert (submit.done(), pull.done(), late.under_way) == (False, False, 1)
    assert len(hall.data.load().tasks) == 0
    late.land()
    assert leased(await pull) == [await submit]


async def test_what_comes_meanwhile_shares_the_next_turn_in_order(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    late.holds = True
    first = background(hall.submit(scheduler, name="n0"))
    await quiet()
    rest = [background(hall.submit(scheduler, name=f"n{n}")) for n in range(1, 20)]
    await quiet()
    assert late.under_way == 1
    late.land()
    await quiet()
    assert (first.done(), any(call.done() for call in rest), late.under_way) == (True, False, 1)
    late.land()
    await asyncio.gather(*rest)
    assert [task.spec.name for task in hall.data.load().tasks] == [f"n{n}" for n in range(20)]


async def test_if_it_fails_all_who_wait_are_told_and_nothing_of_it_is_true(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    kept = await hall.submit(scheduler)
    await hall.register(scheduler)
    late.holds = True
    calls: list[asyncio.Task[Any]] = [background(hall.submit(scheduler))]
    await quiet()
    calls.append(background(hall.submit(scheduler)))  # for the next turn
    calls.append(background(scheduler.pull(hall.pull_event())))
    calls.append(background(scheduler.retry("t", "r")))  # waits to ask the store
    await quiet()
    late.holds = False
    late.fail()
    for call in calls:
        with pytest.raises(SchedulerUnavailable):
            await call
    await scheduler.started()
    assert [task.spec.id for task in hall.data.load().tasks] == [kept]
    assert await hall.submit(scheduler)


async def test_one_that_was_replaced_meanwhile_ends(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    late.holds = True
    submit = background(hall.submit(scheduler))
    await quiet()
    late.holds = False
    newer = await hall.started()
    late.land()
    with pytest.raises(SchedulerUnavailable):
        await submit
    assert hall.dethroned == 1
    assert isinstance(hall.troubles[-1][1], StaleEpoch)
    task_id = await hall.submit(newer)
    assert [task.spec.id for task in hall.data.load().tasks] == [task_id]


async def test_one_that_was_stopped_meanwhile_answers_and_stays_stopped(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    late.holds = True
    under_way, next_one = background(hall.submit(scheduler)), background(hall.submit(scheduler))
    await quiet()
    waits = background(scheduler.replay([DeadLetter("t", 1)], "r"))
    await quiet()
    scheduler.stop()
    for call in (under_way, next_one, waits):
        with pytest.raises(SchedulerUnavailable):
            await call
    late.land()  # it was saved all the same: the callers will ask again
    await quiet()
    assert len(hall.data.load().tasks) == 2
    assert hall.turns[-1].changes.inserted == []
    assert hall.troubles == []


async def test_a_tick_meanwhile_is_not_lost(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    due = await hall.submit(scheduler, run_at=hall.clock.now() + 1)
    late.holds = True
    submit = background(hall.submit(scheduler))
    await quiet()
    late.holds = False
    hall.clock.advance(1)
    scheduler.tick()
    assert hall.status(due) is Status.SCHEDULED
    late.land()
    await submit
    await quiet()
    assert hall.status(due) is Status.QUEUED


# ---- deciding ahead -------------------------------------------------------------------------


async def test_much_that_comes_meanwhile_is_decided_ahead_and_told_in_order(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    await hall.register(scheduler, slots=1_000)
    late.holds = True
    first = background(scheduler.submit([task_spec() for _ in range(200)]))
    await quiet()
    pull = background(scheduler.pull(hall.pull_event(want=1_000)))
    second = background(scheduler.submit([task_spec() for _ in range(200)]))
    third = background(scheduler.submit([task_spec() for _ in range(200)]))
    await quiet()
    fourth = background(scheduler.submit([task_spec() for _ in range(200)]))
    await quiet()
    assert late.under_way == 2
    assert hall.data.load().tasks == []
    late.land()
    await quiet()
    assert [c.done() for c in (first, second, third, pull, fourth)] == [True] + [False] * 4
    assert (late.under_way, len(hall.data.load().tasks)) == (2, 200)
    late.land()
    grant = await pull
    assert [c.done() for c in (second, third, fourth)] == [True, True, False]
    late.land()
    assert isinstance(await fourth, Accepted)
    tasks = hall.data.load().tasks
    assert [task.seq for task in tasks] == list(range(1, 801))
    assert {task.status for task in tasks[:600]} == {Status.RUNNING}
    assert leased(grant) == [task.spec.id for task in tasks[:600]]


async def test_what_is_told_of_a_turn_has_the_time_at_which_it_was_decided(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    times: list[float] = []
    scheduler._turns._parts.on_turn = lambda _fx, now: times.append(now)
    began = hall.clock.now()
    late.holds = True
    calls = []
    for _ in range(2):
        calls.append(background(scheduler.submit([task_spec() for _ in range(200)])))
        await quiet()
        hall.clock.advance(1)
    assert late.under_way == 2
    late.land()
    late.land()
    await asyncio.gather(*calls)
    await quiet()
    assert times == [began, began + 1]


async def test_if_a_turn_fails_the_one_decided_on_top_of_it_is_not_saved_either(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    kept = await hall.submit(scheduler)
    late.holds = True
    calls = [background(scheduler.submit([task_spec() for _ in range(200)]))]
    await quiet()
    calls.append(background(scheduler.submit([task_spec() for _ in range(200)])))
    await quiet()
    calls.append(background(scheduler.submit([task_spec()])))
    await quiet()
    assert late.under_way == 2
    late.holds = False
    late.fail()
    for call in calls:
        with pytest.raises(SchedulerUnavailable):
            await call
    await scheduler.started()
    assert [task.spec.id for task in hall.data.load().tasks] == [kept]
    assert len(hall.troubles) == 1
    assert await hall.submit(scheduler)


async def test_what_changes_nothing_but_rests_on_what_is_under_way_waits_for_it(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    late.holds = True
    specs = [task_spec() for _ in range(200)]
    first = background(scheduler.submit(specs))
    await quiet()
    again = background(scheduler.submit(specs))
    stale = [msgspec.structs.replace(failed(lease), attempt=9) for _ in range(200)]
    refused = background(scheduler.request(hall.pull_event(want=0, reports=tuple(stale))))
    await quiet()
    assert scheduler._turns.require_machine().refused_reports == 200
    assert (late.under_way, again.done(), refused.done()) == (1, False, False)
    late.land()
    assert await again == Accepted([spec.id for spec in specs], list(range(200)))
    assert await first == Accepted([spec.id for spec in specs])
    await refused


@pytest.mark.parametrize("what", ["little", "a cancel", "a page", "who has to ask"])
async def test_what_is_not_decided_ahead(hall: Hall, late: LateStore, what: str) -> None:
    scheduler = await hall.started(Rules(window=1 if what == "a page" else 4_000))
    lease = await hall.running(scheduler)
    await scheduler.submit([task_spec() for _ in range(3)])
    late.holds = True
    first = background(scheduler.pull(hall.pull_event(reports=(succeeded(lease),))))
    await quiet()
    calls: list[asyncio.Task[Any]] = []
    if what == "who has to ask":
        calls.append(background(scheduler.retry(lease.task_id, "r")))
    if what == "a cancel":
        calls.append(background(scheduler.request(CancelRequested(lease.task_id))))
    await quiet()
    count = 99 if what == "little" else 200
    calls.append(background(scheduler.submit([task_spec() for _ in range(count)])))
    await quiet()
    assert late.under_way == 1
    late.holds = False
    late.land()
    await asyncio.gather(first, *calls)


# ---- what has to ask the store --------------------------------------------------------------


async def test_a_key_that_is_being_saved_is_known(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    late.holds = True
    first = background(scheduler.submit([task_spec(idempotency_key="k")]))
    await quiet()
    second = background(scheduler.submit([task_spec(idempotency_key="k")]))
    await quiet()
    late.holds = False
    late.land()
    accepted = await first
    assert isinstance(accepted, Accepted)
    assert await second == Accepted(accepted.task_ids, [0])


async def test_a_task_that_is_being_paged_out_can_be_cancelled(hall: Hall, late: LateStore) -> None:
    scheduler = await hall.started(Rules(window=1))
    late.holds = True
    specs = [task_spec() for _ in range(3)]
    submit = background(scheduler.submit(specs))
    await quiet()
    cancel = background(scheduler.request(CancelRequested(specs[2].id)))
    await quiet()
    late.holds = False
    late.land()
    await submit
    assert await cancel == Moved(specs[2].id, Status.CANCELLED, cancel_requested=False)


async def test_an_end_is_not_told_before_it_is_saved(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    late.holds = True
    report = background(hall.end(scheduler, succeeded(lease)))
    await quiet()
    waiting = background(scheduler.wait_over([lease.task_id], 60))
    await quiet()
    assert (waiting.done(), hall.status(lease.task_id)) == (False, Status.RUNNING)
    late.holds = False
    late.land()
    await waiting
    assert hall.status(lease.task_id) is Status.COMPLETED
    await report


@pytest.mark.parametrize("key", [None, "k"])
async def test_the_end_is_told_of_a_task_that_came_while_another_turn_was_saved(
    hall: Hall, late: LateStore, scheduler: Scheduler, key: str | None
) -> None:
    late.holds = True
    other = background(hall.submit(scheduler))
    await quiet()
    spec = task_spec(idempotency_key=key)
    submitting = background(scheduler.submit([spec]))
    ending = background(scheduler.end_of(spec.id, 60))
    await quiet()
    late.holds = False
    late.land()
    await other
    await submitting
    await quiet()
    assert not ending.done()
    await scheduler.request(CancelRequested(spec.id))
    end = await asyncio.wait_for(ending, 30)
    assert end is not None and end.status is Status.CANCELLED


async def test_nobody_waits_for_ever_for_the_end_of_what_was_not_saved(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    late.holds = True
    other = background(hall.submit(scheduler))
    await quiet()
    scheduler.tick()
    ending = background(scheduler.end_of(task_spec().id, 60))
    await quiet()
    late.holds = False
    late.fail()
    with pytest.raises(SchedulerUnavailable):
        await other
    await asyncio.wait({ending}, timeout=30)
    assert ending.done()
    assert ending.exception() is None or isinstance(ending.exception(), SchedulerUnavailable)


async def test_dead_letters_that_are_being_saved_are_found(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    asked: list[tuple[Callable[[list[DeadLetter]], Coroutine[Any, Any, Any]], Any]] = [
        (lambda letters: scheduler.replay(letters, "r"), Counted(1)),
        (scheduler.purge_dlq, 1),
    ]
    for call, expected in asked:
        lease = await hall.running(scheduler)
        late.holds = True
        report = background(hall.end(scheduler, failed(lease)))
        await quiet()
        answer = background(call([DeadLetter(lease.task_id, 1)]))
        await quiet()
        late.holds = False
        late.land()
        assert await answer == expected
        await report
        await scheduler.purge_queue("default")


async def test_what_ends_meanwhile_is_pruned(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    late.holds = True
    report = background(hall.end(scheduler, succeeded(lease)))
    await quiet()
    prune = background(scheduler.prune(hall.clock.now() + 1, 99, 10))
    await quiet()
    late.holds = False
    late.land()
    assert await prune == Pruned(tasks=1)
    await report


# ---- a store that hangs ---------------------------------------------------------------------


async def test_while_the_store_hangs_nobody_waits_in_line_and_afterwards_all_goes_on(
    hall: Hall, late: LateStore, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    late.holds = True
    first = background(hall.submit(scheduler))
    await quiet()
    hall.clock.advance(6)
    event = hall.pull_event()
    for call in (
        scheduler.submit([task_spec()]),
        scheduler.submit([task_spec(idempotency_key="k")]),
        scheduler.pull(event),
        scheduler.retry("t", "r"),
    ):
        with pytest.raises(SchedulerUnavailable, match="has not answered for 6 s"):
            await call
    assert (await scheduler.read()).store.commit_waits_seconds == 6.0
    late.holds = False
    late.land()
    task_id = await first
    assert (await scheduler.read()).store.commit_waits_seconds == 0.0
    assert leased(await scheduler.pull(event)) == [task_id]
