"""One task submitted and waited for.

If the submit can leave at once, the wait is sent right behind it, mostly in the same packet, so
that nobody has to be woken for it while the task is on its way. Otherwise it is sent when the task
is accepted. Where the scheduler tells no end (it was started anew, the task was over before) the
caller has to look at the store.
"""

import asyncio

from msgspec import Struct

from serve_app.submit_coalescer import SubmitCoalescer, Submitted
from task_queue.core.task import TaskSpec
from task_queue.scheduler_api import Ended, SchedulerApi, SchedulerUnavailable
from task_queue.stream.outcome import CallFailed

#: A scheduler that says nothing for so much longer than it was to wait is not waited for.
_GRACE_SECONDS = 1.0


class Run(Struct, frozen=True):
    """A task that was accepted."""

    submitted: Submitted
    end: Ended | None = None  #: None: it has not ended in time, or the store must be asked
    can_wait: bool = True  #: False: the scheduler did not answer when it was asked for the end


async def submit_and_wait(
    coalescer: SubmitCoalescer, scheduler: SchedulerApi, spec: TaskSpec, wait_seconds: float
) -> Run:
    """Accept one task and wait up to `wait_seconds` for its end.

    Raises:
        ApiProblem, SchedulerUnavailable: as `SubmitCoalescer.submit`.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + wait_seconds
    at_once = coalescer.is_free
    submitting = coalescer.begin(spec)  # whose task comes first, and so does its call
    ending = _end_of(scheduler, spec.id, wait_seconds) if at_once else None
    try:
        submitted = await submitting
        if submitted.task_id != spec.id:
            return Run(submitted)
        ending = ending or _end_of(scheduler, spec.id, max(0.0, until - clock()))
        try:
            async with asyncio.timeout_at(until + _GRACE_SECONDS):
                return Run(submitted, await ending)
        except (TimeoutError, SchedulerUnavailable, CallFailed):
            return Run(submitted, can_wait=False)  # the caller must learn that it is accepted
    finally:
        if ending is not None:
            ending.cancel()


def _end_of(
    scheduler: SchedulerApi, task_id: str, wait_seconds: float
) -> "asyncio.Task[Ended | None]":
    ending = asyncio.ensure_future(scheduler.end_of(task_id, wait_seconds))
    # If the submit fails nobody looks at it.
    ending.add_done_callback(lambda task: task.cancelled() or task.exception())
    return ending
