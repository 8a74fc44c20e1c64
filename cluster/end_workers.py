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

_GONE_SECONDS = 10.0  #: until Ray has taken note of their ends
_POLL_SECONDS = 0.1


class WorkerFinder(Protocol):
    """Who knows the workers; `cluster.ray_workers.RayWorkers` does."""

    async def all(self) -> dict[str, WorkerProcess]:
        """Those that live or are being started, by their ids."""


async def end_workers(
    finder: WorkerFinder, scheduler: SchedulerApi, grace_seconds: float, say: Say
) -> int:
    """Have each give back what is not done after `grace_seconds`. Returns how many there were.

    One that is not registered is killed at once: it has nothing, or nobody to give it back to.
    """
    workers = await finder.all()
    registered = await _registered(scheduler, say) if workers else None

    async def end(worker_id: str, process: WorkerProcess) -> None:
        try:
            if registered is not None and worker_id in registered:
                why = await _leave(scheduler, worker_id, process, grace_seconds)
                if why:
                    say(f"worker {worker_id} was killed: {why}")
        finally:
            process.kill()  # a worker that ended by itself leaves its process behind

    ends = (end(worker_id, process) for worker_id, process in workers.items())
    for ended in await asyncio.gather(*ends, return_exceptions=True):
        if ended is not None:
            say(f"a worker did not end in order: {ended!r}")
    if not await _are_gone(finder):
        say(f"Ray still has workers {_GONE_SECONDS:g} s after they were killed")
    if registered is not None:
        await _report_lost(scheduler)
    return len(workers)


async def _registered(scheduler: SchedulerApi, say: Say) -> set[str] | None:
    """Their ids; None if the scheduler does not answer."""
    try:
        reading = await scheduler.read()
    except SchedulerUnavailable as error:
        say(f"the workers are killed, because they can give nothing back: {error}")
        return None
    return {state.info.worker_id for state in reading.workers}


async def _leave(
    scheduler: SchedulerApi, worker_id: str, process: WorkerProcess, grace_seconds: float
) -> str:
    """Returns what went wrong, or ""."""
    ended = asyncio.ensure_future(process.watch())
    try:
        why = await tell_to_leave(scheduler, worker_id, ended, grace_seconds)
        if not why:
            await ended
        return why
    except WorkerEnded as error:
        return str(error)
    finally:
        ended.cancel()


async def _report_lost(scheduler: SchedulerApi) -> None:
    """Whoever is still registered was killed by us, for which no task is to blame."""
    try:
        for state in (await scheduler.read()).workers:
            info = state.info
            await scheduler.request(
                WorkerLost(info.worker_id, info.incarnation, "killed by 'down'", blameless=True)
            )
    except SchedulerUnavailable:
        return  # it learns of it from the leases, which nobody renews; `down` tells that it is away


async def _are_gone(finder: WorkerFinder) -> bool:
    """Kill, too, what the supervisor had just begun to start when it was ended."""
    try:
        async with asyncio.timeout(_GONE_SECONDS):
            while left := await finder.all():
                for process in left.values():
                    process.kill()
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return False
    return True
