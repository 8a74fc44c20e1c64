"""Ends workers: asks first, then makes sure, and tells the scheduler."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from actors.handles import WorkerEnded
from cluster.node_watch import Nodes
from cluster.supervised import Supervised, WorkerProcess
from monitoring.logs import get_logger
from task_queue.core.events import WorkerLost, WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.scheduler_api import SchedulerApi, SchedulerUnavailable

_KILL_SECONDS = 10.0  #: for an answer beyond the grace time, before a worker is killed
_AGAIN_SECONDS = 0.2


async def ask_to_end(process: WorkerProcess, grace_seconds: float) -> None:
    """Returns when it has given back what was not done after `grace_seconds`.

    Raises:
        WorkerEnded: it is gone.
        TimeoutError: it does not answer.
    """
    async with asyncio.timeout(grace_seconds + _KILL_SECONDS):
        await process.shut_down(grace_seconds)


class WorkerEnds:
    """The ends of a supervisor's workers."""

    def __init__(self, scheduler: SchedulerApi, nodes: Nodes) -> None:
        self._scheduler = scheduler
        self._nodes = nodes
        self._running: set[asyncio.Task[None]] = set()
        self._log = get_logger("supervisor")

    async def end(self, worker: Supervised, grace_seconds: float) -> None:
        """Ask it to end, then make sure that it has."""
        try:
            await ask_to_end(worker.handle, grace_seconds)
        except (WorkerEnded, TimeoutError) as error:
            self._log.warning("worker_killed", worker_id=worker.worker_id, reason=repr(error))
            self.kill(worker)
        if worker.watch is not None:  # it kills the process, and tells the scheduler
            await asyncio.wait([worker.watch], timeout=_KILL_SECONDS)

    def end_soon(self, worker: Supervised, grace_seconds: float) -> None:
        """As `end`, in the background."""
        self._keep(self.end(worker, grace_seconds))

    def leave(self, worker: Supervised, grace_seconds: float) -> None:
        """As `end_soon`, because its machine goes."""
        self._log.warning("node_goes", worker_id=worker.worker_id, node_id=worker.node_id,
                          grace_seconds=round(grace_seconds, 1))  # fmt: skip
        self.end_soon(worker, grace_seconds)
        self._keep(self._show_draining(worker))

    def kill(self, worker: Supervised) -> None:
        """End its process now."""
        try:
            worker.handle.kill()
        except Exception:  # noqa: BLE001  its successor has another name
            self._log.exception("kill_failed", worker_id=worker.worker_id)

    async def report(self, worker: Supervised, cause: str) -> None:
        """Returns when the scheduler knows that it is gone."""
        blameless = worker.node_goes or await self._is_taken_away(worker)
        lost = WorkerLost(worker.worker_id, worker.incarnation, cause, blameless)
        while True:
            try:
                await self._scheduler.request(lost)
                return
            except SchedulerUnavailable:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _is_taken_away(self, worker: Supervised) -> bool:
        """Whether its machine is gone without having drained, because somebody wanted so."""
        try:
            return await self._nodes.taken_away(worker.node_id)
        except Exception:  # noqa: BLE001  its end is to be told all the same
            self._log.exception("node_unknown", worker_id=worker.worker_id, node_id=worker.node_id)
            return False

    async def _show_draining(self, worker: Supervised) -> None:
        """For people to see; it takes no new work anyway."""
        try:
            wanted = WorkerStatusWanted(worker.worker_id, WorkerStatus.DRAINING)
            await self._scheduler.request(wanted)
        except SchedulerUnavailable as error:
            self._log.warning("drain_not_shown", worker_id=worker.worker_id, reason=str(error))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it in the background; the event loop itself forgets tasks that nobody holds."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:  # nobody awaits it
            self._log.error("worker_end_failed", error=repr(error), exc_info=error)
