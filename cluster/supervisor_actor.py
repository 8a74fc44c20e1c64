"""The supervisor actor: a `Supervisor` as Ray starts it, and starts it again after a crash."""

import asyncio

from actors.handles import SchedulerHandle, call_own_start
from cluster.node_watch import NodeWatch
from cluster.ray_nodes import RayNodes
from cluster.ray_workers import RayWorkers
from cluster.supervisor import Supervisor
from monitoring.logs import configure_logs
from task_queue.clock import SystemClock
from task_queue.settings import settings_from_json


class SupervisorActor:
    """What `ray.remote` wraps. The constructor only keeps what it is given."""

    def __init__(self, settings_json: bytes, generation: str) -> None:
        self._settings_json = settings_json
        self._generation = generation
        self._supervisor: Supervisor | None = None
        self._running: asyncio.Task[None] | None = None
        self._node_watch: asyncio.Task[None] | None = None
        call_own_start()  # after a crash Ray makes this actor anew, and nobody else would call

    async def start(self) -> None:
        """Begin to look after the pools; repeating it is harmless."""
        if self._running is not None and not self._running.done():
            return
        settings = settings_from_json(self._settings_json)
        configure_logs(settings.logging.level, settings.logging.format)
        scheduler = SchedulerHandle(settings.ray.namespace)
        clock = SystemClock()
        nodes = RayNodes()
        self._supervisor = Supervisor(
            settings, scheduler, clock, RayWorkers(settings), nodes, self._generation
        )
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._supervisor.run_for_ever())
        node_watch = NodeWatch(nodes, self._supervisor, clock)
        self._node_watch = loop.create_task(node_watch.run_for_ever())

    async def stop(self, grace_seconds: float) -> int:
        """End all workers. Returns how many there were."""
        for task in (self._running, self._node_watch):
            if task is not None:
                task.cancel()
        return await self._supervisor.stop(grace_seconds) if self._supervisor is not None else 0
