"""One task submitted and waited for, asked of the scheduler in one go.

The wait is sent right behind the submit, in the same packet, so that nobody has to be woken for it
while the task is on its way. If it arrives first nevertheless, or the task is an older one, or the
scheduler was started anew, there is no end to be told, and the caller looks at the store.
"""

import asyncio
from contextlib import suppress

from msgspec import Struct

from serve_app.problems import refusal
from serve_app.submit_coalescer import Submit, Submitted, submitted_of
from task_queue.core.effects import Refused
from task_queue.core.task import TaskSpec
from task_queue.scheduler_api import Ended, SchedulerApi, SchedulerUnavailable


class Run(Struct, frozen=True):
    """A task that was accepted."""

    submitted: Submitted
    end: Ended | None  #: None: it has not ended in time, or the store must be asked


async def submit_and_wait(
    submit: Submit, scheduler: SchedulerApi, spec: TaskSpec, wait_seconds: float
) -> Run:
    """Accept one task and wait up to `wait_seconds` for its end.

    Raises:
        ApiProblem: 429, the queue is full.
        SchedulerUnavailable: the scheduler does not answer; nothing was accepted.
    """
    loop = asyncio.get_running_loop()
    submitting = loop.create_task(submit([spec]))  # begun first, so sent first
    ending = loop.create_task(_end_of(scheduler, spec.id, wait_seconds))
    try:
        answer = await submitting
        if isinstance(answer, Refused):
            raise refusal(answer)
        (submitted,) = submitted_of([spec], answer)
        end = await ending if submitted.task_id == spec.id else None
    finally:
        submitting.cancel()
        ending.cancel()
    return Run(submitted, end)


async def _end_of(scheduler: SchedulerApi, task_id: str, wait_seconds: float) -> Ended | None:
    # The task is accepted whatever becomes of the wait, and the caller must learn that.
    with suppress(SchedulerUnavailable):
        return await scheduler.end_of(task_id, wait_seconds)
    return None
