"""Turns: what shares one, what is answered when, and what happens if one fails."""

import asyncio
from collections.abc import Iterable

import pytest

from task_queue.core.effects import Accepted, Done
from task_queue.core.events import QueuePaused, WorkerResumed
from task_queue.core.machine import QueueMachine
from task_queue.core.status import Status
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.store.protocol import Store, StoreError
from task_queue.testing import task_spec
from tests.scheduler.hall import (
    Hall,
    background,
    leased,
    quiet,
    store_failure,
    succeeded,
    until,
)

pytestmark = pytest.mark.anyio


async def test_calls_of_one_moment_share_one_commit(hall: Hall, scheduler: Scheduler) -> None:
    before = hall.commits
    answers = await asyncio.gather(*(scheduler.submit([task_spec()]) for _ in range(50)))
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert hall.commits == before + 1
    assert len(hall.data.load().tasks) == 50


async def test_calls_are_handled_in_the_order_in_which_they_came(
    hall: Hall, scheduler: Scheduler
) -> None:
    calls = [background(scheduler.submit([task_spec(name=f"n{n}")])) for n in range(20)]
    await asyncio.gather(*calls)
    assert [task.spec.name for task in hall.data.load().tasks] == [f"n{n}" for n in range(20)]


async def test_nobody_is_answered_before_the_commit(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    calls = [background(hall.submit(scheduler)) for _ in range(3)]
    await asyncio.sleep(0)
    answered: list[bool] = []
    hall.watch = lambda: answered.extend(call.done() for call in (*calls, pull))
    await asyncio.gather(*calls, pull)
    assert answered == [False] * 4


async def test_a_turn_without_changes_is_not_committed(hall: Hall, scheduler: Scheduler) -> None:
    before = hall.commits
    scheduler.tick()
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    assert hall.commits == before + 1  # the registration
    assert not pull.done()
    pull.cancel()


async def test_the_host_hears_of_every_turn_after_it_was_committed(
    hall: Hall, scheduler: Scheduler
) -> None:
    task_id = await hall.submit(scheduler)
    await quiet()
    assert [t.spec.id for t in hall.turns[-1].changes.inserted] == [task_id]
    hall.failures = [store_failure()]
    told = len(hall.turns)
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    await quiet()
    assert not any(turn.changes.inserted for turn in hall.turns[told:])


async def test_the_host_hears_of_a_turn_after_its_callers_and_before_the_next_one(
    hall: Hall, scheduler: Scheduler
) -> None:
    await quiet()
    order: list[str] = []
    parts = scheduler._turns._parts
    parts.on_turn = lambda _fx, _now: order.append("told")
    parts.check = lambda _machine: order.append("decided")
    await hall.submit(scheduler)
    order.append("answered")
    scheduler.tick()
    await quiet()
    assert order == ["decided", "answered", "told", "decided", "told"]
    await hall.submit(scheduler)
    scheduler.stop()
    assert order[5:] == ["decided", "told"]


async def test_times_are_those_of_the_clock_and_never_run_back(
    hall: Hall, scheduler: Scheduler
) -> None:
    first = await hall.submit(scheduler)
    hall.clock.advance(-100)
    second = await hall.submit(scheduler)
    hall.clock.advance(200)
    third = await hall.submit(scheduler)
    times = [hall.task(task_id).submitted_at for task_id in (first, second, third)]
    assert times == [times[0], times[0], times[0] + 100]


# ---- a commit that fails -------------------------------------------------------------------


async def test_every_caller_of_a_turn_that_is_not_saved_is_told_so(
    hall: Hall, scheduler: Scheduler
) -> None:
    hall.failures = [store_failure()]
    answers = await asyncio.gather(
        *(scheduler.submit([task_spec()]) for _ in range(5)),
        scheduler.request(QueuePaused("q", paused=True)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [SchedulerUnavailable] * 6
    assert all("the disk is full" in str(answer) for answer in answers)
    loaded = hall.data.load()
    assert (loaded.tasks, loaded.paused_queues, loaded.next_seq) == ([], [], 1)
    assert [str(error) for _, error in hall.troubles] == ["the disk is full"]


async def test_after_a_failed_commit_the_scheduler_works_again(
    hall: Hall, scheduler: Scheduler
) -> None:
    kept = await hall.submit(scheduler)
    hall.failures = [store_failure()]
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    with pytest.raises(SchedulerUnavailable, match="being loaded"):
        await hall.submit(scheduler)
    await scheduler.started()
    new = await hall.submit(scheduler)
    assert [task.spec.id for task in hall.data.load().tasks] == [kept, new]


async def test_leases_survive_a_failed_commit(hall: Hall, scheduler: Scheduler) -> None:
    lease = await hall.running(scheduler)
    parked = background(scheduler.pull(hall.pull_event()))
    await quiet()
    hall.failures = [store_failure()]
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    with pytest.raises(SchedulerUnavailable):
        await parked
    await scheduler.started()

    grant = await scheduler.pull(hall.pull_event())
    assert grant.order == "resync"
    held = [(lease.task_id, lease.attempt)]
    assert await scheduler.request(WorkerResumed("w1", "a", held)) == Done()
    await hall.end(scheduler, succeeded(lease))
    assert hall.status(lease.task_id) is Status.COMPLETED
    assert hall.task(lease.task_id).deaths == 0


async def test_a_lease_that_was_not_saved_was_never_given(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    task_id = await hall.submit(scheduler)
    hall.failures = [store_failure()]
    event = hall.pull_event()
    with pytest.raises(SchedulerUnavailable):
        await scheduler.pull(event)
    assert hall.status(task_id) is Status.QUEUED
    await scheduler.started()
    assert (await scheduler.pull(event)).order == "resync"
    await scheduler.request(WorkerResumed("w1", "a", []))
    assert leased(await scheduler.pull(hall.pull_event())) == [task_id]


async def test_the_first_turn_after_a_reload_may_fail_too(hall: Hall, scheduler: Scheduler) -> None:
    # A task falls due while the store is away: the reload's own turn has something to save.
    task_id = await hall.submit(scheduler, run_at=hall.clock.now() + 5)
    hall.clock.advance(5)
    hall.failures = [store_failure(), store_failure(), store_failure()]
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    await until(lambda: hall.data.get(task_id) is not None and not hall.failures)
    await scheduler.started()
    assert hall.status(task_id) is Status.QUEUED
    await hall.submit(scheduler)
    assert len(hall.troubles) == 3


async def test_those_who_wait_look_again_after_a_failed_commit(
    hall: Hall, scheduler: Scheduler
) -> None:
    task_id = await hall.submit(scheduler)
    waiting = background(scheduler.wait_over([task_id], 60))
    await quiet()
    hall.failures = [store_failure()]
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    await asyncio.wait_for(waiting, 30)


# ---- a store that is away ------------------------------------------------------------------


@pytest.mark.parametrize("error", [StoreError("no answer"), ValueError("a bug")], ids=str)
async def test_a_store_that_cannot_be_opened_is_tried_again(hall: Hall, error: Exception) -> None:
    attempts: list[int] = []

    def open_store() -> Store:
        attempts.append(1)
        if len(attempts) < 3:
            raise error
        return hall.data.connect()

    hall.open_store = open_store
    scheduler = hall.make()
    scheduler.start()
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    await scheduler.started()
    await hall.submit(scheduler)
    assert [told for _, told in hall.troubles] == [error, error]


async def test_a_question_that_the_store_does_not_answer_is_not_an_answer(
    hall: Hall, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scheduler._turns._store
    assert store is not None

    def away(*_: object) -> dict[str, str]:
        raise store_failure()

    monkeypatch.setattr(store, "known", away)
    with pytest.raises(SchedulerUnavailable, match="disk is full"):
        await scheduler.submit([task_spec(idempotency_key="k")])
    monkeypatch.undo()
    assert isinstance(await scheduler.submit([task_spec(idempotency_key="k")]), Accepted)


# ---- bugs and impatient callers ------------------------------------------------------------


async def test_an_error_inside_the_machine_fails_its_turn_and_no_other(
    hall: Hall, scheduler: Scheduler
) -> None:
    kept = await hall.submit(scheduler)
    nonsense = background(scheduler.request("nonsense"))  # type: ignore[arg-type]  # on purpose
    bystander = background(scheduler.submit([task_spec()]))
    for call in (nonsense, bystander):
        with pytest.raises(SchedulerUnavailable):
            await call
    await scheduler.started()
    new = await hall.submit(scheduler)
    assert [task.spec.id for task in hall.data.load().tasks] == [kept, new]
    assert [type(error) for _, error in hall.troubles] == [KeyError]


async def test_a_machine_that_contradicts_itself_is_not_saved(
    hall: Hall, scheduler: Scheduler
) -> None:
    def complain(machine: QueueMachine) -> None:
        if machine.book.live:
            raise AssertionError("a broken invariant")

    good, hall.check = hall.check, complain
    with pytest.raises(SchedulerUnavailable, match="broken invariant"):
        await hall.submit(scheduler)
    assert hall.data.load().tasks == []
    hall.check = good
    await scheduler.started()
    await hall.submit(scheduler)


async def test_a_caller_that_goes_away_does_not_disturb_its_turn(
    hall: Hall, scheduler: Scheduler
) -> None:
    gone = background(scheduler.submit([task_spec(name="gone")]))
    stays = background(scheduler.submit([task_spec(name="stays")]))
    await asyncio.sleep(0)
    gone.cancel()
    assert isinstance(await stays, Accepted)
    assert gone.cancelled()
    assert {task.spec.name for task in hall.data.load().tasks} == {"gone", "stays"}


async def test_a_caller_that_goes_away_does_not_disturb_a_turn_that_fails(
    hall: Hall, scheduler: Scheduler
) -> None:
    hall.failures = [store_failure()]
    gone = background(scheduler.submit([task_spec()]))
    stays = background(scheduler.submit([task_spec()]))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(SchedulerUnavailable):
        await stays
    await scheduler.started()
    await hall.submit(scheduler)


async def test_a_store_that_cannot_be_written_is_away_until_it_can(
    hall: Hall, scheduler: Scheduler
) -> None:
    hall.failures = [store_failure(), store_failure()]
    with pytest.raises(SchedulerUnavailable):
        await hall.submit(scheduler)
    await until(lambda: not hall.failures)  # the first attempt to load again found it full as well
    with pytest.raises(SchedulerUnavailable):
        await scheduler.read()
    await scheduler.started()
    assert await hall.submit(scheduler)


async def _cannot_say_keys(hall: Hall) -> Scheduler:
    """A scheduler with a pull open, whose store can do all but say which keys it knows."""

    def fails(ids: Iterable[str], keys: Iterable[str]) -> dict[str, str]:
        raise store_failure()

    def deaf() -> Store:
        store = hall.data.connect()
        store.known = fails  # type: ignore[method-assign]
        return store

    hall.open_store = deaf
    scheduler = await hall.started()
    await hall.register(scheduler)
    return scheduler


async def test_a_question_that_fails_of_a_store_that_works_costs_nothing_else(hall: Hall) -> None:
    scheduler = await _cannot_say_keys(hall)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    with pytest.raises(SchedulerUnavailable, match="disk is full"):
        await scheduler.submit([task_spec(idempotency_key="a")])
    task_id = await hall.submit(scheduler)
    assert leased(await pull) == [task_id]
    assert hall.troubles == []


async def test_a_question_to_a_store_that_is_away_has_it_loaded_anew(hall: Hall) -> None:
    scheduler = await _cannot_say_keys(hall)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    hall.failures = [store_failure()]
    with pytest.raises(SchedulerUnavailable):
        await scheduler.submit([task_spec(idempotency_key="a")])
    with pytest.raises(SchedulerUnavailable, match="nothing was saved"):
        await pull
    assert len(hall.troubles) == 1
    await scheduler.started()
    await hall.submit(scheduler)


async def test_a_question_that_fails_because_it_was_replaced_ends_it(hall: Hall) -> None:
    scheduler = await _cannot_say_keys(hall)
    await hall.started()
    with pytest.raises(SchedulerUnavailable):
        await scheduler.submit([task_spec(idempotency_key="a")])
    assert hall.dethroned == 1
