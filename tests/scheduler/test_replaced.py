"""A scheduler that was replaced, and one whose clock was set."""

import pytest

from task_queue.core.events import WorkerResumed
from task_queue.core.status import Status
from task_queue.scheduler_api import SchedulerUnavailable
from tests.scheduler.hall import Hall, succeeded

pytestmark = pytest.mark.anyio


async def test_a_replaced_scheduler_refuses_no_report(hall: Hall) -> None:
    # It does not know the lease, and the worker would forget what was refused.
    old = await hall.started()
    await hall.register(old)
    new = await hall.started()
    await new.request(WorkerResumed("w1", "a", []))
    lease = await hall.running(new)
    with pytest.raises(SchedulerUnavailable):
        await old.pull(hall.pull_event(want=0, reports=(succeeded(lease),)))
    assert hall.dethroned == 1


async def test_a_clock_set_ahead_shortens_no_lease(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = await hall.started()
    lease = await hall.running(scheduler)
    hall.pass_time(scheduler, 10)
    steady = hall.clock.monotonic()
    monkeypatch.setattr(hall.clock, "monotonic", lambda: steady)
    hall.clock.advance(8)  # less than two poll periods: as if all of it had passed
    scheduler.tick()
    assert hall.status(lease.task_id) is Status.RUNNING
