"""Has the scheduler tell a worker to leave, and waits until it has.

A worker takes orders from nobody else, and without the scheduler it could give nothing back.
"""

import asyncio
from typing import Any

from task_queue.core.effects import Refused
from task_queue.core.events import WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.scheduler_api import SchedulerApi, SchedulerUnavailable

_KILL_SECONDS = 10.0  #: for the end, beyond the grace time
_REPEAT_SECONDS = 2.0  #: an answer may have come late, and a new scheduler has not heard of it
_RETRY_SECONDS = 0.2
_LAST_SECONDS = 5.0  #: from a worker's last word to its end: it still sends its spans


async def tell_to_leave(
    scheduler: SchedulerApi, worker_id: str, ended: asyncio.Future[Any], grace_seconds: float
) -> str:
    """Have it take nothing new, and give back what is not done after `grace_seconds`.

    Args:
        ended: done when the worker has ended.

    Returns:
        Why it has to be killed; "" if it has ended.
    """
    leaves_at = asyncio.get_running_loop().time() + grace_seconds
    try:
        async with asyncio.timeout(grace_seconds + _KILL_SECONDS):
            while not ended.done():
                if not await _tell(scheduler, worker_id, leaves_at):
                    await asyncio.wait([ended], timeout=_LAST_SECONDS)
                    return "" if ended.done() else "the scheduler does not know it"
                await asyncio.wait([ended], timeout=_REPEAT_SECONDS)
    except TimeoutError:
        return f"it has not ended {_KILL_SECONDS:g} s after its time"
    return ""


async def _tell(scheduler: SchedulerApi, worker_id: str, leaves_at: float) -> bool:
    """Returns whether the scheduler knows it."""
    loop = asyncio.get_running_loop()
    while True:
        within = max(0.0, leaves_at - loop.time())
        wanted = WorkerStatusWanted(worker_id, WorkerStatus.DRAINING, within)
        try:
            return not isinstance(await scheduler.request(wanted), Refused)
        except SchedulerUnavailable:
            await asyncio.sleep(_RETRY_SECONDS)
