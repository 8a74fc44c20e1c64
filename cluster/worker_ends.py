"""Ends workers: has them told first, then makes sure, and tells the scheduler of their ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from cluster.node_watch import Nodes
from cluster.supervised import Supervised
from cluster.tell_to_leave import tell_to_leave
from monitoring.logs import get_logger
from task_queue.core.events import WorkerLost
from task_queue.scheduler_api import SchedulerApi, SchedulerUnavailable

_AGAIN_SECONDS = 0.2


class WorkerEnds:
    """The ends of a supervisor's workers."""

    def __init__(self, scheduler: SchedulerApi, nodes: Nodes) -> None:
        self._scheduler = scheduler
        self._nodes = nodes
        self._running: set[asyncio.Task[None]] = set()
        self._log = get_logger("supervisor")

    def end_soon(self, worker: Supervised, grace_seconds: float) -> None:
        """Have it told to end, and make sure that it does, in the background."""
        self._keep(self._end(worker, grace_seconds))

    def leave(self, worker: Supervised, grace_seconds: float) -> None:
        """As `end_soon`, because its machine goes."""
        self._log.warning("node_goes", worker_id=worker.worker_id, node_id=worker.node_id,
                          grace_seconds=round(grace_seconds, 1))  # fmt: skip
        self.end_soon(worker, grace_seconds)

    def kill(self, worker: Supervised) -> None:
        """End its process now."""
        try:
            worker.handle.kill()
        except Exception:  # noqa: BLE001  its successor has another name
            self._log.exception("kill_failed", worker_id=worker.worker_id)

    async def report(self, worker: Supervised, cause: str) -> None:
        """Returns when the scheduler knows that it is gone."""
        while True:
            try:
                blameless = worker.node_goes or await self._is_taken_away(worker)
                lost = WorkerLost(worker.worker_id, worker.incarnation, cause, blameless)
                await self._scheduler.request(lost)
                return
            except SchedulerUnavailable:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _end(self, worker: Supervised, grace_seconds: float) -> None:
        watch = worker.watch
        assert watch is not None
        try:
            why = await tell_to_leave(self._scheduler, worker.worker_id, watch, grace_seconds)
        except Exception as error:  # noqa: BLE001  it has to go all the same
            self._log.exception("leaving_failed", worker_id=worker.worker_id)
            why = repr(error)
        if why:
            self._log.warning("worker_killed", worker_id=worker.worker_id, reason=why)
            self.kill(worker)

    async def _is_taken_away(self, worker: Supervised) -> bool:
        """Whether its machine is gone without having drained, because somebody wanted so."""
        try:
            worker.node_id = worker.node_id or await self._node_of(worker)
            return await self._nodes.taken_away(worker.node_id)
        except SchedulerUnavailable:
            raise
        except Exception:  # noqa: BLE001  its end is to be told all the same
            self._log.exception("node_unknown", worker_id=worker.worker_id, node_id=worker.node_id)
            return False

    async def _node_of(self, worker: Supervised) -> str:
        """Ray's id of its machine, if it ended before the next look at the scheduler."""
        for state in (await self._scheduler.read()).workers:
            if state.info.incarnation == worker.incarnation:
                return state.info.node_id
        return ""

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it in the background; the event loop itself forgets tasks that nobody holds."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:  # nobody awaits it
            self._log.error("worker_end_failed", error=repr(error), exc_info=error)
