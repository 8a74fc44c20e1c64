"""Ends all workers of a queue, for `down`. No supervisor may run any more: it would replace them.

They are those that Ray knows by name: also one that no supervisor has seen registered, and all of
them if the scheduler does not answer.
"""

import asyncio
from typing import Protocol

from actors.handles import WorkerEnded
from cluster.ray_connection import Say
from cluster.supervised import WorkerProcess
from cluster.tell_to_leave import tell_to_leave
from task_queue.core.events import WorkerLost
from task_queue.scheduler_api import SchedulerApi, SchedulerUnavailable


class WorkerFinder(Protocol):
    """Who knows the workers; `cluster.ray_workers.RayWorkers` does."""

    async def all(self) -> dict[str, WorkerProcess]:
        """Those that live or are being started, by their ids."""


async def end_workers(
    finder: WorkerFinder, scheduler: SchedulerApi, grace_seconds: float, say: Say
) -> int:
    """Have each give back what is not done after `grace_seconds`. Returns how many there were."""
    incarnations = await _incarnations(scheduler)
    workers = await finder.all()

    async def end(worker_id: str, process: WorkerProcess) -> None:
        incarnation = incarnations.get(worker_id)
        lost = ""
        if incarnation is not None:  # else it has nothing, or nobody to give it back to
            lost = await _leave(scheduler, worker_id, process, grace_seconds)
        process.kill()  # a worker that ended by itself leaves its process behind
        if lost and incarnation is not None:
            say(f"worker {worker_id} was killed: {lost}")
            await _report(scheduler, WorkerLost(worker_id, incarnation, lost))

    ends = (end(worker_id, process) for worker_id, process in workers.items())
    for ended in await asyncio.gather(*ends, return_exceptions=True):
        if ended is not None:
            say(f"a worker could not be ended: {ended!r}")
    return len(workers)


async def _incarnations(scheduler: SchedulerApi) -> dict[str, str]:
    """Those of the registered workers by their ids; none if the scheduler does not answer."""
    try:
        reading = await scheduler.read()
    except SchedulerUnavailable:
        return {}
    return {state.info.worker_id: state.info.incarnation for state in reading.workers}


async def _leave(
    scheduler: SchedulerApi, worker_id: str, process: WorkerProcess, grace_seconds: float
) -> str:
    """Returns what went wrong, or ""."""
    ended = asyncio.ensure_future(process.watch())
    try:
        why = await tell_to_leave(scheduler, worker_id, ended, grace_seconds)
        return why or _death(ended)
    finally:
        ended.cancel()


def _death(ended: "asyncio.Future[str]") -> str:
    error = ended.exception()
    if isinstance(error, WorkerEnded):
        return str(error)
    if error is not None:
        raise error
    return ""


async def _report(scheduler: SchedulerApi, lost: WorkerLost) -> None:
    try:
        await scheduler.request(lost)
    except SchedulerUnavailable:
        return  # it learns of it from the leases, which nobody renews; `down` tells that it is away
