"""Pulls: each is answered once with what is due to it, however often it is sent."""

import asyncio

import pytest

from task_queue.core.effects import Grant
from task_queue.core.events import CancelRequested, WorkerLost, WorkerStatusWanted
from task_queue.core.settings import Rules
from task_queue.core.status import Status, WorkerStatus
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.scheduler_parts import SchedulerParts
from tests.scheduler.hall import Hall, background, leased, quiet, succeeded

pytestmark = pytest.mark.anyio


async def test_a_pull_is_open_until_there_is_a_task(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    assert not pull.done()
    task_id = await hall.submit(scheduler)
    assert leased(await pull) == [task_id]


async def test_a_pull_is_answered_empty_after_the_poll_period(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    event = hall.pull_event()
    pull = background(scheduler.pull(event))
    await quiet()
    hall.clock.advance(5)
    scheduler.tick()
    assert await pull == Grant("w1", "a", event.seq)


async def test_the_scheduler_wakes_by_itself_when_something_is_due(hall: Hall) -> None:
    rules = Rules(lease_seconds=1.0, poll_seconds=0.02)
    scheduler = await hall.started(rules)
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    hall.clock.advance(0.02)  # the timer runs in real time and finds the clock there
    assert (await asyncio.wait_for(pull, 30)).leases == []


async def test_a_repeated_pull_is_given_the_same_grant(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    task_id = await hall.submit(scheduler)
    event = hall.pull_event()
    grant = await scheduler.pull(event)
    assert leased(grant) == [task_id]
    assert await scheduler.pull(event) == grant
    assert hall.task(task_id).attempt == 1


async def test_a_pull_repeated_while_it_is_open_is_answered_with_it(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    event = hall.pull_event()
    first, second = background(scheduler.pull(event)), background(scheduler.pull(event))
    await quiet()
    task_id = await hall.submit(scheduler)
    assert leased(await first) == leased(await second) == [task_id]


async def test_a_late_copy_of_an_empty_pull_takes_no_lease_even_after_one_of_an_older_pull(
    hall: Hall, scheduler: Scheduler
) -> None:
    """Its sender has its answer and looks for no other: the lease would be nobody's."""
    await hall.register(scheduler)
    older, newer = hall.pull_event(), hall.pull_event()
    for event in (older, newer):
        pull = background(scheduler.pull(event))
        await quiet()
        hall.clock.advance(5)
        scheduler.tick()
        assert leased(await pull) == []
    assert leased(await scheduler.pull(older)) == []
    task_id = await hall.submit(scheduler)
    assert leased(await asyncio.wait_for(scheduler.pull(newer), 30)) == []
    assert leased(await scheduler.pull(hall.pull_event())) == [task_id]


async def test_a_newer_pull_answers_the_older_one_empty(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    older_event, newer_event = hall.pull_event(), hall.pull_event()
    older = background(scheduler.pull(older_event))
    await quiet()
    newer = background(scheduler.pull(newer_event))
    assert await older == Grant("w1", "a", older_event.seq)
    task_id = await hall.submit(scheduler)
    assert leased(await newer) == [task_id]


async def test_a_pull_that_was_overtaken_does_not_push_out_the_newer_one(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    late_event, event = hall.pull_event(want=9), hall.pull_event(want=1)
    newer = background(scheduler.pull(event))
    await quiet()
    assert await scheduler.pull(late_event) == Grant("w1", "a", late_event.seq)
    assert not newer.done()
    ids = [await hall.submit(scheduler) for _ in range(2)]
    assert leased(await newer) == ids[:1]


async def test_a_grant_whose_answer_was_lost_is_found_after_newer_pulls(
    hall: Hall, scheduler: Scheduler
) -> None:
    # The worker holds two pulls open. The answer to the first is lost, the second is answered
    # meanwhile, and then the first is repeated: its lease must not be forgotten.
    await hall.register(scheduler, slots=5)
    lost = await hall.submit(scheduler)
    first_event = hall.pull_event(want=5)
    first = await scheduler.pull(first_event)
    assert leased(first) == [lost]
    for _ in range(3):
        arrived = await hall.submit(scheduler)
        grant = await scheduler.pull(hall.pull_event(want=5))
        assert leased(grant) == [arrived]
    assert await scheduler.pull(first_event) == first


async def test_a_cancel_whose_answer_was_lost_is_told_again(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    await scheduler.request(CancelRequested(lease.task_id))
    event = hall.pull_event()
    grant = await scheduler.pull(event)
    assert grant.cancels == [(lease.task_id, 1)]
    newer = background(scheduler.pull(hall.pull_event()))
    await quiet()
    assert await scheduler.pull(event) == grant
    newer.cancel()


async def test_a_grant_whose_leases_have_ended_is_forgotten(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    await hall.submit(scheduler)
    pull = hall.pull_event(reports=(succeeded(lease),))
    await scheduler.pull(pull)
    old = hall.pull_event()
    old.seq = 1
    assert await scheduler.pull(old) == Grant("w1", "a", 1)


async def test_a_pull_whose_caller_went_away_is_answered_when_it_comes_again(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    event = hall.pull_event()
    gone = background(scheduler.pull(event))
    await quiet()
    gone.cancel()
    task_id = await hall.submit(scheduler)
    assert leased(await scheduler.pull(event)) == [task_id]


async def test_two_incarnations_under_one_id_are_never_confused(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler, incarnation="old")
    await scheduler.request(WorkerLost("w1", "old", "silent"))
    await hall.register(scheduler, incarnation="new")
    event = hall.pull_event(incarnation="new")
    new = background(scheduler.pull(event))
    await quiet()
    zombie = hall.pull_event(incarnation="old")
    zombie.seq = event.seq
    assert await scheduler.pull(zombie) == Grant("w1", "old", event.seq, order="gone")
    assert not new.done()
    task_id = await hall.submit(scheduler)
    grant = await new
    assert (grant.incarnation, grant.order, leased(grant)) == ("new", "", [task_id])


async def test_a_lost_worker_is_not_given_its_old_grant_again(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    await hall.submit(scheduler)
    event = hall.pull_event()
    assert leased(await scheduler.pull(event))
    await scheduler.request(WorkerLost("w1", "a", "node died"))
    assert (await scheduler.pull(event)).order == "gone"


async def test_a_lost_worker_s_open_pull_ends(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    await scheduler.request(WorkerLost("w1", "a", "node died"))
    assert (await pull).order == "gone"


async def test_a_silent_worker_s_task_is_given_to_another(hall: Hall, scheduler: Scheduler) -> None:
    lease = await hall.running(scheduler)
    hall.pass_time(scheduler, 14)
    assert hall.status(lease.task_id) is Status.RUNNING
    hall.pass_time(scheduler, 1)
    assert hall.status(lease.task_id) is Status.RETRYING
    await hall.register(scheduler, "w2")
    pull = background(scheduler.pull(hall.pull_event("w2")))
    await quiet()
    hall.clock.advance(1)
    scheduler.tick()
    (again,) = (await pull).leases
    assert (again.task_id, again.attempt) == (lease.task_id, 2)


async def test_a_drained_worker_is_told_to_end_as_often_as_it_asks(
    hall: Hall, scheduler: Scheduler
) -> None:
    await hall.register(scheduler)
    await scheduler.request(WorkerStatusWanted("w1", WorkerStatus.DRAINING))
    event = hall.pull_event()
    assert (await scheduler.pull(event)).order == "end"
    assert (await scheduler.pull(event)).order == "end"


async def test_pulls_and_grants_of_the_past_do_not_pile_up(
    hall: Hall, scheduler: Scheduler
) -> None:
    for n in range(30):
        await hall.register(scheduler, f"w{n}")
        pull = background(scheduler.pull(hall.pull_event(f"w{n}")))
        await quiet()
        pull.cancel()
        await scheduler.request(WorkerLost(f"w{n}", "a", "over"))
    scheduler.tick()
    assert scheduler._pulls == {}
    assert scheduler._grants._by_worker == {}


async def test_a_stopped_scheduler_fails_its_pulls(hall: Hall, scheduler: Scheduler) -> None:
    await hall.register(scheduler)
    pull = background(scheduler.pull(hall.pull_event()))
    await quiet()
    scheduler.stop()
    with pytest.raises(SchedulerUnavailable, match="stopped"):
        await pull
    with pytest.raises(SchedulerUnavailable):
        await scheduler.pull(hall.pull_event())


def test_the_parts_have_quiet_defaults() -> None:
    parts = SchedulerParts(*[None] * 6)  # type: ignore[arg-type]  # only the hooks are looked at
    parts.on_turn(None, 0.0)  # type: ignore[arg-type]
    parts.on_trouble("", ValueError())
    parts.on_dethroned()
    parts.check(None)  # type: ignore[arg-type]


async def test_a_pull_repeated_while_it_is_open_takes_its_reports_once(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    event = hall.pull_event(want=0, reports=(succeeded(lease),))
    first, second = background(scheduler.pull(event)), background(scheduler.pull(event))
    await quiet()
    assert hall.status(lease.task_id) is Status.COMPLETED
    assert (await scheduler.read()).refused_reports == 0
    first.cancel()
    second.cancel()


async def test_a_scheduler_that_was_stopped_for_long_blames_no_worker(
    hall: Hall, scheduler: Scheduler
) -> None:
    lease = await hall.running(scheduler)
    hall.clock.advance(60)  # as after SIGSTOP, a suspended machine, or a clock set forward
    scheduler.tick()
    assert hall.status(lease.task_id) is Status.RUNNING
    hall.pass_time(scheduler, 15)
    assert hall.status(lease.task_id) is Status.RETRYING
